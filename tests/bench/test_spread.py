"""Intervals of medians, and ratios of rounds."""

from __future__ import annotations

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


@given(st.lists(st.floats(0.1, 100), min_size=6, max_size=40), st.floats(0.1, 10))
def test_a_noisy_machine_leaves_ratios_of_rounds_alone(noise: list[float], speed: float) -> None:
    found = paired_ratio(noise, [each / speed for each in noise])
    assert found is not None
    assert found[0] == pytest.approx(speed)
    assert found[1] == pytest.approx((speed, speed))


def test_ratios_of_nothing() -> None:
    assert paired_ratio([], [1.0]) is None
    assert paired_ratio([1.0], [0.0]) is None
