"""What an engine costs in accuracy: its scores less the reference's, and how sure that difference is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osnet_edge.bench._require import require
from osnet_edge.bench.metrics.ranking import MatchRanks
from osnet_edge.bench.metrics.scores import (
    RetrievalScores,
    average_precisions,
    first_hits,
    inverse_negative_penalties,
)
from osnet_edge.bench.metrics.statistics import paired_bootstrap
from osnet_edge.runtime.errors import InputError


@dataclass(frozen=True)
class ChangeIntervals:
    """Confidence intervals of an engine's change in accuracy, by `paired_bootstrap` over the queries.

    Attributes:
        rank1: lower and upper end of its Rank-1 less the reference's, as shares.
        mean_ap: the same of its mAP.
        confidence: share of the resamples that lie between the ends, in (0, 1).
        samples: how many resamples there were.
        mean_inp: the same of its mINP; None in results of before it was measured.
    """

    rank1: tuple[float, float]
    mean_ap: tuple[float, float]
    confidence: float
    samples: int
    mean_inp: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for low, high in (self.rank1, self.mean_ap, *([self.mean_inp] if self.mean_inp else [])):
            require(-1 <= low <= high <= 1, "rising ends of an interval in [-1, 1]", (low, high))
        require(0 < self.confidence < 1, "a confidence between 0 and 1", self.confidence)
        require(self.samples >= 1, "1 sample or more", self.samples)

    @classmethod
    def between(
        cls, reference: MatchRanks, other: MatchRanks, *, confidence: float = 0.95, samples: int = 2000
    ) -> ChangeIntervals:
        """Compute the intervals from the ranks of two engines on the same images.

        Raises:
            InputError: no query has a match, or the two do not answer the same queries.
        """
        here, there = reference.answerable, other.answerable
        if not np.array_equal(here, there):
            raise InputError(
                f"expected two engines that answer the same queries, but they answer {len(here)} and "
                f"{len(there)}, or others; rank both on the same images"
            )
        rank1, mean_ap, mean_inp = (
            paired_bootstrap(values(reference), values(other), confidence=confidence, samples=samples)
            for values in (first_hits, average_precisions, inverse_negative_penalties)
        )
        return cls(
            (rank1.low, rank1.high),
            (mean_ap.low, mean_ap.high),
            confidence,
            samples,
            (mean_inp.low, mean_inp.high),
        )


@dataclass(frozen=True)
class AccuracyChange:
    """One engine's accuracy less the reference's, on the same data set; negative is a loss.

    Attributes:
        engine: its name.
        rank1: the change, as a share.
        mean_ap: the same of its mAP.
        intervals: of them; None where they were not measured, as in results of before.
        mean_inp: the change of its mINP; None as above.
    """

    engine: str
    rank1: float
    mean_ap: float
    intervals: ChangeIntervals | None = None
    mean_inp: float | None = None

    @classmethod
    def between(
        cls,
        engine: str,
        reference: RetrievalScores,
        other: RetrievalScores,
        intervals: ChangeIntervals | None,
    ) -> AccuracyChange:
        """Return the change from the reference's scores to another's."""
        both = reference.mean_inp is not None and other.mean_inp is not None
        return cls(
            engine,
            other.rank1 - reference.rank1,
            other.mean_ap - reference.mean_ap,
            intervals,
            (other.mean_inp or 0.0) - (reference.mean_inp or 0.0) if both else None,
        )
