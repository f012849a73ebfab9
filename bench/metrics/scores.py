"""The figures people quote of a ranking: Rank-1 to Rank-20, mAP and mINP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.metrics.average_precision import mean_average_precision
from osnet_edge.bench.metrics.cmc import cumulative_matches
from osnet_edge.bench.metrics.inverse_negative_penalty import mean_inverse_negative_penalty
from osnet_edge.bench.metrics.ranking import MatchRanks

MAX_RANK = 20


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
        rank20: as `rank1`, with a match among the first twenty; None in results of before it was measured.
        mean_inp: mean inverse negative penalty; None likewise.
    """

    rank1: float
    rank5: float
    rank10: float
    mean_ap: float
    queries: int
    skipped: int
    gallery: int
    rank20: float | None = None
    mean_inp: float | None = None

    @classmethod
    def from_ranks(cls, ranks: MatchRanks, curve: npt.NDArray[np.float64] | None = None) -> RetrievalScores:
        """Compute the scores from the ranks of the matches.

        Args:
            ranks: from `match_ranks` or `feature_ranks`.
            curve: CMC of a protocol of its own; None takes that of the ranks.

        Raises:
            InputError: no query has a match.
        """
        curve = cumulative_matches(ranks, MAX_RANK) if curve is None else curve
        rank1, rank5, rank10, rank20 = (float(curve[min(k, len(curve)) - 1]) for k in (1, 5, 10, 20))
        return cls(
            rank1=rank1,
            rank5=rank5,
            rank10=rank10,
            rank20=rank20,
            mean_ap=mean_average_precision(ranks),
            mean_inp=mean_inverse_negative_penalty(ranks),
            queries=ranks.queries,
            skipped=ranks.skipped,
            gallery=ranks.gallery,
        )

    @classmethod
    def mean(cls, scores: Sequence[RetrievalScores]) -> RetrievalScores:
        """Return the mean over the test splits of one set; every split counts the same.

        Counts are of all splits together. The figures of none of them may be None.

        Example:
            >>> one, other = (RetrievalScores(r, 1, 1, 1, 9, 0, 9, 1, 1) for r in (0.5, 1.0))
            >>> RetrievalScores.mean([one, other]).rank1
            0.75
        """

        def mean(name: str) -> float:
            return float(np.mean([getattr(each, name) for each in scores]))

        return cls(
            rank1=mean("rank1"),
            rank5=mean("rank5"),
            rank10=mean("rank10"),
            rank20=mean("rank20"),
            mean_ap=mean("mean_ap"),
            mean_inp=mean("mean_inp"),
            queries=sum(each.queries for each in scores),
            skipped=sum(each.skipped for each in scores),
            gallery=sum(each.gallery for each in scores),
        )
