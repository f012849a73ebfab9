"""From embeddings to the figures people quote: Rank-1, Rank-5, Rank-10 and mAP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from osnet_edge.bench._checks import FloatArray, checked_feature_pair, checked_labels
from osnet_edge.bench.average_precision import mean_average_precision
from osnet_edge.bench.cmc import cumulative_matches
from osnet_edge.bench.distances import cosine_distances, euclidean_distances
from osnet_edge.bench.ranking import MatchRanks, match_ranks
from osnet_edge.runtime.errors import InputError

DISTANCES: dict[str, Callable[[Any, Any], FloatArray]] = {
    "cosine": cosine_distances,
    "euclidean": euclidean_distances,
}
# One chunk's distances and their sorted copy stay near 32 MB whatever the size of the gallery.
_CHUNK_ENTRIES = 4_000_000


@dataclass(frozen=True)
class RetrievalScores:
    """Accuracy of a set of embeddings; fractions in [0, 1].

    Attributes:
        rank1: share of answerable queries whose nearest gallery entry is a match.
        rank5: the same with a match among the first five.
        rank10: the same with a match among the first ten.
        mean_ap: mean average precision.
        queries: how many queries were given.
        skipped: how many of them have no match in the gallery and count nowhere.
        gallery: how many gallery entries were given.
    """

    rank1: float
    rank5: float
    rank10: float
    mean_ap: float
    queries: int
    skipped: int
    gallery: int

    @classmethod
    def from_ranks(cls, ranks: MatchRanks) -> RetrievalScores:
        """Compute the scores from the ranks of the matches."""
        curve = cumulative_matches(ranks, max_rank=10)
        rank1, rank5, rank10 = (float(curve[min(k, len(curve)) - 1]) for k in (1, 5, 10))
        mean_ap = mean_average_precision(ranks)
        return cls(rank1, rank5, rank10, mean_ap, ranks.queries, ranks.skipped, ranks.gallery)


def feature_ranks(
    query_features: Any,
    gallery_features: Any,
    query_ids: Any,
    gallery_ids: Any,
    query_cameras: Any,
    gallery_cameras: Any,
    *,
    distance: str = "cosine",
) -> MatchRanks:
    """Do what `match_ranks` does, from features, a chunk of queries at a time so that memory stays bounded.

    Args:
        query_features: (Q, D).
        gallery_features: (G, D).
        query_ids: (Q,) integers.
        gallery_ids: (G,) integers.
        query_cameras: (Q,) integers.
        gallery_cameras: (G,) integers.
        distance: "cosine" or "euclidean".

    Raises:
        InputError: see `match_ranks`; or the distance has another name.
    """
    measure = DISTANCES.get(distance)
    if measure is None:
        raise InputError(f"expected a distance of {', '.join(DISTANCES)}, but got {distance!r}")
    query, gallery = checked_feature_pair(query_features, gallery_features)
    ids = checked_labels(query_ids, len(query), "query identities")
    cameras = checked_labels(query_cameras, len(query), "query cameras")
    step = max(1, _CHUNK_ENTRIES // len(gallery))
    chunks = (slice(start, start + step) for start in range(0, len(query), step))
    return MatchRanks.joined(
        match_ranks(measure(query[part], gallery), ids[part], gallery_ids, cameras[part], gallery_cameras)
        for part in chunks
    )


def score_retrieval(
    query_features: Any,
    gallery_features: Any,
    query_ids: Any,
    gallery_ids: Any,
    query_cameras: Any,
    gallery_cameras: Any,
    *,
    distance: str = "cosine",
) -> RetrievalScores:
    """Score embeddings by the Market-1501 protocol.

    Args:
        query_features: (Q, D).
        gallery_features: (G, D).
        query_ids: (Q,) integers.
        gallery_ids: (G,) integers.
        query_cameras: (Q,) integers.
        gallery_cameras: (G,) integers.
        distance: "cosine" or "euclidean".

    Returns:
        The scores.

    Raises:
        InputError: see `match_ranks`; or no query has a match; or the distance has another name.

    Example:
        >>> people = [[1.0, 0.0], [0.0, 1.0]]
        >>> score_retrieval(people, people, [1, 2], [1, 2], [0, 0], [1, 1]).rank1
        1.0
    """
    ranks = feature_ranks(
        query_features,
        gallery_features,
        query_ids,
        gallery_ids,
        query_cameras,
        gallery_cameras,
        distance=distance,
    )
    return RetrievalScores.from_ranks(ranks)
