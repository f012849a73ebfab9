"""How long a call takes, by the clock on the wall, with definitions that trtexec's users will recognise.

Definitions:

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
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from osnet_edge.runtime.errors import InputError

Run = Callable[[], object]
Progress = Callable[[float], None]
Clock = Callable[[], int]

_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000


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
        progress: told the share done, in [0, 1], at most ten times a second and between calls.
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
    turn_s: float = 0.1,
    progress: Progress | None = None,
    clock: Clock = time.perf_counter_ns,
) -> dict[str, LatencyStats]:
    """Measure several calls in turns, A B C A B C, so that a noisy machine treats them alike.

    A slow minute then falls on every one of them, and their *ratios* hold even where their times do not. A
    turn is a run of calls back to back; the first call of a turn finds the caches full of another engine's
    weights, so it is made but not kept.

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
    turn_ns = min(turn_s, duration_s) * _NS_PER_S
    samples: dict[str, list[int]] = {name: [] for name in runs}
    report = _throttled(progress, clock)

    def share_done() -> float:
        return min(_share(kept, duration_s * _NS_PER_S, min_iterations) for kept in samples.values())

    with no_garbage_collection():
        for run in runs.values():
            take_turn(run, warmup_s * _NS_PER_S, clock)
        while (done := share_done()) < 1:
            report(done)
            for name, run in runs.items():
                if len(runs) > 1:
                    run()
                samples[name] += take_turn(run, turn_ns, clock)
    if progress is not None:
        progress(1.0)
    return {name: LatencyStats.from_nanoseconds(kept) for name, kept in samples.items()}


def take_turn(run: Run, turn_ns: float, clock: Clock = time.perf_counter_ns) -> list[int]:
    """Call `run` back to back, at least once, until the turn is over; return how long each call took."""
    kept: list[int] = []
    began = stop = clock()
    while not kept or stop - began < turn_ns:
        start = clock()
        run()
        stop = clock()
        kept.append(stop - start)
    return kept


def _share(kept: list[int], goal_ns: float, goal_iterations: int) -> float:
    """Return how much of the measurement is done: the lesser of time spent in calls and number of calls."""
    time_share = sum(kept) / goal_ns if goal_ns else 1.0
    return min(time_share, len(kept) / goal_iterations)


def _throttled(progress: Progress | None, clock: Clock) -> Progress:
    """Return a `progress` that speaks at most ten times a second, so that a terminal costs nothing."""
    last = -_NS_PER_S

    def report(share: float) -> None:
        nonlocal last
        if progress is not None and clock() - last >= _NS_PER_S // 10:
            last = clock()
            progress(share)

    return report


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
