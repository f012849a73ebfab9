"""The test splits of a set: whether they can be scored, and what embeddings are worth on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from osnet_edge.bench.metrics._checks import FloatArray, Labels
from osnet_edge.bench.metrics.accuracy import LabelledPicture
from osnet_edge.bench.metrics.reranking import Reranking
from osnet_edge.bench.metrics.retrieval import score_retrieval
from osnet_edge.bench.metrics.scores import RetrievalScores
from osnet_edge.runtime.errors import InputError


class Split(Protocol):
    """Queries and a gallery; a `ReidSet` is one."""

    @property
    def query(self) -> Sequence[LabelledPicture]:
        """Pictures to look for."""

    @property
    def gallery(self) -> Sequence[LabelledPicture]:
        """Pictures to look among."""


@dataclass(frozen=True, eq=False)
class PictureRows:
    """Embeddings by picture, since splits of one set share their pictures.

    Attributes:
        rows: (N, D), one for each picture.
        places: which row is a picture's, by its path.
    """

    rows: FloatArray
    places: dict[Path | str, int]

    def of(self, pictures: Sequence[LabelledPicture]) -> FloatArray:
        """Return the embeddings of some pictures, in their order."""
        rows: FloatArray = self.rows[[self.places[picture.path] for picture in pictures]]
        return rows


def check_split(split: Split, name: str) -> None:
    """Hold that a split can be scored, before hours go into embedding it.

    Args:
        split: of a set.
        name: the set's, for the message.

    Raises:
        InputError: it lacks queries or a gallery, its pictures are all of one camera, or no query has its
            identity in the gallery under another camera.
    """
    counts = len(split.query), len(split.gallery)
    if not all(counts):
        raise InputError(
            f"expected query and gallery pictures in {name}, found {counts[0]} and {counts[1]}; "
            "accuracy needs both"
        )
    labels = split_labels(split)
    cameras = {*labels.query_cameras.tolist(), *labels.gallery_cameras.tolist()}
    if len(cameras) == 1:
        raise InputError(
            f"expected pictures of 2 cameras or more in {name}, but all are of camera {cameras.pop()}, and a "
            "person is looked for under other cameras than the query's; name the cameras"
        )
    query, column = labels.same_identity()
    if not (labels.query_cameras[query] != labels.gallery_cameras[column]).any():
        raise InputError(
            f"expected some query of {name} to have its identity in the gallery under another camera, but "
            f"none of {counts[0]} has; check that query and gallery come from one set"
        )


def score_splits(
    embedded: PictureRows,
    splits: Sequence[Split],
    *,
    distance: str = "cosine",
    protocol: str = "market1501",
    reranking: Reranking | None = None,
    threads: int = 1,
) -> RetrievalScores:
    """Return the mean of the scores over the test splits of one set.

    Args:
        embedded: the pictures of all splits.
        splits: one or more.
        distance: see `score_retrieval`, as for the rest.
        protocol: see there.
        reranking: see there.
        threads: see there.

    Raises:
        InputError: as `score_retrieval`.
    """
    scores = []
    for split in splits:
        labels = split_labels(split)
        scores.append(
            score_retrieval(
                embedded.of(split.query),
                embedded.of(split.gallery),
                labels.query_ids,
                labels.gallery_ids,
                labels.query_cameras,
                labels.gallery_cameras,
                distance=distance,
                protocol=protocol,
                reranking=reranking,
                threads=threads,
            )
        )
    return RetrievalScores.mean(scores)


def split_labels(split: Split) -> Labels:
    """Return who is in each picture of a split, and by which camera."""
    return Labels.checked(
        [picture.identity for picture in split.query],
        [picture.identity for picture in split.gallery],
        [picture.camera for picture in split.query],
        [picture.camera for picture in split.gallery],
        (len(split.query), len(split.gallery)),
    )
