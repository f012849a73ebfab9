"""Accuracy on a part of VIPeR: embeddings from the camera, and on this machine the same graphs as written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from arm64.camera import INSIDE, Camera, Processor
from arm64.findings import Finding
from osnet_edge.bench.retrieval import feature_ranks
from osnet_edge.bench.scores import RetrievalScores
from osnet_edge.engines.run_graph import batches_of, open_graph
from osnet_edge.runtime.errors import CheckError
from osnet_edge.runtime.graph_info import INPUT_NAME, OUTPUT_NAME
from osnet_edge.runtime.manifest import read_manifest
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.train.data import open_set
from osnet_edge.train.data.reid_set import Picture

#: The first people by number, as queries and as gallery.
PEOPLE = 100
#: Points of mAP that an engine may be from its graph as written: rounding moves a few near ties of 100
#: queries, in float32 none.
_POINTS = {"int8": 1.0, "fp32": 0.05}
_POINT = 100
Rows = npt.NDArray[np.float32]


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

    def scores(self, rows: Rows) -> RetrievalScores:
        """Score embeddings of the pictures."""
        count = len(self.query)
        labels = [
            [getattr(each, name) for each in side]
            for name in ("identity", "camera")
            for side in (self.query, self.gallery)
        ]
        return RetrievalScores.from_ranks(feature_ranks(rows[:count], rows[count:], *labels))


def read_subset(folder: Path) -> Subset:
    """Take the first people of VIPeR, by their numbers."""
    whole = open_set(str(folder))
    first = set(sorted({each.identity for each in whole.query})[:PEOPLE])
    sides = (
        tuple(sorted((each for each in side if each.identity in first), key=lambda each: each.path.name))
        for side in (whole.query, whole.gallery)
    )
    return Subset(folder, *sides)


def as_written(package: Path, subset: Subset) -> RetrievalScores:
    """Score a package's graph on this machine, with every Q/DQ in it computed as it is written."""
    manifest = read_manifest(package)
    session = open_graph(package / manifest.model_file)
    crops = (read_picture(each.path) for each in subset.pictures)
    batches = batches_of(crops, manifest.preprocessing, 20)
    return subset.scores(
        np.concatenate([session.run([OUTPUT_NAME], {INPUT_NAME: each})[0] for each in batches])
    )


def on_host(package: Path, subset: Subset) -> Finding:
    """Score a package's graph as written, for a table."""
    return Finding("", "VIPeR, mAP / Rank-1 %", package.name, "holds", *_told(as_written(package, subset)))


def on_camera(
    camera: Camera, processor: Processor, package: Path, subset: Subset, written: Finding
) -> Finding:
    """Score a package on the emulated camera against its graph as written.

    Embeddings of real people are deleted once they are scored.
    """
    names, rows = camera.work / "pictures.txt", camera.work / "embeddings.npy"
    inside = INSIDE / "pictures"
    names.write_text(
        "".join(f"{inside / each.path.relative_to(subset.folder)}\n" for each in subset.pictures)
    )
    place = INSIDE / package.relative_to(camera.work)
    parts = (processor.name, "VIPeR, mAP / Rank-1 %", package.name)
    try:
        camera.ask(processor, "embed", str(place), *(f"{INSIDE / each.name}" for each in (names, rows)),
                   pictures=str(subset.folder))  # fmt: skip
        words, figures = _told(subset.scores(np.load(rows)))
    except CheckError as error:
        return Finding(*parts, "wrong", str(error))
    finally:
        rows.unlink(missing_ok=True)
    apart = abs(figures["mean_ap"] - written.figures["mean_ap"])
    limit = _POINTS[read_manifest(package).precision]
    if not apart <= limit:
        why = (
            f"{words}, {apart:.2f} points of mAP from the graph as written ({written.words}), over {limit:g}"
        )
        return Finding(*parts, "wrong", why, figures)
    return Finding(*parts, "holds", words, figures)


def _told(scores: RetrievalScores) -> tuple[str, dict[str, Any]]:
    mean_ap, rank1 = _POINT * scores.mean_ap, _POINT * scores.rank1
    return f"{mean_ap:.2f} / {rank1:.0f}", {"mean_ap": mean_ap, "rank1": rank1}
