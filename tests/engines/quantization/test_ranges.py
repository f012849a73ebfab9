"""Ranges of activations, and what weights are rounded to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osnet_edge.engines.quantization.ranges import METHODS, quantize_weights

histograms = st.lists(st.integers(0, 1000), min_size=256, max_size=256).filter(lambda c: sum(c[1:]) > 0)


@pytest.mark.parametrize("method", METHODS)
@given(counts=histograms, largest=st.floats(1e-3, 1e3), levels=st.sampled_from([127, 255]))
@settings(max_examples=25)
def test_a_range_is_within_the_values_and_goes_with_their_unit(
    method: str, counts: list[int], largest: float, levels: int
) -> None:
    choose, spread = METHODS[method], np.asarray(counts, np.float64)
    found = choose(spread, largest, levels)
    assert 0 < found <= largest * (1 + 1e-9)
    assert choose(spread, 1.0, levels) == pytest.approx(found / largest)


@given(counts=histograms, levels=st.sampled_from([127, 255]))
@settings(max_examples=25)
def test_no_other_method_has_a_smaller_squared_error_than_mse(counts: list[int], levels: int) -> None:
    spread = np.asarray(counts, np.float64)
    values = (np.arange(256) + 0.5) / 256
    values[0] = 0

    def error(limit: float) -> float:
        step = limit / levels
        return float(spread @ (values - np.minimum(np.round(values / step), levels) * step) ** 2)

    least = error(METHODS["mse"](spread, 1.0, levels))
    assert all(least <= error(share) + 1e-9 for share in np.linspace(0.05, 1, 96))


def test_outliers_are_cut_by_all_methods_but_minmax() -> None:
    spread = 1e6 * np.exp(-((np.arange(2048) / 128) ** 2))
    spread[-1] += 1
    found = {name: choose(spread, 8.0, 127) for name, choose in METHODS.items()}
    assert found["minmax"] == 8.0
    assert all(0.5 < found[name] < 3 for name in ("mse", "percentile", "entropy")), found


@given(seed=st.integers(0, 999), channels=st.integers(1, 8))
@settings(max_examples=25)
def test_weights_are_rounded_by_half_a_step_at_most(seed: int, channels: int) -> None:
    weights = (
        np.random.default_rng(seed).standard_normal((channels, 5)) * 10.0 ** np.arange(channels)[:, None]
    )
    integers, scales = quantize_weights(weights)
    assert np.abs(integers).max(axis=1).tolist() == [127] * channels
    assert (np.abs(integers * scales[:, None] - weights) <= scales[:, None] * 0.5001).all()
