"""What measuring costs: an engine of exactly 1 ms, timed by the harness and by a bare loop, in rounds.

Run it as `python scripts/bench_overhead.py`. The engine spins for 1 ms of its thread's own time, so that
what other processes take is not work of its; the harness runs in a process of its own, through every layer
that a package's engine runs through.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import click
import numpy as np

from osnet_edge.bench.measure.engine_process import BenchTarget, EngineProcess
from osnet_edge.bench.measure.latency import ROUND_S, time_calls
from osnet_edge.bench.measure.runners import Batch, Runner, RunnerFacts
from osnet_edge.bench.measure.worker import Worker
from osnet_edge.bench.metrics.distances import FloatArray
from osnet_edge.bench.metrics.statistics import paired_ratio

#: What a call takes, in nanoseconds.
CALL_NS = 1_000_000
_ROWS = np.zeros((1, 1), np.float32)


@dataclass(frozen=True)
class Overhead:
    """Medians of what a call of 1 ms is said to take, in milliseconds.

    Attributes:
        bare_ms: by a loop around the engine and two readings of the clock.
        harness_ms: by the harness.
        share: of the harness above the bare loop; median over rounds.
        interval: of the share, 95 %; None of fewer than six rounds.
        loop_share: time that the harness takes between calls, which is in no sample, as a share of theirs.
    """

    bare_ms: float
    harness_ms: float
    share: float
    interval: tuple[float, float] | None
    loop_share: float


def spin(batch: Batch) -> FloatArray:
    """Keep the processor busy for 1 ms of its own time."""
    stop = time.thread_time_ns() + CALL_NS
    while time.thread_time_ns() < stop:
        pass
    return _ROWS


class SpinningRunner(Runner):
    """The engine that takes 1 ms."""

    def __init__(self) -> None:
        super().__init__(RunnerFacts("spin", "fp32", "spin", 0, None, 0.0))

    def infer(self, batch: Batch) -> FloatArray:
        """Take 1 ms."""
        return spin(batch)


def measure_overhead(rounds: int = 60) -> Overhead:
    """Measure the same engine both ways, round by round."""
    process = EngineProcess(BenchTarget("spin", SpinningRunner))
    harness: list[float] = []
    bare: list[float] = []
    between: list[float] = []
    try:
        process.ask(Worker.set_batch, 1, 0.2)
        for _ in range(rounds):
            calls = process.ask(Worker.round, ROUND_S)
            harness.append(statistics.median(calls) / 1e6)
            bare.append(statistics.median(_bare_loop(int(ROUND_S * 1e9 / CALL_NS))) / 1e6)
            between.append(_between())
    finally:
        process.close()
    found = paired_ratio(harness, bare)
    assert found is not None, "a round of calls that take time"
    ratio, interval = found
    return Overhead(
        statistics.median(bare),
        statistics.median(harness),
        ratio - 1,
        (interval[0] - 1, interval[1] - 1) if interval else None,
        statistics.median(between),
    )


def _bare_loop(calls: int) -> list[int]:
    kept = []
    batch = np.zeros((1, 1))
    for _ in range(calls):
        began = time.perf_counter_ns()
        spin(batch)
        kept.append(time.perf_counter_ns() - began)
    return kept


def _between() -> float:
    """Return the share of a round's time that lies between its calls."""
    batch = np.zeros((1, 1))
    began = time.thread_time_ns()
    calls = time_calls(lambda: spin(batch), 20 * CALL_NS / 1e9, lead=False)
    return (time.thread_time_ns() - began) / (len(calls) * CALL_NS) - 1


@click.command(help=__doc__)
@click.option("--rounds", default=60, show_default=True, help="Rounds to time.")
def main(rounds: int) -> None:
    """Print what the harness adds to a call, and what lies between calls."""
    measured = measure_overhead(rounds)
    low, high = measured.interval or (float("nan"), float("nan"))
    print(f"bare loop {measured.bare_ms:.4f} ms, harness {measured.harness_ms:.4f} ms")
    print(f"above it  {measured.share * 100:+.2f} % (95 %: {low * 100:+.2f} to {high * 100:+.2f})")
    print(f"between calls, in no sample: {measured.loop_share * 100:.2f} %")


if __name__ == "__main__":
    main()
