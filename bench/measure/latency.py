"""How long calls take in wall-clock time: engines are timed in rounds, A B C A B C.

In rounds, because a noisy machine then treats all engines alike: a slow minute falls on every one of them,
and the *ratios* within a round hold even where times do not. In each round an engine is called back to back;
the first call is discarded, because the caches are still full of another engine's weights.

`LatencyStats` defines the statistics.

The defaults (warm-up 0.2 s, at least 3 s and at least 10 calls) are trtexec's. Reading the clock twice costs
about 0.1 microseconds a call, which is in every sample; storing the sample happens after the second reading.
"""

from __future__ import annotations

import gc
import itertools
import random
import statistics
import time
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from osnet_edge.bench.result.latency_stats import LatencyStats

#: A call to time; it returns only when its work is done.
Run = Callable[[], object]
#: Times an engine's calls of one round, in nanoseconds; None if it failed and leaves the benchmark.
Timer = Callable[[], Sequence[int] | None]

_NS_PER_MS, _NS_PER_S = 1_000_000, 1_000_000_000
#: Seconds that an engine is called in each round.
ROUND_S = 0.1


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Stop garbage collection during calls: its pauses would count as slow calls of the engine."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def time_calls(run: Run, seconds: float = 0.0, *, lead: bool = True) -> list[int]:
    """Call `run` back to back for so many seconds, and at least once.

    Args:
        run: the call.
        seconds: for all calls together.
        lead: whether to discard the first call, because another engine ran before.

    Returns:
        How long each call took, in nanoseconds.
    """
    clock, most, kept = time.perf_counter_ns, seconds * _NS_PER_S, list[int]()
    with no_garbage_collection():
        if lead:
            run()
        began = stop = clock()
        while not kept or stop - began < most:
            start = clock()
            run()
            stop = clock()
            kept.append(stop - start)
    return kept


def interleave(
    timers: Mapping[str, Timer],
    go_on: Callable[[Collection[str]], bool],
    order: random.Random | None = None,
) -> Iterator[tuple[str, Sequence[int]]]:
    """Time engines in rounds, and yield each engine's calls of each round as they come.

    Args:
        timers: of each engine, by its name.
        go_on: asked before each round, with the names of the engines that are left.
        order: puts the engines of each round in an order of its own; None keeps theirs.
    """
    left = dict(timers)
    while left and go_on(left.keys()):
        for name in order.sample(list(left), len(left)) if order else list(left):
            calls = left[name]()
            if calls is None:
                del left[name]
            else:
                yield name, calls


def rounds_within(seconds: float, least: int, most: int | None = None) -> Callable[[Collection[str]], bool]:
    """Return when `interleave` goes on: until the time is up, counted from now.

    Args:
        seconds: for all engines together.
        least: rounds in any case.
        most: rounds in no case exceeded; None for no limit.
    """
    began, count = time.perf_counter(), itertools.count()

    def go_on(left: Collection[str]) -> bool:
        done = next(count)
        in_time = time.perf_counter() - began < seconds and (most is None or done < most)
        return done < least or in_time

    return go_on


def median_times(
    runs: Mapping[str, Run], seconds: float = 0.0, *, rounds: int = 3, round_s: float = 0.0
) -> dict[str, float]:
    """Time calls of this process in rounds.

    Args:
        runs: by name.
        seconds: for all together.
        rounds: to make in any case.
        round_s: seconds that each is called in a round, and at least once.

    Returns:
        The median of a call in milliseconds, by name.
    """
    times: dict[str, list[int]] = {name: [] for name in runs}
    timers = {name: partial(time_calls, run, round_s) for name, run in runs.items()}
    for name, calls in interleave(timers, rounds_within(seconds, rounds)):
        times[name] += calls
    return {name: statistics.median(kept) / _NS_PER_MS for name, kept in times.items()}


@dataclass
class Rounds:
    """The measured calls of one engine in each round, in nanoseconds, and their sum and number."""

    calls: list[Sequence[int]] = field(default_factory=list)
    spent_ns: int = 0
    count: int = 0

    def keep(self, calls: Sequence[int]) -> None:
        """Add a round."""
        self.calls.append(calls)
        self.spent_ns += sum(calls)
        self.count += len(calls)

    @property
    def stats(self) -> LatencyStats | None:
        """Statistics of all calls; None where there are none."""
        flat = [call for calls in self.calls for call in calls]
        return LatencyStats.from_nanoseconds(flat) if flat else None

    @property
    def medians_ms(self) -> tuple[float, ...]:
        """Median call of each round, in milliseconds."""
        return tuple(statistics.median(calls) / _NS_PER_MS for calls in self.calls)

    def share(self, duration_s: float, min_iterations: int) -> float:
        """Return the share that is done: the smaller of those of time in calls and number of calls."""
        time_share = self.spent_ns / (duration_s * _NS_PER_S) if duration_s else 1.0
        return min(time_share, self.count / min_iterations)


def measure_rounds(
    timers: Mapping[str, Timer],
    kept: MutableMapping[str, Rounds],
    *,
    duration_s: float,
    min_iterations: int,
    progress: Callable[[float], None] = lambda share: None,
) -> None:
    """Time engines in rounds until each has run long and often enough.

    An engine that fails keeps its earlier rounds, and the others continue.

    Args:
        timers: of each engine, by its name.
        kept: what was measured is put here as it comes, so that an interruption loses nothing.
        duration_s: measure until this much time has been spent inside each engine's calls,
        min_iterations: and at least this many calls.
        progress: called with the share done, in [0, 1], before every round and at the end.
    """
    kept.update({name: Rounds() for name in timers})

    def go_on(left: Collection[str]) -> bool:
        done = min(kept[name].share(duration_s, min_iterations) for name in left)
        if done < 1:
            progress(done)
        return done < 1

    for name, calls in interleave(timers, go_on):
        kept[name].keep(calls)
    progress(1.0)
