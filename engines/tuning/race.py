"""Rounds of candidates timed in turns, and what may be read off them: medians of ratios, and certainty."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from osnet_edge.bench.result.latency_stats import LatencyStats

#: One round: milliseconds of one call at each batch size, by candidate, all taken within moments.
Round = dict[str, tuple[float, ...]]
#: A fair coin's chance of a run that would be taken for a difference.
_CHANCE = 0.05
_NS_PER_MS = 1_000_000


class Race:
    """Rounds so far, each of which holds the reference.

    Only ratios within one round are compared, so that a machine that is busy for a minute, or whose clock
    falls as it warms, does not favour who ran at another time.

    Args:
        reference: name of the candidate that is in every round.
    """

    def __init__(self, reference: str) -> None:
        self.reference = reference
        self.rounds: list[Round] = []

    def add(self, rounds: Iterable[Round]) -> None:
        """Add rounds."""
        self.rounds += rounds

    def forget(self, name: str) -> None:
        """Take a candidate's times out: it is another one now."""
        self.rounds = [{other: one[other] for other in one if other != name} for one in self.rounds]

    def names(self) -> set[str]:
        """Return who was timed."""
        return {name for one in self.rounds for name in one}

    def count(self, name: str) -> int:
        """Return how often a candidate was timed."""
        return sum(name in one for one in self.rounds)

    def ratios(self, name: str) -> tuple[float, ...]:
        """Return a candidate's time over the reference's, the median over rounds, by batch size."""
        return tuple(
            math.exp(statistics.median(column))
            for column in zip(*_log_ratios(self.rounds, name, self.reference), strict=True)
        )

    def score(self, name: str) -> float:
        """Return the geometric mean of its ratios: below 1 it is faster than the reference.

        Example:
            >>> race = Race("a")
            >>> race.add([{"a": (2.0, 8.0), "b": (1.0, 16.0)}, {"a": (2.0, 8.0), "b": (1.0, 4.0)}])
            >>> round(race.score("b"), 3)
            0.707
        """
        return statistics.geometric_mean(self.ratios(name))

    def milliseconds(self, name: str) -> tuple[float, ...]:
        """Return its ratios times the reference's median, by batch size."""
        columns = zip(*(one[self.reference] for one in self.rounds), strict=True)
        return tuple(
            ratio * statistics.median(column)
            for ratio, column in zip(self.ratios(name), columns, strict=True)
        )

    def spread(self, name: str) -> tuple[float, ...]:
        """Return the interquartile range of its own times over their median, by batch size."""
        return tuple(_relative_range(column) for column in self._columns(name))

    def calls(self, name: str) -> tuple[LatencyStats, ...]:
        """Return the statistics of its own times, as the bench judges a machine by them, by batch size."""
        return tuple(
            LatencyStats.from_nanoseconds([round(ms * _NS_PER_MS) for ms in column])
            for column in self._columns(name)
        )

    def _columns(self, name: str) -> Iterable[tuple[float, ...]]:
        """Return its own times, by batch size."""
        return zip(*(one[name] for one in self.rounds if name in one), strict=True)


def surely_faster(rounds: Sequence[Round], one: str, other: str, gain: float = 1.0) -> bool:
    """Whether one candidate is faster than another by a factor, beyond the noise.

    Wilcoxon's signed-rank test over rounds ("Individual Comparisons by Ranking Methods", Biometrics Bulletin
    1(6), 1945), exact and one-sided: were it no faster, it would win so clearly by chance in one of twenty
    such comparisons at most. It goes by ranks, so that a round in which one was interrupted counts little.

    Args:
        rounds: in which both were timed, if possible others than those by which `one` was picked.
        one: who should be faster.
        other: than whom.
        gain: by how much, such as 1.02.

    Example:
        >>> surely_faster([{"a": (1.0,), "b": (1.1,)}] * 4, "a", "b")  # four of four is luck in one of 16
        False
        >>> surely_faster([{"a": (1.0,), "b": (1.1,)}] * 5, "a", "b")
        True
    """
    both = [each for each in rounds if one in each and other in each]
    gains = [-statistics.fmean(row) - math.log(gain) for row in _log_ratios(both, one, other)]
    return _chance_of(gains) <= _CHANCE


def _chance_of(gains: Sequence[float]) -> float:
    """Return the p-value of the positive differences: the probability of these or larger by chance."""
    order = sorted(gains, key=abs)
    won = sum(rank for rank, gain in enumerate(order, start=1) if gain > 0)
    # Of how many choices of signs the positive ranks sum to each number.
    ways = [1]
    for rank in range(1, len(order) + 1):
        ways = [
            (ways[total] if total < len(ways) else 0) + (ways[total - rank] if total >= rank else 0)
            for total in range(len(ways) + rank)
        ]
    return float(sum(ways[won:]) / 2 ** len(order))


def _log_ratios(rounds: Iterable[Round], name: str, reference: str) -> list[list[float]]:
    return [
        [math.log(time / base) for time, base in zip(one[name], one[reference], strict=True)]
        for one in rounds
        if name in one and reference in one
    ]


def _relative_range(times: Sequence[float]) -> float:
    if len(times) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(times, n=4)
    return (high - low) / middle
