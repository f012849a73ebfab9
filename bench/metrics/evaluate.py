"""From embeddings to ranks and scores, a chunk of queries at a time, so that memory stays bounded by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.metrics.distances import FloatArray, in_chunks, measure
from osnet_edge.bench.metrics.ranking import Labels, MatchRanks, checked_distances, ranks_of
from osnet_edge.bench.metrics.reranking import Reranking, rerank
from osnet_edge.bench.metrics.scores import MAX_RANK, RetrievalScores, single_shot_matches
from osnet_edge.runtime.errors import InputError

#: A right answer is any image of the person by another camera, or the one image that each person has.
PROTOCOLS = ("market1501", "single-gallery-shot")

T = TypeVar("T")


class LabelledPicture(Protocol):
    """An image of one person, and what is known about it."""

    @property
    def path(self) -> Path | str:
        """The image's file."""

    @property
    def identity(self) -> int:
        """The number of the person."""

    @property
    def camera(self) -> int:
        """The number of the camera."""


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
    """Embeddings by image, since splits of one set share their images.

    Attributes:
        rows: (N, D), one for each image.
        places: which row is an image's, by its path.
    """

    rows: FloatArray
    places: dict[Path | str, int]

    def of(self, pictures: Sequence[LabelledPicture]) -> FloatArray:
        """Return the embeddings of some images, in their order."""
        rows: FloatArray = self.rows[[self.places[picture.path] for picture in pictures]]
        return rows


def feature_ranks(
    query_features: Any,
    gallery_features: Any,
    query_ids: Any,
    gallery_ids: Any,
    query_cameras: Any,
    gallery_cameras: Any,
    *,
    distance: str = "cosine",
    reranking: Reranking | None = None,
    threads: int = 1,
) -> MatchRanks:
    """Do what `match_ranks` does, from features.

    Args:
        query_features: (Q, D).
        gallery_features: (G, D).
        query_ids: (Q,) integers.
        gallery_ids: (G,) integers.
        query_cameras: (Q,) integers.
        gallery_cameras: (G,) integers.
        distance: "cosine" or "euclidean".
        reranking: how to re-rank by k-reciprocal neighbours; None leaves the ranking as it is.
        threads: chunks worked on at once; the matrix product has threads of its own (OPENBLAS_NUM_THREADS).

    Raises:
        InputError: see `match_ranks`; or the distance has another name.
    """
    sides, labels = (
        (query_features, gallery_features),
        (query_ids, gallery_ids, query_cameras, gallery_cameras),
    )
    return MatchRanks.joined(_in_chunks(ranks_of, sides, labels, distance, reranking, threads))


def score_retrieval(
    query_features: Any,
    gallery_features: Any,
    query_ids: Any,
    gallery_ids: Any,
    query_cameras: Any,
    gallery_cameras: Any,
    *,
    distance: str = "cosine",
    protocol: str = "market1501",
    reranking: Reranking | None = None,
    threads: int = 1,
) -> RetrievalScores:
    """Score embeddings.

    Args:
        query_features: (Q, D).
        gallery_features: (G, D).
        query_ids: (Q,) integers.
        gallery_ids: (G,) integers.
        query_cameras: (Q,) integers.
        gallery_cameras: (G,) integers.
        distance: "cosine" or "euclidean".
        protocol: "market1501", or "single-gallery-shot", where Rank-k is the mean over all galleries of one
            image a person (see `single_shot_matches`). mAP and mINP are of the whole gallery in both, as
            public evaluations have it.
        reranking: see `feature_ranks`.
        threads: see `feature_ranks`.

    Returns:
        The scores.

    Raises:
        InputError: see `match_ranks`; or no query has a match; or the distance or protocol has another name.

    Example:
        >>> people = [[1.0, 0.0], [0.0, 1.0]]
        >>> score_retrieval(people, people, [1, 2], [1, 2], [0, 0], [1, 1]).rank1
        1.0
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"expected a protocol of {', '.join(PROTOCOLS)}, but got {protocol!r}")
    single = protocol == "single-gallery-shot"

    def score(distances: FloatArray, part: Labels) -> tuple[MatchRanks, list[npt.NDArray[np.float64]]]:
        curves = [single_shot_matches(distances, part, MAX_RANK)] if single else []
        return ranks_of(distances, part), curves

    sides, labels = (
        (query_features, gallery_features),
        (query_ids, gallery_ids, query_cameras, gallery_cameras),
    )
    parts = _in_chunks(score, sides, labels, distance, reranking, threads)
    ranks = MatchRanks.joined(ranks for ranks, _ in parts)
    curves = [curve for _, found in parts for curve in found]
    return RetrievalScores.from_ranks(
        ranks, np.concatenate(curves).mean(axis=0) if single and len(ranks.rank) else None
    )


def _in_chunks(
    work: Callable[[FloatArray, Labels], T],
    sides: tuple[Any, Any],
    labels: tuple[Any, Any, Any, Any],
    distance: str,
    reranking: Reranking | None,
    threads: int,
) -> list[T]:
    """Check everything, and return what `work` makes of the distances of each chunk of queries."""
    distances = measure(*sides, distance)
    checked = Labels.checked(*labels, distances.shape)
    rows = distances.rows
    if reranking is not None:
        rows = rerank(*sides, distance, reranking, threads=threads).rows

    def chunk(part: slice) -> T:
        return work(checked_distances(rows(part)), checked.of_queries(part))

    return in_chunks(chunk, *distances.shape, threads)


def check_split(split: Split, name: str) -> None:
    """Hold that a split can be scored, before hours go into embedding it.

    Args:
        split: of a set.
        name: the set's, for the message.

    Raises:
        InputError: it lacks queries or a gallery, its images are all of one camera, or no query has its
            identity in the gallery under another camera.
    """
    counts = len(split.query), len(split.gallery)
    if not all(counts):
        raise InputError(
            f"expected query and gallery images in {name}, found {counts[0]} and {counts[1]}; "
            "accuracy needs both"
        )
    labels = split_labels(split)
    cameras = {*labels.query_cameras.tolist(), *labels.gallery_cameras.tolist()}
    if len(cameras) == 1:
        raise InputError(
            f"expected images of 2 cameras or more in {name}, but all are of camera {cameras.pop()}, and a "
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
        embedded: the images of all splits.
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
    """Return who is in each image of a split, and by which camera."""
    return Labels.checked(
        [picture.identity for picture in split.query],
        [picture.identity for picture in split.gallery],
        [picture.camera for picture in split.query],
        [picture.camera for picture in split.gallery],
        (len(split.query), len(split.gallery)),
    )
