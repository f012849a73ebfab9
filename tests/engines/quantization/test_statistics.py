"""How the values of activations are counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, numpy_helper
from tensorrt_graphs import pictures

from osnet_edge.engines.quantization.layers import find_layers
from osnet_edge.engines.quantization.statistics import ChannelHistograms, collect
from osnet_edge.engines.quantization.table import make_table
from osnet_edge.runtime.errors import InputError
from quantization.graphs import model_of


@given(
    parts=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    scale=st.floats(1e-6, 1e6),
    seed=st.integers(0, 99),
)
@settings(max_examples=40)
def test_counting_in_parts_gives_what_counting_at_once_gives(
    parts: list[int], scale: float, seed: int
) -> None:
    values = (np.random.default_rng(seed).standard_normal((3, sum(parts))) * scale).astype(np.float32)
    values[1] = 0
    piecewise, at_once = ChannelHistograms.of(3), ChannelHistograms.of(3)
    for part in np.split(values, np.cumsum(parts)[:-1], axis=1):
        piecewise.add(part)
    at_once.add(values)
    assert np.array_equal(piecewise.largest, at_once.largest)
    assert np.allclose(piecewise.mean, at_once.mean, rtol=1e-5, atol=1e-7 * scale)
    assert piecewise.counts.sum() == at_once.counts.sum() == values.size
    # Each value is within a bin of where it is counted, and a limit is less than twice the largest value.
    assert (piecewise.limit[[0, 2]] < 2 * piecewise.largest[[0, 2]]).all()
    for counted in (piecewise, at_once):
        size = (counted.counts.sum(axis=0) * counted.centres).sum(axis=1)
        assert np.allclose(
            size, np.abs(values).sum(axis=1), rtol=0, atol=counted.limit / 512 * values.shape[1]
        )


def damaged(tensor: str, value: float) -> ModelProto:
    """A network of one convolution whose weights give `value` everywhere."""
    model = ModelProto()
    model.CopyFrom(model_of("osnet_x0_25"))
    for weight in model.graph.initializer:
        if weight.name == tensor:
            values = np.full(tuple(weight.dims), value, np.float32)
            weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    return model


@pytest.mark.parametrize(
    ("value", "bias", "message"),
    [
        (np.nan, None, "are not finite on the calibration pictures"),
        (np.inf, None, "are not finite on the calibration pictures"),
        (0.0, 0.0, "are 0 on all calibration pictures, so they have no range"),
        (0.0, 0.5, "are constant on all calibration pictures, so they have no range"),
    ],
)
def test_activations_without_a_range_are_one_clear_line(
    value: float, bias: float | None, message: str
) -> None:
    layer = next(each for each in find_layers(model_of("osnet_x0_25")) if each.kind == "depthwise")
    node = next(n for n in model_of("osnet_x0_25").graph.node if n.name == layer.node)
    broken = damaged(layer.weight, value)
    for weight in broken.graph.initializer:
        if bias is not None and weight.name == node.input[2]:
            filled = np.full(tuple(weight.dims), bias, np.float32)
            weight.CopyFrom(numpy_helper.from_array(filled, weight.name))
    with pytest.raises(InputError, match=message):
        make_table(broken, [pictures(2)], graph_sha256="g", pictures_sha256="p")


def test_statistics_are_of_the_tensors_that_were_asked_for() -> None:
    layers = find_layers(model_of("osnet_x0_25"))
    found = collect(model_of("osnet_x0_25"), [layers[0].output], [pictures(2)])
    assert list(found) == [layers[0].output]
    assert found[layers[0].output].signed
