"""Intervals of medians, and ratios of rounds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osnet_edge.bench.metrics.statistics import median_interval, paired_ratio


@given(st.lists(st.floats(0.001, 1e6), max_size=60))
def test_an_interval_encloses_the_median_and_takes_its_ends_from_the_draws(values: list[float]) -> None:
    found = median_interval(values)
    if found is None:
        assert len(values) < 6
    else:
        assert found[0] <= float(np.median(values)) <= found[1]
        assert set(found) <= set(values)


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        low, high = median_interval(rng.lognormal(size=30).tolist()) or (0, 0)
        held += low <= 1 <= high
    # At least 95 %; with 30 draws the next narrower one would hold 90 %.
    assert 0.94 <= held / 1000 <= 0.99


def slow_for_a_while(rng: np.random.Generator, rounds: int, dwell: float) -> list[float]:
    """An engine that shares its core with another program for `dwell` rounds at a time, or does not."""
    times, shared = list[float](), rng.random() < 0.5
    for _ in range(rounds):
        shared = rng.random() < 0.5 if rng.random() < 1 / dwell else shared
        times.append((1.8 if shared else 1.0) * float(rng.lognormal(sigma=0.05)))
    return times


def correlated(rng: np.random.Generator, rounds: int, correlation: float) -> list[float]:
    """An engine whose turns are as slow as the one before, by a share, and disturbed anew (AR(1))."""
    logs = [float(rng.standard_t(3)) / (1 - correlation**2) ** 0.5]
    for _ in range(rounds - 1):
        logs.append(correlation * logs[-1] + float(rng.standard_t(3)))
    return [float(np.exp(0.1 * each)) for each in logs]


@pytest.mark.parametrize("rounds", [30, 60])
@pytest.mark.parametrize(
    "times",
    [
        pytest.param(lambda rng, rounds: slow_for_a_while(rng, rounds, 1), id="every round anew"),
        pytest.param(lambda rng, rounds: slow_for_a_while(rng, rounds, 3), id="for three rounds"),
        pytest.param(lambda rng, rounds: correlated(rng, rounds, 0.5), id="half of the round before"),
        pytest.param(lambda rng, rounds: correlated(rng, rounds, 0.7), id="most of the round before"),
    ],
)
def test_identical_engines_are_not_told_apart_on_a_busy_machine(
    times: Callable[[np.random.Generator, int], list[float]], rounds: int
) -> None:
    rng, held, runs = np.random.default_rng(0), 0, 600
    for _ in range(runs):
        _, interval = paired_ratio(times(rng, rounds), times(rng, rounds)) or (0, None)
        assert interval is not None
        held += interval[0] <= 1 <= interval[1]
    assert held / runs >= 0.93


@given(st.lists(st.floats(0.1, 100), min_size=6, max_size=40), st.floats(0.1, 10))
def test_a_noisy_machine_leaves_ratios_of_rounds_alone(noise: list[float], speed: float) -> None:
    found = paired_ratio(noise, [each / speed for each in noise])
    assert found is not None
    assert found[0] == pytest.approx(speed)
    assert found[1] == pytest.approx((speed, speed))


def test_ratios_of_nothing() -> None:
    assert paired_ratio([], [1.0]) is None
    assert paired_ratio([1.0], [0.0]) is None
