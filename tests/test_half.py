"""A float32 graph to a float16 one: types, what stays float32, and how far embeddings move."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, numpy_helper
from tensorrt_graphs import cosine_distances, exported, pictures, tiny_graph

from osnet_edge.engines.half import to_half
from osnet_edge.runtime.errors import InputError


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


@pytest.mark.parametrize("name", ["osnet_x0_25", "osnet_ibn_x1_0", "osnet_ain_x0_25"])
def test_only_norms_and_the_input_stay_float32(name: str) -> None:
    before = onnx.load(exported(name))
    after = to_half(before)
    types = types_of(after)
    for node in after.graph.node:
        read = {types[item] for item in node.input if item}
        if node.op_type in ("InstanceNormalization", "Sub"):
            assert read == {TensorProto.FLOAT}, node.name
        elif node.op_type not in ("Cast", "Transpose"):
            assert read == {TensorProto.FLOAT16}, node.name
    assert types["images"] == TensorProto.UINT8
    assert types["embeddings"] == TensorProto.FLOAT
    # Nothing else changed: same operators, and two casts for each norm, the mean and the output.
    counts, expected = (Counter(node.op_type for node in model.graph.node) for model in (after, before))
    casts = counts.pop("Cast")
    assert casts == expected.pop("Cast") + 2 * expected["InstanceNormalization"] + 2 + 1
    assert counts == expected


@pytest.mark.parametrize("name", ["osnet_x0_25", "osnet_x1_0", "osnet_ibn_x1_0", "osnet_ain_x1_0"])
def test_embeddings_of_pictures_hardly_move(name: str) -> None:
    model, batch = onnx.load(exported(name)), pictures(8)
    exact = run(model, batch)
    distances = cosine_distances(run(to_half(model), batch), exact)
    assert float(distances.max()) < 2e-4
    # The measure can tell rows apart, or it would pass anything.
    assert float(cosine_distances(np.roll(exact, 1, axis=0), exact).min()) > 0.02


def test_the_graph_that_was_given_stays_as_it_was() -> None:
    model = tiny_graph()
    bytes_before = model.SerializeToString()
    to_half(model)
    assert model.SerializeToString() == bytes_before


def test_weights_that_a_norm_shares_stay_whole_for_the_norm() -> None:
    model = tiny_graph(norm=True)
    # 0.1 is not a float16, and both the norm and the convolution's bias read it.
    shared = next(item for item in model.graph.initializer if item.name == "ones")
    shared.CopyFrom(numpy_helper.from_array(np.full(4, 0.1, np.float32), "ones"))
    next(node for node in model.graph.node if node.op_type == "Conv").input.append("ones")
    after = to_half(model)
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
        to_half(tiny_graph(weight))


def test_the_largest_float16_is_no_overflow() -> None:
    to_half(tiny_graph(65504.0))


def test_a_float16_graph_is_refused() -> None:
    with pytest.raises(InputError, match="expected a float32 graph"):
        to_half(to_half(tiny_graph()))
