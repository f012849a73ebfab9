"""How the values of activations are counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from tensorrt_graphs import pictures

from osnet_edge.engines.graph.reading import Graph
from osnet_edge.engines.graph.running import tensor_runner
from osnet_edge.engines.quantization.statistics import ChannelHistograms, collect
from osnet_edge.engines.quantization.table import make_table
from osnet_edge.runtime.errors import InputError
from quantization.graphs import graph_of


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


def filled(values: dict[str, float]) -> Graph:
    """A network some of whose weights are one value everywhere."""
    model = graph_of("osnet_x0_25").copy()
    for weight in model.graph.initializer:
        if weight.name in values:
            array = np.full(tuple(weight.dims), values[weight.name], np.float32)
            weight.CopyFrom(numpy_helper.from_array(array, weight.name))
    return Graph(model)


@pytest.mark.parametrize(
    ("value", "bias", "message"),
    [
        (np.nan, None, "are not finite on the calibration images"),
        (np.inf, None, "are not finite on the calibration images"),
        (0.0, 0.0, "are 0 on all calibration images, so they have no range"),
        (0.0, 0.5, "are constant on all calibration images, so they have no range"),
    ],
)
def test_activations_without_a_range_are_one_clear_line(
    value: float, bias: float | None, message: str
) -> None:
    graph = graph_of("osnet_x0_25")
    layer = next(each for each in graph.layers if each.kind == "depthwise")
    biases = {} if bias is None else {graph.makers[layer.output].input[2]: bias}
    broken = filled({layer.weight: value, **biases})
    with pytest.raises(InputError, match=message):
        make_table(broken, [pictures(2)], graph_sha256="g", pictures_sha256="p")


def test_both_sides_of_a_residual_sum_count_where_its_relu_lets_them_through() -> None:
    """Elsewhere they are lost whatever they are. A block's input, which others read too, counts whole."""
    graph, batch = graph_of("osnet_x0_25"), pictures(4)
    first, second = [each for each in graph.layers if each.kind == "sum"][:2]
    (conv3, downsample), (_, block) = (graph.makers[each.output].input for each in (first, second))
    end = graph.readers[first.output][0].output[0]
    assert end == block
    found = collect(graph, [conv3, downsample, block], [batch])
    sides = dict(
        zip([conv3, downsample, end], tensor_runner(graph, [conv3, downsample, end])(batch), strict=True)
    )
    for name in (conv3, downsample):
        through = np.where(sides[end] > 0, sides[name], 0)
        np.testing.assert_array_equal(found[name].lowest, through.min(axis=(0, 2, 3)))
        np.testing.assert_array_equal(found[name].highest, through.max(axis=(0, 2, 3)))
        assert (found[name].lowest > sides[name].min(axis=(0, 2, 3))).any()
    np.testing.assert_array_equal(found[block].highest, sides[end].max(axis=(0, 2, 3)))


def test_statistics_are_of_the_tensors_that_were_asked_for() -> None:
    graph = graph_of("osnet_x0_25")
    found = collect(graph, [graph.layers[0].output], [pictures(2)])
    assert list(found) == [graph.layers[0].output]
    assert found[graph.layers[0].output].signed
