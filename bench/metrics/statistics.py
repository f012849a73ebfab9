"""How sure a figure is: the paired bootstrap over queries, and an interval of a median over rounds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from osnet_edge.bench._require import require
from osnet_edge.runtime.errors import InputError

Values = npt.NDArray[np.float64]

#: Queries drawn at once, over all resamples of a chunk: 16 MB, whatever the set.
_CHUNK_DRAWS = 1_000_000


@dataclass(frozen=True)
class PairedDifference:
    """A mean over queries of one engine less that of another.

    Attributes:
        mean: of the differences, in the unit of the values; negative where the other engine is worse.
        low: lower end of its confidence interval.
        high: upper end.
    """

    mean: float
    low: float
    high: float


def paired_bootstrap(
    reference: Any, other: Any, *, samples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> PairedDifference:
    """Return how much `other` differs from `reference` on average, with a confidence interval.

    The percentile method (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13):
    queries are drawn with replacement, as many as there are, and the interval holds the middle `confidence`
    of the means so found. A query hard for one engine is hard for the other, so it is drawn with both of its
    values, and the interval is far narrower than those of the two means would suggest.

    It speaks of other queries like these against the same gallery. Queries are taken for independent, so
    where a person is asked for many times (4.5 times on average in Market-1501) it is narrower than new
    people would make it.

    Args:
        reference: (Q,) a value for each query, such as `average_precisions` or `first_hits` of one engine.
        other: (Q,) the same of another engine, query by query.
        samples: times to draw.
        confidence: share of the means inside the interval, in (0, 1).
        seed: of the draws; the same queries are drawn whatever the values are.

    Returns:
        The mean of `other - reference`, and the ends of its interval.

    Raises:
        InputError: the shapes differ or are not (Q,), there is no query, a value is NaN or infinite, or
            `samples` or `confidence` is out of its range.

    Example:
        Two of four queries lose half; no resample gains.

        >>> found = paired_bootstrap([1.0, 1.0, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5])
        >>> found.mean, found.low, found.high
        (-0.25, -0.5, 0.0)
    """
    before, after = _checked(reference, "reference"), _checked(other, "other")
    if before.shape != after.shape:
        raise InputError(
            f"expected two values for each query, but there are {len(before)} of the reference and "
            f"{len(after)} of the other; score both on the same queries"
        )
    if not 0 < confidence < 1:
        raise InputError(f"expected a confidence between 0 and 1, such as 0.95, but got {confidence}")
    if samples < 1:
        raise InputError(f"expected 1 sample or more, but got {samples}; 2000 is usual")
    differences = after - before
    tail = (1 - confidence) / 2
    low, high = np.quantile(_resampled_means(differences, samples, seed), [tail, 1 - tail])
    return PairedDifference(float(differences.mean()), float(low), float(high))


def _resampled_means(values: Values, samples: int, seed: int) -> Values:
    """Return the mean of each resample, a chunk of them at a time.

    Drawing places takes an eighth of the time of drawing how often each query comes (multinomial counts).
    """
    rng = np.random.default_rng(seed)
    count = len(values)
    means = np.empty(samples)
    step = max(1, _CHUNK_DRAWS // count)
    for start in range(0, samples, step):
        part = means[start : start + step]
        part[:] = values[rng.integers(0, count, (len(part), count))].mean(axis=1)
    return means


def _checked(values: Any, name: str) -> Values:
    """Return values of queries as finite float64, or raise an `InputError` naming them."""
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "bfiu":
        raise InputError(
            f"expected a number for each query of the {name}, but got shape {array.shape} of {array.dtype}"
        )
    array = array.astype(np.float64)
    finite = np.isfinite(array)
    if not finite.all():
        raise InputError(
            f"expected finite values of the {name}, but query {int(np.argmin(finite))} has NaN or infinity; "
            "leave out queries that have no value, in both"
        )
    return array


#: Fewer turns than these have no interval of 95 %: with five, all of them lie on one side in 1 of 16 cases.
LEAST_TURNS = 6
#: An autocorrelation time is taken for so much longer where one is seen: few turns show too little of it.
#: Chosen by the simulation of tests/bench/test_spread.py: with 1, 30 rounds of which each is as slow as the
#: one before by 0.8 have an interval that holds the truth in 88 of 100 runs; with 2, in 95.
_LONGER = 2.0


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """Return an interval that holds the median of what a series is drawn from.

    Of n independent draws, as many lie below the median as a fair coin thrown n times shows heads. So the
    k-th smallest and the k-th largest enclose it with probability 1 - 2 P(heads < k), and the largest k that
    keeps that at `confidence` or more is taken (David and Nagaraja, "Order Statistics", 2003, section 7.1).

    On a busy machine turns are not independent: whoever shares a core with another program does so for many
    turns. So n turns are counted as n / `autocorrelation_time`, and k is the same share of them. Where that
    leaves fewer than `LEAST_TURNS`, the interval is all that was seen.

    Args:
        values: in the order in which they were taken.
        confidence: in (0, 1).

    Returns:
        Its ends, both of them draws; None where there are too few.

    Example:
        >>> median_interval([3, 1, 2, 5, 4, 9])
        (1, 9)
        >>> median_interval([7, 3] * 3 + [5, 2, 8, 4, 6, 1, 9])
        (3, 7)
        >>> median_interval(range(100))  # one long drift
        (0, 99)
        >>> median_interval([1, 2, 3]) is None
        True
    """
    count = len(values)
    if count < LEAST_TURNS or not _least_rank(count, confidence):
        return None
    ordered = sorted(values)
    alone = math.floor(count / autocorrelation_time(values) + 1e-9)
    rank = math.floor(_least_rank(alone, confidence) / alone * count + 1e-9) if alone >= LEAST_TURNS else 1
    rank = max(rank, 1)
    return ordered[rank - 1], ordered[count - rank]


def autocorrelation_time(values: Sequence[float]) -> float:
    """Return how many turns tell as much about the median as one would that owes nothing to the one before.

    1 + 2 (r1 + r2 + ...), where rk is the correlation, k turns apart, of lying below the median or not: an
    outlier counts no more than any other. The sum goes on for as long as pairs of neighbouring rk are above
    zero (Geyer, "Practical Markov Chain Monte Carlo", Statistical Science 7(4), 1992, section 3.3). Seen in
    few turns it is too small, as rk are taken from the same turns' own median; so what is above 1 grows.

    Args:
        values: one or more, in the order in which they were taken.

    Returns:
        1 or more.

    Example:
        >>> autocorrelation_time([1, 2] * 10)
        1.0
        >>> autocorrelation_time([1] * 10 + [2] * 10) > 10
        True
    """
    count = len(values)
    below = np.asarray(values, np.float64) <= statistics.median(values)
    centred = below - below.mean()
    variance = float(centred @ centred)
    if not variance:
        return 1.0

    def correlation(lag: int) -> float:
        return float(centred[:-lag] @ centred[lag:]) / variance

    length = 1.0
    for lag in range(1, count // 2 - 1, 2):
        pair = correlation(lag) + correlation(lag + 1)
        if pair <= 0:
            break
        length += 2 * pair
    return length * _LONGER * (1 + 2 * length / count) if length > 1 else 1.0


def _least_rank(count: int, confidence: float) -> int:
    """Return the largest k so that the k-th draws from both ends enclose the median surely; 0 for none."""
    below, outside = 0, 0.0
    while below < count // 2:
        # Written in logarithms, since 2**-n of thousands of turns is no float.
        heads = math.exp(
            math.lgamma(count + 1)
            - math.lgamma(below + 1)
            - math.lgamma(count - below + 1)
            - count * math.log(2)
        )
        if 2 * (outside + heads) > 1 - confidence:
            break
        outside += heads
        below += 1
    return below


def require_interval(stored: tuple[float, float] | None, turns_ms: Sequence[float]) -> None:
    """Hold a stored `median_interval` to the turns that it follows from.

    Raises:
        InputError: it is another.
    """
    require(stored == median_interval(turns_ms), "median_interval to follow from turns_ms", turns_ms)


def paired_ratio(
    reference: Sequence[float], other: Sequence[float]
) -> tuple[float, tuple[float, float] | None] | None:
    """Return the median of the ratios of two engines' turns, round by round, and its interval.

    Engines take turns, so the n-th turns of both saw the same machine, and mostly what slowed one slowed the
    other. What slows only one of them, such as another program on its core, may do so for many rounds; the
    interval allows for that, see `median_interval`.

    Args:
        reference: its median call in each turn.
        other: as above; a longer list is cut, as an engine that was interrupted has fewer turns.

    Returns:
        How many times as fast the other is, and the interval; None where nothing can be compared.

    Example:
        >>> paired_ratio([2.0, 4.0, 2.2], [1.0, 2.0, 1.0])
        (2.0, None)
    """
    ratios = [one / two for one, two in zip(reference, other, strict=False) if two > 0]
    return (statistics.median(ratios), median_interval(ratios)) if ratios else None
