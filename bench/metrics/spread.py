"""How sure a median of turns is: an interval from their order alone, whatever their distribution."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from osnet_edge.bench._require import require

#: Fewer turns than these have no interval of 95 %: with five, all of them lie on one side in 1 of 16 cases.
LEAST_TURNS = 6


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """Return an interval that holds the median of what `values` are drawn from.

    Of n draws, as many lie below the median as a fair coin thrown n times shows heads. So the k-th smallest
    and the k-th largest enclose it with probability 1 - 2 P(heads < k), and the largest k that keeps that at
    `confidence` or more is taken (David and Nagaraja, "Order Statistics", 2003, section 7.1).

    Args:
        values: draws, taken for independent.
        confidence: in (0, 1).

    Returns:
        Its ends, both of them draws; None where there are too few.

    Example:
        >>> median_interval([3, 1, 2, 5, 4, 9])
        (1, 9)
        >>> median_interval(range(100))
        (39, 60)
        >>> median_interval([1, 2, 3]) is None
        True
    """
    count = len(values)
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
    if not below:
        return None
    ordered = sorted(values)
    return ordered[below - 1], ordered[count - below]


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

    Engines take turns, so the n-th turns of both saw the same machine, and what slowed one slowed the other.

    Args:
        reference: its median call in each turn.
        other: likewise; a longer list is cut, as an engine that was interrupted has fewer turns.

    Returns:
        How many times as fast the other is, and the interval; None where nothing can be compared.

    Example:
        >>> paired_ratio([2.0, 4.0, 2.2], [1.0, 2.0, 1.0])
        (2.0, None)
    """
    ratios = [one / two for one, two in zip(reference, other, strict=False) if two > 0]
    return (statistics.median(ratios), median_interval(ratios)) if ratios else None
