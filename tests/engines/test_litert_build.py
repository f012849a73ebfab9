"""`--target litert`: the file that is written from a graph, by what is in it and by what it computes."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_people import draw_people
from needs import needs_litert
from onnx import TensorProto, helper, numpy_helper
from tensorrt_graphs import tiny_graph

from osnet_edge.cli.main import main
from osnet_edge.engines.backends.litert.translate import translate
from osnet_edge.engines.backends.registry import builder_of
from osnet_edge.engines.golden import first_difference
from osnet_edge.engines.graph.reading import ExportedGraph, Graph, read_graph
from osnet_edge.engines.graph.running import simulate
from osnet_edge.engines.quantization.quantizer import Quantizer
from osnet_edge.engines.quantization.rules import (
    LITERT,
    LITERT_INTEGER,
    LITERT_INTEGER_PER_TENSOR,
    LITERT_PER_TENSOR,
    QdqRules,
)
from osnet_edge.engines.quantization.table import make_table
from osnet_edge.runtime import Embedder, InputError
from osnet_edge.runtime.backends.litert import open_interpreter
from osnet_edge.runtime.package.manifest import read_manifest
from osnet_edge.runtime.processor import ANY
from osnet_edge.ship.requirements import Requirements, requirements_of
from osnet_edge.train.synthetic import sample_crops

pytestmark = needs_litert
#: Four drawn people, as the graphs take them.
PEOPLE = sample_crops(4, 256, 128)


def run(file: bytes, batch: np.ndarray) -> np.ndarray:
    interpreter = open_interpreter(file, len(batch), 1)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], batch)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def operators(file: bytes) -> Counter[str]:
    """What is in a file, the library's own DELEGATE aside, which stands for what XNNPACK has taken."""
    found = Counter(each["op_name"] for each in open_interpreter(file, 1)._get_ops_details())
    assert found.pop("DELEGATE") == 1, "XNNPACK has split the graph"
    return found


@pytest.fixture(scope="module")
def network(graph: Path) -> ExportedGraph:
    return read_graph(graph)


@pytest.fixture(scope="module")
def quantize(network: ExportedGraph) -> Callable[[QdqRules], Quantizer]:
    names = {"graph_sha256": network.sha256, "pictures_sha256": "p"}
    table = make_table(network, [PEOPLE[:2], PEOPLE[2:]], **names, methods=("mse",))
    return lambda rules: Quantizer(network, table, rules)


def distance(got: np.ndarray, expected: np.ndarray) -> float:
    """As a share of the embeddings' length: those of random weights are next to the same for everybody."""
    return float(np.linalg.norm(got - expected) / np.linalg.norm(expected))


def whole(quantizer: Quantizer) -> Graph:
    return quantizer.make(quantizer.groups)


@pytest.mark.parametrize(("half", "most"), [(False, 2e-5), (True, 5e-3)], ids=["float32", "float16"])
def test_a_file_computes_what_its_graph_does(network: ExportedGraph, half: bool, most: float) -> None:
    expected, got = simulate(network, [PEOPLE[:2]]), run(translate(network, half=half), PEOPLE[:2])
    assert np.abs(got - expected).max() <= most * np.abs(expected).max()


def test_an_instance_norm_is_translated() -> None:
    graph, batch = Graph(tiny_graph(norm=True)), PEOPLE[:2, 100:108, 60:68].copy()
    expected = simulate(graph, [batch])
    np.testing.assert_allclose(run(translate(graph), batch), expected, atol=1e-5)


def test_a_graph_may_take_floats_channels_first_and_scale_its_embeddings() -> None:
    """As `export --input float32 --l2-normalize` writes it."""
    model = tiny_graph()
    graph = model.graph
    del graph.node[:3]
    graph.node[0].input[0] = "images"
    del graph.node[1]
    graph.node[1].input[0] = "map"
    graph.node[-1].output[0] = "rows"
    graph.node.extend(
        [
            helper.make_node("ReduceL2", ["rows"], ["length"], axes=[1], keepdims=1),
            helper.make_node("Clip", ["length", "least"], ["divisor"]),
            helper.make_node("Div", ["rows", "divisor"], ["embeddings"]),
        ]
    )
    graph.initializer.append(numpy_helper.from_array(np.array(1e-12, np.float32), "least"))
    floats = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 8, 8])
    graph.input[0].CopyFrom(floats)
    batch = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    expected = simulate(Graph(model), [batch])
    np.testing.assert_allclose(run(translate(Graph(model)), batch), expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, atol=1e-5)


def test_an_npu_finds_nothing_that_it_does_not_like(network: ExportedGraph) -> None:
    """No transposes, no operators of our own, depthwise convolutions as such."""
    found = operators(translate(network))
    assert found.pop("DEPTHWISE_CONV_2D") == 60
    # The others of the 187, for each gate is used by several streams.
    assert found.pop("CONV_2D") == 127
    assert found == {
        **{"DEQUANTIZE": 1, "SUB": 1, "PAD": 2, "MAX_POOL_2D": 1, "AVERAGE_POOL_2D": 2},
        **{"MEAN": 25, "LOGISTIC": 24, "MUL": 24, "ADD": 24, "FULLY_CONNECTED": 1},
    }


@pytest.mark.parametrize(
    "rules",
    [LITERT, LITERT_PER_TENSOR, LITERT_INTEGER, LITERT_INTEGER_PER_TENSOR],
    ids=lambda rules: rules.name,
)
def test_int8_is_the_graph_as_written(quantize: Callable[[QdqRules], Quantizer], rules: QdqRules) -> None:
    from ai_edge_litert import schema_py_generated as schema

    graph = whole(quantize(rules))
    file = translate(graph)
    assert distance(run(file, PEOPLE), simulate(graph, [PEOPLE])) < 3e-2
    found = operators(file)
    # Bytes to signed bytes, and what is behind gates, which stay in float32 unless nothing may.
    assert found["QUANTIZE"] == (1 if rules.throughout else 7)
    assert found["DEQUANTIZE"] == (1 if rules.throughout else 26)
    assert "AVERAGE_POOL_2D" not in found, "XNNPACK has none for integers"
    details = open_interpreter(file, 1).get_tensor_details()
    kinds = Counter(each["dtype"].__name__ for each in details if each["name"])
    if rules.throughout:
        assert kinds["float32"] == 1, "the embedding, at the end"
    tensors = schema.ModelT.InitFromPackedBuf(file, 0).subgraphs[0].tensors
    weights = [each for each in tensors if each.name.endswith(b".weight_dequantized")]
    counts = {len(each.quantization.scale) for each in weights}
    assert (counts == {1}) == rules.one_weight_scale


def test_the_first_tensor_where_an_engine_leaves_its_graph_is_found(
    quantize: Callable[[QdqRules], Quantizer],
) -> None:
    """And none is, where it does not; so every tensor of the file can be compared with the graph's."""
    graph = whole(quantize(LITERT_INTEGER))
    assert first_difference(graph, builder_of("litert"), ANY, PEOPLE[:2]) is None


def test_where_only_some_groups_are_in_int8_the_others_are_in_float32(
    quantize: Callable[[QdqRules], Quantizer],
) -> None:
    quantizer = quantize(LITERT)
    for groups in ([], ["stem"], ["fc"], ["conv3.0 depthwise", "conv4.1 pointwise"]):
        graph = quantizer.make(groups)
        got = run(translate(graph), PEOPLE[:2])
        assert distance(got, simulate(graph, [PEOPLE[:2]])) < 1e-2, groups


def test_no_bias_leaves_32_bits_where_a_gates_channels_are_dead(
    network: ExportedGraph, quantize: Callable[[QdqRules], Quantizer]
) -> None:
    """One gate's weights are read by four streams: the least scale must do for the biases of all."""
    model = network.copy()
    for kind, value in (("weight", 1e-20), ("bias", 1.0)):
        for each in model.graph.initializer:
            if each.name.endswith(f"gate.fc2.{kind}"):
                values = np.full_like(numpy_helper.to_array(each), value)
                each.CopyFrom(numpy_helper.from_array(values, each.name))
    table = quantize(LITERT_INTEGER).table
    # The second of the streams reads in much finer steps than the first.
    tensors = {
        name: replace(each, ranges={key: value / 100 for key, value in each.ranges.items()})
        if name.endswith("/gate_1/Relu_output_0")
        else each
        for name, each in table.tensors.items()
    }
    graph = whole(Quantizer(Graph(model), replace(table, tensors=tensors), LITERT_INTEGER))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        translate(graph)


def test_what_is_not_translated_is_named(network: ExportedGraph) -> None:
    model = network.copy()
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type = "Elu"
    with pytest.raises(InputError, match="got Elu "):
        translate(Graph(model))


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What `build` takes for INT8: a set of 8 images, with nobody held out."""
    folder = tmp_path_factory.mktemp("litert")
    people, file = draw_people(folder / "people", train=16), str(folder / "calib.json")
    calibrate = ["calibrate", "--data", str(people), "--images", "8", "--held-out", "0", "-o", file]
    assert main(calibrate) == 0
    return ["--precision", "int8", "--calibration", file]


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        ([], "litert"),
        (["--weights", "per-tensor", "--integer"], "litert-integer-per-tensor"),
    ],
)
def test_an_int8_package_is_proven_and_is_for_every_processor(
    graph: Path, calibrated: list[str], tmp_path: Path, options: list[str], rules: str
) -> None:
    command = ["build", str(graph), "--target", "litert", "-o", str(tmp_path / "out"), "--batch", "1,1,2"]
    assert main([*command, *calibrated, *options]) == 0
    manifest = read_manifest(tmp_path / "out")
    assert (manifest.model_file, manifest.target.processor) == ("model.tflite", "any")
    assert manifest.int8 is not None
    assert manifest.int8.rules == rules
    assert manifest.comparison is not None
    assert set(manifest.comparison.milliseconds) == {"litert fp32", "litert int8"}
    assert Embedder.load(tmp_path / "out").prove() < 1e-1
    # Any device with the library may have it, whatever its processor is.
    assert requirements_of(manifest) == Requirements("litert")


@pytest.mark.parametrize(
    ("target", "precision", "says"),
    [
        ("litert", "fp16", "--weights per-tensor and --integer are for INT8, got --precision fp16"),
        (
            "cpu",
            "int8",
            "expected --weights per-tensor and --integer for the target litert, got one of them for",
        ),
    ],
)
def test_weights_per_tensor_are_refused_where_there_are_none(
    graph: Path,
    calibrated: list[str],
    tmp_path: Path,
    target: str,
    precision: str,
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["build", str(graph), "--target", target, "-o", str(tmp_path / "out"), *calibrated]
    assert main([*command, "--precision", precision, "--weights", "per-tensor"]) == 2
    assert says in capsys.readouterr().err.splitlines()[-1]
