"""Whether activations stay within float16, on images: what is refused, warned of and let through."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from drawn_people import draw_people
from needs import needs_rtx
from onnx import NodeProto, helper, numpy_helper

from osnet_edge.cli.main import main
from osnet_edge.engines.graph.float16 import check_overflow, half_tensors
from osnet_edge.engines.graph.reading import Graph
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.preprocessing import Preprocessing
from osnet_edge.train.synthetic import sample_crops

SIZE = Preprocessing(height=256, width=128)


def trunk(graph: Graph) -> list[NodeProto]:
    return [node for node in graph.model.graph.node if node.op_type == "Conv" and "gate" not in node.name]


def load(graph: Path) -> Graph:
    return Graph(onnx.load(graph))


def times(graph: Graph, factors: dict[str, float]) -> Graph:
    """The graph with some weights times a factor each."""
    model = graph.copy()
    for weight in model.graph.initializer:
        if weight.name in factors:
            values = numpy_helper.to_array(weight) * np.float32(factors[weight.name])
            weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    return Graph(model)


def scaled(graph: Path, factors: dict[int, float]) -> Graph:
    """The graph with the weights of some convolutions of its trunk times a factor."""
    nodes = trunk(load(graph))
    return times(load(graph), {nodes[place].input[1]: factor for place, factor in factors.items()})


def test_the_largest_values_are_those_of_the_float32_graph(graph: Path) -> None:
    whole, crops = load(graph), sample_crops(5, 256, 128)
    peaks = check_overflow(whole, crops, SIZE)
    names, exposed = half_tensors(whole), whole.copy()
    outputs = {item.name for item in exposed.graph.output}
    exposed.graph.output.extend(
        helper.make_empty_tensor_value_info(name) for name in names if name not in outputs
    )
    session = onnxruntime.InferenceSession(exposed.SerializeToString(), providers=["CPUExecutionProvider"])
    values = dict(zip(names, session.run(names, {"images": crops}), strict=True))
    expected = {name: float(np.abs(value).max()) for name, value in values.items()}
    assert peaks == pytest.approx({name: expected[name] for name in peaks}, rel=1e-3)
    # What was left out is bounded by what was not, or is a gate.
    assert max(peaks.values()) == pytest.approx(max(expected.values()), rel=1e-3)
    assert set(peaks) < set(names)


@pytest.mark.parametrize("place", [0, 60, -1], ids=["the first", "one in the middle", "the last"])
def test_activations_that_leave_float16_are_refused_by_the_name_of_the_tensor(
    graph: Path, place: int
) -> None:
    crops, before = sample_crops(2, 256, 128), {0: 1e3}
    large = scaled(graph, before)
    name = trunk(large)[place].output[0]
    # Biases are not scaled, so somewhat past the range; no weight is past it by itself.
    factor = 4 * 65504 / check_overflow(large, crops, SIZE)[name]
    spoilt = scaled(graph, {**before, place: factor * before.get(place, 1)})
    with pytest.raises(InputError) as error:
        check_overflow(spoilt, crops, SIZE)
    text = str(error.value)
    assert re.match(r"the tensor \S+ reaches \S+ on 2 calibration images, past float16's 65504", text)
    assert "\n" not in text


def test_activations_near_the_end_of_float16_are_warned_of(graph: Path) -> None:
    whole, crops, said = load(graph), sample_crops(2, 256, 128), list[str]()
    # The last layer, behind which nothing else grows; half of the range.
    gemm = [node for node in whole.model.graph.node if node.op_type == "Gemm"][-1]
    last = gemm.output[0]
    peaks = check_overflow(whole, crops, SIZE, said.append)
    assert said == []
    large = times(whole, dict.fromkeys(gemm.input[1:], 0.5 * 65504 / peaks[last]))
    after = check_overflow(large, crops, SIZE, said.append)
    assert after[last] == pytest.approx(0.5 * 65504, rel=1e-3)
    assert len(said) == 1
    assert said[0].startswith(f"warning: the tensor {last} reaches 3.275e+04 on 2 calibration images")


def test_infinite_activations_are_refused_even_where_weights_are_fine(graph: Path) -> None:
    model = onnx.load(graph)
    # Each within float16, together past float32: a product of a few layers.
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.ndim == 4:
            spread = values * np.float32(6e4) / max(np.abs(values).max(), 1e-9)
            weight.CopyFrom(numpy_helper.from_array(spread.astype(np.float32), weight.name))
    with pytest.raises(InputError, match="is NaN or infinite in float32 on a calibration image"):
        check_overflow(Graph(model), sample_crops(2, 256, 128), SIZE)


def test_no_picture_checks_nothing_and_is_refused(graph: Path) -> None:
    with pytest.raises(InputError, match="one image or more"):
        check_overflow(load(graph), [], SIZE)


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibration")
    people, file = draw_people(folder / "people"), folder / "calib.json"
    assert main(["calibrate", "--data", str(people), "--images", "8", "-o", str(file)]) == 0
    return file


def build(graph: Path, calibration: Path, output: Path, *options: str) -> int:
    given = ["--target", "rtx:sm86", "--precision", "fp16", "--calibration", str(calibration)]
    return main(["build", str(graph), "-o", str(output), *given, *options])


@needs_rtx
def test_a_build_is_refused_and_leaves_no_package(
    graph: Path, calibration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx.save(scaled(graph, {0: 1e5}).model, tmp_path / "spoilt.onnx")
    assert build(tmp_path / "spoilt.onnx", calibration, tmp_path / "out") == 2
    assert "past float16's 65504" in capsys.readouterr().err.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spoilt.onnx"]


@needs_rtx
def test_a_build_near_the_end_of_float16_is_made_with_a_warning(
    graph: Path, calibration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx.save(scaled(graph, {0: 1e4}).model, tmp_path / "near.onnx")
    assert build(tmp_path / "near.onnx", calibration, tmp_path / "out") == 0
    assert "\nwarning: the tensor " in capsys.readouterr().err


@needs_rtx
def test_a_build_that_stays_within_float16_is_made(
    graph: Path, calibration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(graph, calibration, tmp_path / "out", "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["precision"] == "fp16"
    assert "checking float16's range on 8 images" in captured.err


def test_a_calibration_set_that_would_be_for_nothing_is_refused(
    graph: Path, calibration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = ["build", str(graph), "--target", "cpu", "-o", str(tmp_path / "out")]
    assert main([*build, "--calibration", str(calibration)]) == 2
    assert "expected a calibration set for fp16, int8 or auto, got one for fp32" in capsys.readouterr().err
