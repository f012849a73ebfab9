"""Statistics of calls, worked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osnet_edge.bench import LatencyStats
from osnet_edge.runtime.errors import InputError

MS = 1_000_000


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


def test_statistics_of_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="at least one duration"):
        LatencyStats.from_nanoseconds([])
