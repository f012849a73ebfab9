"""Engines take turns, A B C A B C, so that a noisy machine treats them alike.

A slow minute then falls on every one of them, and the *ratios* of turns of one round hold even where times do
not. A turn is a run of calls back to back, 0.1 s of them; the first call of a turn finds the caches full of
another engine's weights, so it is made but not kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from statistics import median

from osnet_edge.bench.measure.latency import Clock, LatencyStats, Run, no_garbage_collection, take_turn
from osnet_edge.runtime.errors import InputError

_NS_PER_MS, _NS_PER_S = 1_000_000, 1_000_000_000
TURN_S = 0.1

#: Runs a turn of so many seconds; returns the nanoseconds of each call, or None where there will be no more.
Turn = Callable[[float], list[int] | None]
Progress = Callable[[float], None]


@dataclass
class Turns:
    """What was kept of one engine: the calls of each turn, in nanoseconds, and their sum and number."""

    calls: list[list[int]] = field(default_factory=list)
    spent_ns: int = 0
    count: int = 0

    def keep(self, calls: list[int]) -> None:
        """Add a turn."""
        self.calls.append(calls)
        self.spent_ns += sum(calls)
        self.count += len(calls)

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
        time_share = self.spent_ns / (duration_s * _NS_PER_S) if duration_s else 1.0
        return min(time_share, self.count / min_iterations)


def take_turns(
    turns: Mapping[str, Turn],
    kept: MutableMapping[str, Turns],
    *,
    duration_s: float,
    min_iterations: int,
    turn_s: float = TURN_S,
    progress: Progress | None = None,
) -> None:
    """Let engines take turns until each has run long and often enough.

    An engine whose turn is None keeps its turns until then; the rest goes on.

    Args:
        turns: a turn of each engine, in the order to take them.
        kept: what was measured is put here as it comes, so that an interruption loses nothing.
        duration_s: measure until this much time has been spent inside each engine's calls,
        min_iterations: and at least this many calls.
        turn_s: how long a turn lasts.
        progress: told the share done, in [0, 1], before every round and at the end.
    """
    kept.update({name: Turns() for name in turns})
    going = dict(turns)
    report = progress or (lambda share: None)
    while going and (done := min(kept[name].share(duration_s, min_iterations) for name in going)) < 1:
        report(done)
        for name, turn in list(going.items()):
            calls = turn(min(turn_s, duration_s))
            if calls is None:
                del going[name]
            else:
                kept[name].keep(calls)
    report(1.0)


def measure_latency(
    run: Run,
    *,
    warmup_s: float = 0.2,
    duration_s: float = 3.0,
    min_iterations: int = 10,
    progress: Progress | None = None,
    clock: Clock = time.perf_counter_ns,
) -> LatencyStats:
    """Call `run` back to back and return the statistics of how long it takes.

    Args:
        run: the call to measure; it must return only when its work is done.
        warmup_s: call it for this long first, and at least once, without keeping the times.
        duration_s: then measure until this much time has been spent inside calls,
        min_iterations: and at least this many calls.
        progress: told the share done, in [0, 1], ten times a second and between calls.
        clock: nanoseconds, never running backwards.

    Raises:
        InputError: a duration is negative or no call is asked for. What `run` raises passes through.
    """
    only = measure_interleaved(
        {"run": run},
        warmup_s=warmup_s,
        duration_s=duration_s,
        min_iterations=min_iterations,
        progress=progress,
        clock=clock,
    )
    return only["run"]


def measure_interleaved(
    runs: Mapping[str, Run],
    *,
    warmup_s: float = 0.2,
    duration_s: float = 3.0,
    min_iterations: int = 10,
    turn_s: float = TURN_S,
    progress: Progress | None = None,
    clock: Clock = time.perf_counter_ns,
) -> dict[str, LatencyStats]:
    """Measure several calls of this process in turns.

    Args:
        runs: the calls by name, in the order to take turns.
        warmup_s: as in `measure_latency`, for each.
        duration_s: as in `measure_latency`, for each.
        min_iterations: as in `measure_latency`, for each.
        turn_s: how long one turn lasts; 0 makes a turn one kept call.
        progress: as in `measure_latency`.
        clock: as in `measure_latency`.

    Returns:
        The statistics by name, in the order given.

    Raises:
        InputError: nothing to measure, a duration is negative, or no call is asked for.
    """
    if not runs:
        raise InputError("expected at least one call to measure, but got none")
    if min(warmup_s, duration_s, turn_s) < 0 or min_iterations < 1:
        raise InputError(
            f"expected durations of 0 s or more and at least 1 iteration, but got warm-up {warmup_s} s, "
            f"duration {duration_s} s, turn {turn_s} s and {min_iterations} iterations"
        )

    def turn_of(run: Run) -> Turn:
        def turn(seconds: float) -> list[int]:
            if len(runs) > 1:
                run()
            return take_turn(run, seconds * _NS_PER_S, clock)

        return turn

    kept: dict[str, Turns] = {}
    with no_garbage_collection():
        for run in runs.values():
            take_turn(run, warmup_s * _NS_PER_S, clock)
        take_turns(
            {name: turn_of(run) for name, run in runs.items()},
            kept,
            duration_s=duration_s,
            min_iterations=min_iterations,
            turn_s=turn_s,
            progress=progress,
        )
    found = {name: turns.stats for name, turns in kept.items()}
    return {name: stats for name, stats in found.items() if stats}
