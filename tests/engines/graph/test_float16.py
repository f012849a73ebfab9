"""A float32 graph to a float16 one: types, what stays float32, and how far embeddings move."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper
from tensorrt_graphs import cosine_distances, exported, pictures, tiny_graph

from osnet_edge.engines.graph.float16 import to_half
from osnet_edge.engines.graph.reading import Graph
from osnet_edge.export.to_onnx import export_onnx
from osnet_edge.runtime.errors import InputError


def half(model: ModelProto) -> ModelProto:
    """The model that `to_half` makes."""
    return to_half(Graph(model)).model


def types_of(model: ModelProto) -> dict[str, int]:
    """The type of every tensor, by inference and not by what the converter wrote down."""
    bare = ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    graph = onnx.shape_inference.infer_shapes(bare, strict_mode=True).graph
    types = {item.name: item.type.tensor_type.elem_type for item in graph.value_info}
    types |= {item.name: item.type.tensor_type.elem_type for item in [*graph.input, *graph.output]}
    return types | {item.name: item.data_type for item in graph.initializer}


def run(model: ModelProto, batch: np.ndarray) -> np.ndarray:
    """ONNX Runtime on one thread, without the fusions that would undo float16."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"images": batch})[0]


@pytest.mark.parametrize("name", ["osnet_x0_25", "osnet_ibn_x1_0", "osnet_ain_x0_25", "osnet_ain_x1_0"])
def test_norms_means_gates_and_the_input_stay_float32_and_nothing_else(name: str) -> None:
    before = onnx.load(exported(name))
    after = half(before)
    types = types_of(after)
    held = Counter()
    for node in after.graph.node:
        if node.op_type == "Cast":
            continue
        read = {types[item] for item in node.input if item}
        assert read in ({TensorProto.FLOAT}, {TensorProto.FLOAT16}), node.name
        assert {types[item] for item in node.output} == read, node.name
        held[node.op_type] += read == {TensorProto.FLOAT}
    counts, expected = (Counter(node.op_type for node in model.graph.node) for model in (after, before))
    norms = expected["InstanceNormalization"]
    gates = {"GlobalAveragePool": 25, "Conv": 48, "Relu": 24, "Sigmoid": 24}
    head = {"Flatten": 1, "BatchNormalization": 1, "Relu": 1}
    inputs = {"Transpose": 1, "Sub": 1}
    assert held == sum(map(Counter, (gates, head, inputs)), Counter(InstanceNormalization=norms))
    assert types["images"] == TensorProto.UINT8
    assert types["embeddings"] == TensorProto.FLOAT
    # Nothing else changed: the same operators, and casts in and out of each norm, gate and the last mean,
    # after the input's mean and before the output.
    casts = counts.pop("Cast")
    assert casts == expected.pop("Cast") + 2 * norms + 2 * 24 + 2 + 2
    assert casts == {0: 53, 3: 59, 5: 63}[norms]
    assert counts == expected


@pytest.mark.parametrize("name", ["osnet_x0_25", "osnet_ain_x1_0"])
def test_no_cast_follows_a_cast_and_none_is_made_twice(name: str) -> None:
    casts = [node for node in half(onnx.load(exported(name))).graph.node if node.op_type == "Cast"]
    made = {output for node in casts for output in node.output}
    assert made.isdisjoint(source for node in casts for source in node.input)
    assert len({(node.input[0], node.attribute[0].i) for node in casts}) == len(casts)


@pytest.mark.parametrize("name", ["osnet_x0_25", "osnet_x1_0", "osnet_ibn_x1_0", "osnet_ain_x1_0"])
def test_embeddings_of_pictures_hardly_move(name: str) -> None:
    model, batch = onnx.load(exported(name)), pictures(8)
    exact = run(model, batch)
    distances = cosine_distances(run(half(model), batch), exact)
    assert float(distances.max()) < 2e-4
    # The measure can tell rows apart, or it would pass anything.
    assert float(cosine_distances(np.roll(exact, 1, axis=0), exact).min()) > 0.02


def test_scaling_to_length_1_stays_float32(checkpoint: Path, tmp_path: Path) -> None:
    export_onnx(checkpoint, tmp_path / "unit.onnx", l2_normalize=True)
    after = half(onnx.load(tmp_path / "unit.onnx"))
    types = types_of(after)
    tail = [node for node in after.graph.node if node.op_type in ("ReduceL2", "Clip", "Div")]
    assert [node.op_type for node in tail] == ["ReduceL2", "Clip", "Div"]
    assert {types[item] for node in tail for item in node.input if item} == {TensorProto.FLOAT}
    # The output is float32 as it is made, so nothing is cast behind it.
    assert after.graph.node[-1].op_type == "Div"


def chain(*operators: str) -> ModelProto:
    """Operators of one input, one after another, from floats to embeddings of another shape."""
    names = ["images", *(f"t{k}" for k in range(1, len(operators))), "embeddings"]
    weights = {"w": np.full((3, 3, 1, 1), 0.5, np.float32), "ones": np.ones(3, np.float32)}
    more = {"Conv": ["w"], "InstanceNormalization": ["ones", "ones"]}
    nodes = [
        helper.make_node(kind, [names[k], *more.get(kind, [])], [names[k + 1]])
        for k, kind in enumerate(operators)
    ]
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, None, None])
        for name in ("images", "embeddings")
    ]
    kept = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "chain", values[:1], values[1:], kept)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


operator = st.sampled_from(["Conv", "Relu", "Sigmoid", "InstanceNormalization", "GlobalAveragePool"])


@settings(max_examples=60)
@given(operators=st.lists(operator, min_size=1, max_size=8))
def test_any_chain_converts_with_casts_only_where_types_change(operators: list[str]) -> None:
    before = chain(*operators)
    after = half(before)
    types, made = types_of(after), TensorProto.FLOAT
    changes = 0
    for node in after.graph.node:
        if node.op_type != "Cast":
            changes += types[node.output[0]] != made
            made = types[node.output[0]]
    changes += made != TensorProto.FLOAT
    assert sum(node.op_type == "Cast" for node in after.graph.node) == changes
    assert [node.op_type for node in after.graph.node if node.op_type != "Cast"] == operators
    batch = np.random.default_rng(0).uniform(-1, 1, (2, 3, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(run(after, batch), run(before, batch), atol=2e-2)


def test_the_graph_that_was_given_stays_as_it_was() -> None:
    model = tiny_graph()
    bytes_before = model.SerializeToString()
    half(model)
    assert model.SerializeToString() == bytes_before


def test_weights_that_a_norm_shares_stay_whole_for_the_norm() -> None:
    model = tiny_graph(norm=True)
    # 0.1 is not a float16, and both the norm and the convolution's bias read it.
    shared = next(item for item in model.graph.initializer if item.name == "ones")
    shared.CopyFrom(numpy_helper.from_array(np.full(4, 0.1, np.float32), "ones"))
    next(node for node in model.graph.node if node.op_type == "Conv").input.append("ones")
    after = half(model)
    weights = {item.name: numpy_helper.to_array(item) for item in after.graph.initializer}
    norm = next(node for node in after.graph.node if node.op_type == "InstanceNormalization")
    conv = next(node for node in after.graph.node if node.op_type == "Conv")
    assert weights[norm.input[1]].dtype == np.float32
    assert float(weights[norm.input[1]][0]) == float(np.float32(0.1))
    assert weights[conv.input[2]].dtype == np.float16


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        # One past the end of float16; the converter would clip it and say nothing.
        (65600.0, "kernel reach 6.56e\\+04, past float16's 65504; build with fp32"),
        (-1e6, "kernel reach 1e\\+06"),
        (float("inf"), "kernel reach inf"),
        (float("nan"), "kernel reach nan"),
    ],
)
def test_weights_that_overflow_are_refused(weight: float, said: str) -> None:
    with pytest.raises(InputError, match=said):
        half(tiny_graph(weight))


def test_the_largest_float16_is_no_overflow() -> None:
    half(tiny_graph(65504.0))


def test_a_float16_graph_is_refused() -> None:
    with pytest.raises(InputError, match="expected a float32 graph"):
        half(half(tiny_graph()))
