"""Engines take turns, A B C A B C, so that a noisy machine treats them alike.

A slow minute then falls on every one of them, and the *ratios* of turns of one round hold even where times do
not. A turn is a run of calls back to back, 0.1 s of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from statistics import median

from osnet_edge.bench.latency import LatencyStats
from osnet_edge.runtime.errors import OsnetEdgeError

_NS_PER_MS, _NS_PER_S = 1_000_000, 1_000_000_000
TURN_S = 0.1

#: Runs a turn of so many seconds; returns the nanoseconds of each call.
Turn = Callable[[float], list[int]]


@dataclass
class Turns:
    """What was kept of one engine: the calls of each turn, in nanoseconds, and why there are no more."""

    calls: list[list[int]] = field(default_factory=list)
    problem: str | None = None

    @property
    def stats(self) -> LatencyStats | None:
        """Statistics of all calls; None where there are none."""
        flat = [call for turn in self.calls for call in turn]
        return LatencyStats.from_nanoseconds(flat) if flat else None

    @property
    def medians_ms(self) -> tuple[float, ...]:
        """Median call of each turn, in milliseconds."""
        return tuple(median(turn) / _NS_PER_MS for turn in self.calls)

    def share(self, duration_s: float, min_iterations: int) -> float:
        """Return how much is done: the lesser of time spent in calls and number of calls."""
        if self.problem:
            return 1.0
        spent, count = sum(map(sum, self.calls)), sum(map(len, self.calls))
        return min(spent / (duration_s * _NS_PER_S) if duration_s else 1.0, count / min_iterations)


def take_turns(
    turns: Mapping[str, Turn],
    kept: MutableMapping[str, Turns],
    *,
    duration_s: float,
    min_iterations: int,
    turn_s: float = TURN_S,
    progress: Callable[[float], None] = lambda share: None,
) -> None:
    """Let engines take turns until each has run long and often enough.

    Args:
        turns: a turn of each engine, in the order to take them.
        kept: what was measured is put here as it comes, so that an interruption loses nothing.
        duration_s: measure until this much time has been spent inside each engine's calls,
        min_iterations: and at least this many calls.
        turn_s: how long a turn lasts.
        progress: told the share done, in [0, 1].

    An engine that fails keeps its turns until then, and says why; the rest goes on.
    """
    kept.update({name: Turns() for name in turns})

    def done() -> float:
        return min(each.share(duration_s, min_iterations) for each in kept.values())

    while kept and (share := done()) < 1:
        progress(share)
        for name, turn in turns.items():
            if kept[name].problem:
                continue
            try:
                kept[name].calls.append(turn(min(turn_s, duration_s)))
            except OsnetEdgeError as error:
                kept[name].problem = str(error)
    progress(1.0)
