"""How long calls take, by the clock on the wall: engines are timed in rounds, A B C A B C.

In rounds, because a noisy machine then treats all engines alike: a slow minute falls on every one of them,
and the *ratios* within a round hold even where times do not. In each round an engine is called back to back;
the first call finds the caches full of another engine's weights, so it is made but not kept.

Definitions, which trtexec's users will recognise:

* *latency* of a call is the wall-clock time from entering it to its return: for an engine on a GPU that is
  copy in, compute and copy out (trtexec's "Latency", its H2D + GPU compute + D2H), because the call returns
  only when the result is in host memory. For an engine on the CPU it is the inference.
* *percentile p* of n samples is the sample with `floor(n * (100 - p) / 100)` samples after it in sorted
  order, and p50 is the median, half-way between the middle two of an even number: trtexec's definitions.
* *throughput* is `batch / mean latency`: images a second of one caller that calls again at once. trtexec
  divides queries by the wall time of the run, which with several streams in flight can be more.
* *cv*, the coefficient of variation, is the standard deviation divided by the mean; trtexec warns above
  0.025. It says how quiet the machine was.

The defaults (warm-up 0.2 s, at least 3 s and at least 10 calls) are trtexec's. Reading the clock twice costs
about 0.1 microseconds a call, which is in every sample; storing the sample happens after the second reading.
"""

from __future__ import annotations

import gc
import itertools
import math
import random
import statistics
import time
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from osnet_edge.bench._require import require
from osnet_edge.runtime.errors import InputError

#: A call to time; it returns only when its work is done.
Run = Callable[[], object]
#: Times an engine's calls of one round, in nanoseconds; None where it failed and takes no further part.
Timer = Callable[[], Sequence[int] | None]

_NS_PER_MS, _NS_PER_S = 1_000_000, 1_000_000_000
#: Seconds that an engine is called in each round.
ROUND_S = 0.1


@dataclass(frozen=True)
class LatencyStats:
    """Statistics of the calls measured; times in milliseconds, terms as defined in this module."""

    mean_ms: float
    min_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    cv: float
    iterations: int

    def __post_init__(self) -> None:
        rising = (self.min_ms, self.p50_ms, self.p90_ms, self.p95_ms, self.p99_ms, self.max_ms)
        require(rising[0] >= 0 and list(rising) == sorted(rising), "rising percentiles", rising)
        require(self.min_ms <= self.mean_ms <= self.max_ms, "a mean within the range", self.mean_ms)
        require(self.cv >= 0, "a cv of 0 or more", self.cv)
        require(self.iterations >= 1, "1 iteration or more", self.iterations)

    @classmethod
    def from_nanoseconds(cls, samples: Sequence[int]) -> LatencyStats:
        """Compute the statistics of `samples`, one duration in nanoseconds per call.

        Raises:
            InputError: there are no samples, or one is negative.

        Example:
            >>> LatencyStats.from_nanoseconds([1_000_000, 2_000_000, 6_000_000]).p50_ms
            2.0
        """
        if not samples or min(samples) < 0:
            raise InputError(
                "expected at least one duration, none of them negative; measure some calls first"
            )
        ordered = sorted(samples)
        count = len(ordered)
        mean = sum(ordered) / count
        variance = sum((sample - mean) ** 2 for sample in ordered) / count

        def percentile(p: int) -> float:
            return ordered[count - 1 - count * (100 - p) // 100] / _NS_PER_MS

        return cls(
            mean_ms=mean / _NS_PER_MS,
            min_ms=ordered[0] / _NS_PER_MS,
            p50_ms=statistics.median(ordered) / _NS_PER_MS,
            p90_ms=percentile(90),
            p95_ms=percentile(95),
            p99_ms=percentile(99),
            max_ms=ordered[-1] / _NS_PER_MS,
            cv=math.sqrt(variance) / mean if mean else 0.0,
            iterations=count,
        )

    def images_per_second(self, batch: int) -> float:
        """Return the throughput of one caller at `batch` images a call; 0 if the clock saw no time pass."""
        return batch * 1000 / self.mean_ms if self.mean_ms else 0.0


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Keep the collector from running inside a call: its pause would be read as the engine's own tail."""
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
        lead: whether to make a call first that is not kept, since other engines ran before.

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
    """What was kept of one engine: the calls of each round, in nanoseconds, and their sum and number."""

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
        """Return how much is done: the lesser of time spent in calls and number of calls."""
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

    An engine that fails keeps its rounds until then; the rest goes on.

    Args:
        timers: of each engine, by its name.
        kept: what was measured is put here as it comes, so that an interruption loses nothing.
        duration_s: measure until this much time has been spent inside each engine's calls,
        min_iterations: and at least this many calls.
        progress: told the share done, in [0, 1], before every round and at the end.
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
