"""Equalisation, which changes nothing, and bias correction."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from tensorrt_graphs import pictures

from osnet_edge.engines.graph.reading import Graph
from osnet_edge.engines.quantization.correction import correct_biases
from osnet_edge.engines.quantization.equalization import equalize
from osnet_edge.engines.quantization.qdq import insert_qdq
from osnet_edge.engines.quantization.rules import TENSORRT
from osnet_edge.engines.quantization.statistics import collect
from osnet_edge.engines.quantization.table import make_table
from quantization.graphs import graph_of, run, table_of


@pytest.mark.parametrize("name", ["osnet_x0_25", "osnet_ibn_x1_0", "osnet_ain_x0_25"])
def test_equalising_changes_nothing_but_how_even_channels_are(name: str) -> None:
    graph, table = graph_of(name), table_of(name)
    factors = {key: np.asarray(each.factors) for key, each in table.tensors.items() if each.factors}
    even = equalize(graph, factors)
    before, after = run(graph, pictures(3)), run(even, pictures(3))
    assert np.abs(after - before).max() <= 2e-5 * np.abs(before).max()
    reads = [layer.input for layer in graph.layers if layer.kind == "depthwise"]
    spreads = [collect(each, reads, [pictures(4)]) for each in (graph, even)]
    ratios = [
        np.median([(s.largest.max() / np.median(s.largest)) for s in spread.values()]) for spread in spreads
    ]
    assert ratios[1] < 1.01 < ratios[0]


def test_correcting_a_bias_takes_the_drift_of_means_away() -> None:
    # Two 1x1, of which the second reads clipped values.
    random = np.random.default_rng(0)
    weights = {"w1": random.standard_normal((16, 3, 1, 1)), "w2": random.standard_normal((4, 16, 1, 1)) + 0.5}
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT, name="cast"),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2], name="transpose"),
        helper.make_node("Conv", ["planes", "w1"], ["first"], name="one"),
        helper.make_node("Relu", ["first"], ["positive"], name="relu"),
        helper.make_node("Conv", ["positive", "w2"], ["second"], name="two"),
        helper.make_node("GlobalAveragePool", ["second"], ["mean"], name="mean"),
        helper.make_node("Flatten", ["mean"], ["embeddings"], name="flatten"),
    ]
    shape = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", 8, 4, 3])
    out = helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["N", 4])
    constants = [numpy_helper.from_array(v.astype(np.float32), name) for name, v in weights.items()]
    made = helper.make_graph(nodes, "g", [shape], [out], constants)
    graph = Graph(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    batch = random.gamma(0.3, 60.0, (256, 8, 4, 3)).clip(0, 255).astype(np.uint8)
    table = make_table(graph, [batch], graph_sha256="g", pictures_sha256="p")
    two = [layer for layer in graph.layers if layer.node == "two"]
    key = "percentile/127"
    assert table.tensors["positive"].ranges[key] < table.tensors["positive"].ranges["minmax/127"]
    factors = {"positive": np.asarray(table.tensors["positive"].factors)}
    even = equalize(graph, factors)
    expected = run(graph, batch).mean(axis=0)
    drifts = [
        np.abs(run(insert_qdq(each, two, table, TENSORRT, "percentile"), batch).mean(axis=0) - expected).max()
        for each in (even, correct_biases(even, two, table, TENSORRT, "percentile"))
    ]
    # Not to nothing: clipped values are few, and an eighth of all was counted.
    assert drifts[1] < drifts[0] / 2
