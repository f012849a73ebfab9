"""From embeddings to scores, a chunk of queries at a time, so that memory stays bounded by the chunk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.metrics._checks import FloatArray, Labels
from osnet_edge.bench.metrics._chunks import in_chunks
from osnet_edge.bench.metrics.distances import measure
from osnet_edge.bench.metrics.ranking import MatchRanks, checked_distances, ranks_of
from osnet_edge.bench.metrics.reranking import Reranking, rerank
from osnet_edge.bench.metrics.scores import MAX_RANK, RetrievalScores
from osnet_edge.bench.metrics.single_gallery_shot import single_shot_matches
from osnet_edge.runtime.errors import InputError

#: A right answer is any picture of the person by another camera, or the one picture that each person has.
PROTOCOLS = ("market1501", "single-gallery-shot")

T = TypeVar("T")
Rows = Callable[[slice], FloatArray]


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
    rows, labels = _prepare(
        query_features,
        gallery_features,
        (query_ids, gallery_ids, query_cameras, gallery_cameras),
        distance,
        reranking,
        threads,
    )
    return MatchRanks.joined(_in_chunks(rows, labels, ranks_of, threads))


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
            picture a person (see `single_shot_matches`). mAP and mINP are of the whole gallery in both, as
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
    rows, labels = _prepare(
        query_features,
        gallery_features,
        (query_ids, gallery_ids, query_cameras, gallery_cameras),
        distance,
        reranking,
        threads,
    )
    if protocol == "market1501":
        return RetrievalScores.from_ranks(MatchRanks.joined(_in_chunks(rows, labels, ranks_of, threads)))

    def both(distances: FloatArray, part: Labels) -> tuple[MatchRanks, npt.NDArray[np.float64]]:
        return ranks_of(distances, part), single_shot_matches(distances, part, MAX_RANK)

    parts = _in_chunks(rows, labels, both, threads)
    curves = np.concatenate([curve for _, curve in parts])
    ranks = MatchRanks.joined(ranks for ranks, _ in parts)
    return RetrievalScores.from_ranks(ranks, curves.mean(axis=0) if len(curves) else None)


def _prepare(
    query_features: Any,
    gallery_features: Any,
    labels: tuple[Any, Any, Any, Any],
    distance: str,
    reranking: Reranking | None,
    threads: int,
) -> tuple[Rows, Labels]:
    """Check everything, and work out what all chunks share."""
    distances = measure(query_features, gallery_features, distance)
    checked = Labels.checked(*labels, distances.shape)
    if reranking is None:
        return distances.rows, checked
    return rerank(query_features, gallery_features, distance, reranking, threads=threads).rows, checked


def _in_chunks(rows: Rows, labels: Labels, work: Callable[[FloatArray, Labels], T], threads: int) -> list[T]:
    """Return what `work` makes of the distances of each chunk of queries."""

    def chunk(part: slice) -> T:
        return work(checked_distances(rows(part)), labels.of_queries(part))

    return in_chunks(chunk, len(labels.query_ids), len(labels.gallery_ids), threads)
