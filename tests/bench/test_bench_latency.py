"""Latency: statistics worked by hand, and turns taken on a clock that the test moves."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osnet_edge.bench import LatencyStats, measure_interleaved, measure_latency
from osnet_edge.runtime.errors import InputError

MS = 1_000_000


class FakeClock:
    """Nanoseconds that pass only while an engine runs."""

    def __init__(self) -> None:
        self.now = 0
        self.calls: list[str] = []

    def __call__(self) -> int:
        return self.now

    def engine(self, name: str, *durations_ms: int) -> Callable[[], None]:
        def run() -> None:
            self.now += durations_ms[self.calls.count(name) % len(durations_ms)] * MS
            self.calls.append(name)

        return run


@pytest.mark.parametrize(
    ("samples_ms", "expected"),
    [
        # One call is every statistic.
        ([5], {"p50_ms": 5, "p99_ms": 5, "max_ms": 5, "cv": 0}),
        # A hundred calls: p of them are not above the p-th percentile's neighbour, as trtexec counts.
        (range(1, 101), {"p50_ms": 50.5, "p90_ms": 90, "p95_ms": 95, "p99_ms": 99, "mean_ms": 50.5}),
        # Too few calls to leave any out: the high percentiles are the maximum.
        (range(1, 11), {"p50_ms": 5.5, "p90_ms": 9, "p95_ms": 10, "p99_ms": 10, "max_ms": 10}),
        # Deviation 1 on a mean of 2.
        ([1, 3], {"mean_ms": 2, "cv": 0.5, "min_ms": 1, "iterations": 2}),
        # A clock too coarse to see the calls.
        ([0, 0], {"mean_ms": 0, "cv": 0}),
    ],
)
def test_statistics(samples_ms: list[int], expected: dict[str, float]) -> None:
    stats = LatencyStats.from_nanoseconds([ms * MS for ms in samples_ms])
    assert {name: getattr(stats, name) for name in expected} == pytest.approx(expected)


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=50))
def test_percentiles_but_the_median_are_samples_in_order(samples: list[int]) -> None:
    stats = LatencyStats.from_nanoseconds(samples)
    rising = [stats.min_ms, stats.p50_ms, stats.p90_ms, stats.p95_ms, stats.p99_ms, stats.max_ms]
    assert rising == sorted(rising)
    assert set(rising) - {stats.p50_ms} <= {sample / MS for sample in samples}


def test_throughput_is_batch_over_mean() -> None:
    assert LatencyStats.from_nanoseconds([2 * MS, 6 * MS]).images_per_second(8) == pytest.approx(2000)
    assert LatencyStats.from_nanoseconds([0]).images_per_second(8) == 0


def test_warm_up_is_not_kept() -> None:
    clock = FakeClock()
    # The first two calls take 100 ms each and fill the warm-up of 0.2 s.
    run = clock.engine("a", *[100, 100, *[10] * 1000])
    stats = measure_latency(run, warmup_s=0.2, duration_s=0.5, clock=clock)
    assert (stats.max_ms, stats.iterations) == (10, 50)


def test_slow_calls_are_still_made_often_enough() -> None:
    clock = FakeClock()
    stats = measure_latency(clock.engine("a", 1000), warmup_s=0, duration_s=1, min_iterations=7, clock=clock)
    assert stats.iterations == 7


def test_turns_alternate_and_their_first_call_is_not_kept() -> None:
    clock = FakeClock()
    # Call 0 is the warm-up, call 1 the first of the turn, which another engine's leftovers slow down.
    runs = {"a": clock.engine("a", 1, 90, 10, 10), "b": clock.engine("b", 1, 90, 20)}
    stats = measure_interleaved(runs, warmup_s=0, duration_s=0.02, min_iterations=1, turn_s=0.02, clock=clock)
    assert clock.calls == ["a", "b", "a", "a", "a", "b", "b"]
    assert list(stats) == ["a", "b"]
    assert (stats["a"].mean_ms, stats["a"].iterations) == (10, 2)
    assert (stats["b"].mean_ms, stats["b"].iterations) == (20, 1)


def test_every_engine_takes_turns_until_the_last_is_done() -> None:
    clock = FakeClock()
    runs = {"quick": clock.engine("quick", 1), "slow": clock.engine("slow", 50)}
    stats = measure_interleaved(runs, duration_s=0.1, min_iterations=4, turn_s=0.01, clock=clock)
    assert stats["slow"].iterations == 10
    assert stats["quick"].iterations == 100


def test_progress_rises_to_one() -> None:
    clock, shares = FakeClock(), []
    measure_latency(clock.engine("a", 30), duration_s=1, progress=shares.append, clock=clock)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    assert len(shares) > 5


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_off_inside_and_as_before_after(enabled: bool) -> None:
    def run() -> None:
        assert not gc.isenabled()
        raise RuntimeError("engine lost")

    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(RuntimeError, match="engine lost"):
            measure_latency(run)
        assert gc.isenabled() is enabled
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "options", [{"warmup_s": -1}, {"duration_s": -1}, {"turn_s": -0.1}, {"min_iterations": 0}]
)
def test_impossible_settings_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match="at least 1 iteration"):
        measure_interleaved({"a": lambda: None}, **options)  # type: ignore[arg-type]


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(InputError, match="at least one call"):
        measure_interleaved({})
    with pytest.raises(InputError, match="at least one duration"):
        LatencyStats.from_nanoseconds([])
