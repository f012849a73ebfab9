"""Accuracy on a part of VIPeR: embeddings from the camera, and on this machine the same graphs as written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from arm64.camera import INSIDE, Camera, Processor
from arm64.findings import Finding
from osnet_edge.bench import average_precisions, feature_ranks, first_hits
from osnet_edge.bench.metrics.statistics import paired_bootstrap
from osnet_edge.engines.graph.running import batches_of, open_graph
from osnet_edge.runtime.errors import CheckError
from osnet_edge.runtime.package.golden import normalize_rows
from osnet_edge.runtime.package.graph_info import INPUT_NAME, OUTPUT_NAME
from osnet_edge.runtime.package.manifest import read_manifest
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.train.data import open_set
from osnet_edge.train.data.reid_set import Picture

#: The first people by number, as queries and as gallery.
PEOPLE = 100
_CHECK = "VIPeR, mAP / Rank-1 %"
_POINT = 100
Rows = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Subset:
    """A part of a set, and the folder that it is in."""

    folder: Path
    query: tuple[Picture, ...]
    gallery: tuple[Picture, ...]

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Queries, then the gallery."""
        return (*self.query, *self.gallery)

    def score(self, rows: Rows) -> tuple[Points, Points]:
        """Return the average precision and Rank-1 of each query, in points, by embeddings of the images."""
        count = len(self.query)
        labels = [
            [getattr(each, name) for each in side]
            for name in ("identity", "camera")
            for side in (self.query, self.gallery)
        ]
        ranks = feature_ranks(rows[:count], rows[count:], *labels)
        return _POINT * average_precisions(ranks), _POINT * first_hits(ranks)


@dataclass(frozen=True)
class Written:
    """A package, and what its graph gives on this machine with every Q/DQ in it computed as it is written."""

    package: Path
    rows: Rows
    precisions: Points
    hits: Points

    @property
    def finding(self) -> Finding:
        """It, for a table."""
        words = f"{self.precisions.mean():.2f} / {self.hits.mean():.0f}"
        return Finding("", _CHECK, self.package.name, "holds", words)


def read_subset(folder: Path) -> Subset:
    """Take the first people of VIPeR, by their numbers."""
    whole = open_set(str(folder))
    first = set(sorted({each.identity for each in whole.query})[:PEOPLE])
    sides = (
        tuple(sorted((each for each in side if each.identity in first), key=lambda each: each.path.name))
        for side in (whole.query, whole.gallery)
    )
    return Subset(folder, *sides)


def as_written(package: Path, subset: Subset) -> Written:
    """Run a package's graph on this machine as it is written, and score it."""
    manifest = read_manifest(package)
    session = open_graph(package / manifest.model_file)
    crops = (read_picture(each.path) for each in subset.pictures)
    batches = batches_of(crops, manifest.preprocessing, 20)
    rows = np.concatenate([session.run([OUTPUT_NAME], {INPUT_NAME: batch})[0] for batch in batches])
    return Written(package, rows, *subset.score(rows))


def on_camera(camera: Camera, processor: Processor, written: Written, subset: Subset) -> Finding:
    """Score a package on the emulated camera against its graph as written.

    It is wrong if it loses: if the whole of the interval of 95 % of the change in mAP is below zero. How far
    embeddings are from those as written is said beside it. They are of real people, and deleted here.
    """
    names, rows = camera.work / "pictures.txt", camera.work / "embeddings.npy"
    pictures = (INSIDE / "pictures" / each.path.relative_to(subset.folder) for each in subset.pictures)
    names.write_text("".join(f"{each}\n" for each in pictures), encoding="utf-8")
    words = [str(INSIDE / each.relative_to(camera.work)) for each in (written.package, names, rows)]
    parts = (processor.name, _CHECK, written.package.name)
    try:
        camera.ask(processor, "embed", *words, pictures=str(subset.folder))
        got = np.load(rows)
    except CheckError as error:
        return Finding(*parts, "wrong", str(error))
    finally:
        rows.unlink(missing_ok=True)
    precisions, hits = subset.score(got)
    change = paired_bootstrap(written.precisions, precisions)
    far = _distances(got, written.rows)
    text = (
        f"{precisions.mean():.2f} / {hits.mean():.0f}, mAP {change.mean:+.2f} ({change.low:+.2f} to "
        f"{change.high:+.2f}), {np.median(far):.0e} off"
    )
    figures = {
        "mean_ap": float(precisions.mean()),
        "rank1": float(hits.mean()),
        "change": change.mean,
        "change_low": change.low,
        "change_high": change.high,
        "distance_median": float(np.median(far)),
        "distance_most": float(far.max()),
    }
    return Finding(*parts, "wrong" if change.high < 0 else "holds", text, figures)


def _distances(got: Rows, expected: Rows) -> Points:
    """Return the mean-centred cosine distance of each row, as golden pairs are held to."""
    middle = normalize_rows(expected).mean(axis=0)
    one, other = (normalize_rows(normalize_rows(rows) - middle) for rows in (got, expected))
    return np.maximum(0, 1 - np.sum(one * other, axis=1, dtype=np.float64))
