"""Configurations of users: each mistake is named by its key, costs what it costs, and is corrected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from user_files import nvinfer, tracker

from osnet_edge.cli.main import main
from osnet_edge.integrate import check, open_source
from osnet_edge.integrate.model_config import parse_model_config
from osnet_edge.runtime.errors import InputError

#: Each with what it changes of a tracker's configuration, the mistake's name, and its first key.
TRACKER = {
    "aspect kept, the default": ({"keepAspc": None}, "aspect ratio", "ReID.keepAspc"),
    "feature size left at its default": ({"reidFeatureSize": None}, "embedding size", "ReID.reidFeatureSize"),
    "blue first": ({"colorFormat": 1}, "colour order", "ReID.colorFormat"),
    "channels last": ({"inputOrder": 1, "inferDims": "[256, 128, 3]"}, "layout", "ReID.inputOrder"),
    "height and width exchanged": ({"inferDims": "[3, 128, 256]"}, "input size", "ReID.inferDims"),
    "no normalisation of rows": (
        {"addFeatureNormalization": 0},
        "row normalisation",
        "ReID.addFeatureNormalization",
    ),
    "INT8 without a table": ({"networkMode": 2}, "setting", "ReID.networkMode"),
    "re-ID switched off": ({"reidType": 0}, "setting", "ReID.reidType"),
}
NVINFER = {
    "the nearest pixel, the default": ({"scaling-filter": None}, "resize filter", "property.scaling-filter"),
    "aspect kept": ({"maintain-aspect-ratio": 1}, "aspect ratio", "property.maintain-aspect-ratio"),
    "blue first": ({"model-color-format": 1}, "colour order", "property.model-color-format"),
    "INT8 without a table": ({"network-mode": 1}, "setting", "property.network-mode"),
    "on whole frames": ({"process-mode": 1}, "setting", "property.process-mode"),
    "as a detector": ({"network-type": 0}, "setting", "property.network-type"),
    "embeddings thrown away": ({"output-tensor-meta": 0}, "setting", "property.output-tensor-meta"),
}


@pytest.mark.parametrize(
    ("make", "case"),
    [*((tracker, each) for each in TRACKER.values()), *((nvinfer, each) for each in NVINFER.values())],
    ids=[*(f"tracker: {each}" for each in TRACKER), *(f"nvinfer: {each}" for each in NVINFER)],
)
def test_a_mistake_is_named_and_corrected(
    make: object, case: tuple[dict[str, object], str, str], package: Path, tmp_path: Path
) -> None:
    changed, name, key = case
    assert callable(make)
    found = check(make(tmp_path, **changed), source=open_source(package))
    assert name in [each.name for each in found.findings]
    assert key in [each.fault.keys[0] for each in found.findings if each.fault.keys]
    (tmp_path / "corrected").mkdir()
    corrected = tmp_path / "corrected" / found.path.name
    assert found.write_corrected(corrected) == (corrected, corrected.with_name("osnet.onnx"))
    assert check(corrected, source=open_source(package)).findings == ()
    # What the user wrote besides is still there.
    assert "# mine" in corrected.read_text()


def test_one_scale_for_three_deviations_is_a_mistake_of_the_graph(package: Path, tmp_path: Path) -> None:
    """NVIDIA's sample constants are right for our graph, and nearly right for others."""
    found = check(tracker(tmp_path), source=open_source(package))
    (finding,) = found.findings
    assert finding.name == "normalisation"
    assert "no key can say" in finding.fault.expected
    assert found.write_corrected(tmp_path / "corrected.yml")[1] == tmp_path / "osnet.onnx"
    text = (tmp_path / "corrected.yml").read_text()
    assert "netScaleFactor: 0.01735207" in text
    assert f"onnxFile: {tmp_path}/osnet.onnx" in text
    assert text.startswith("%YAML:1.0\n# Corrected by `osnet-edge integrate check`.\n# mine\n")
    assert "enableReAssoc: 1  # on" in text


def test_a_graph_that_takes_bytes_is_one_mistake(graph: Path, package: Path, tmp_path: Path) -> None:
    found = check(nvinfer(tmp_path, **{"onnx-file": str(graph)}), source=open_source(package))
    assert [each.name for each in found.findings] == ["input type"]


def test_a_graph_is_not_written_over_another(package: Path, tmp_path: Path) -> None:
    (tmp_path / "osnet.onnx").write_text("mine")
    found = check(tracker(tmp_path), source=open_source(package))
    with pytest.raises(InputError, match="name a file in another folder"):
        found.write_corrected(tmp_path / "corrected.yml")
    assert (tmp_path / "osnet.onnx").read_text() == "mine"


TRITON = """name: "reid"
platform: "onnxruntime_onnx"
max_batch_size: {batch}
input [ {{ name: "images" data_type: {kind} dims: [ {dims} ] }} ]
output {{ name: "embeddings", data_type: TYPE_FP32, dims: [ {size} ] }}
instance_group [ {{ kind: KIND_GPU count: 2 gpus: [ 0 ] }} ]
parameters: {{ key: "execution_mode" value: {{ string_value: "1" }} }}
"""
#: Each with the mistake's name and its key.
TRITON_MISTAKES = {
    "floats for bytes": ({"kind": "TYPE_FP32"}, "input type", "input.data_type"),
    "the batch in dims": ({"dims": "-1, 256, 128, 3"}, "setting", "input.dims"),
    "a size of its own": ({"dims": "128, 64, 3"}, "input size", "input.dims"),
    "another embedding": ({"size": "256"}, "embedding size", "output.dims"),
    "no batches": ({"batch": "0"}, "setting", "max_batch_size"),
}


@pytest.mark.parametrize("case", TRITON_MISTAKES)
def test_a_repository_is_held_to_its_graph(case: str, graph: Path, package: Path, tmp_path: Path) -> None:
    changed, name, key = TRITON_MISTAKES[case]
    right = {"batch": "32", "kind": "TYPE_UINT8", "dims": "256, 128, 3", "size": "512"}
    config = tmp_path / "config.pbtxt"
    config.write_text(TRITON.format(**{**right, **changed}))
    (tmp_path / "1").mkdir()
    (tmp_path / "1/model.onnx").symlink_to(graph)
    found = check(config, source=open_source(package))
    assert (name, key) in [(each.name, each.fault.keys[0]) for each in found.findings]
    found.write_corrected(tmp_path / "corrected.pbtxt")
    (tmp_path / "corrected.pbtxt").rename(config)
    assert check(config, source=open_source(package)).findings == ()
    # What is not about the network is kept.
    text = config.read_text()
    assert all(each in text for each in ("gpus: [ 0 ]", 'string_value: "1"', 'platform: "onnxruntime_onnx"'))


@pytest.mark.parametrize(
    ("text", "reason"),
    {
        "a sentence": ("hello world", "expected a colon or a bracket behind hello, got world"),
        "an open bracket": ('input [ { name: "images" ', "ends in the middle"),
        "a mark that is none": ("name: %", "line 1 has '%'"),
        "a value that is none": ("name: ]", "expected a value, got ]"),
    }.values(),
)
def test_what_is_no_configuration_of_triton_is_told(text: str, reason: str) -> None:
    with pytest.raises(InputError) as error:
        parse_model_config(text, "config.pbtxt")
    assert reason in str(error.value)


SAVANT = """pipeline:
  elements:
    - element: nvinfer@detector
      name: yolo
    - element: nvinfer@attribute_model
      name: reid
      model:
        format: onnx
        model_file: osnet.onnx
        input:
          shape: [3, 256, 128]
          maintain_aspect_ratio: true   # mine
          scale_factor: 0.003921
"""


def test_an_element_of_savant_is_found_and_corrected(package: Path, tmp_path: Path) -> None:
    config = tmp_path / "module.yml"
    config.write_text(SAVANT)
    found = check(config, source=open_source(package))
    assert [each.name for each in found.findings] == ["normalisation", "aspect ratio", "resize filter"]
    (tmp_path / "corrected").mkdir()
    found.write_corrected(tmp_path / "corrected/module.yml")
    assert check(tmp_path / "corrected/module.yml").findings == ()
    assert "# mine" in (tmp_path / "corrected/module.yml").read_text()


def test_a_tracker_without_its_own_network_is_told(package: Path, tmp_path: Path) -> None:
    config = tmp_path / "botsort.yaml"
    config.write_text("tracker_type: botsort\nwith_reid: False\nmodel: auto\n")
    found = check(config, source=open_source(package))
    assert {each.fault.keys for each in found.findings} >= {("with_reid",), ("model",)}
    config.write_text("tracker_type: botsort\nwith_reid: True\nmodel: osnet_x0_25_msmt17.pt\n")
    with pytest.raises(InputError, match=r"got a \.pt"):
        check(config)


REFUSED = {
    "no configuration": ("notes.txt", "hello", "is none of these"),
    "YAML that is none": ("tracker.yml", "ReID: [1,", "is no YAML"),
    "a text for a number": (
        "tracker.yml",
        "ReID:\n  netScaleFactor: much\n",
        "expected a number in netScaleFactor",
    ),
    "two offsets": ("tracker.yml", "ReID:\n  offsets: [1, 2]\n", "expected three numbers in offsets"),
    "no dimensions": ("sgie.txt", "[property]\nnetwork-type=100\n", "expected infer-dims=3;HEIGHT;WIDTH"),
    "an order that is none": ("sgie.txt", "[property]\nnetwork-input-order=7\n", "0 (NCHW) or 1 (NHWC)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_told_in_a_line(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, text, message = REFUSED[case]
    (tmp_path / name).write_text(text)
    assert main(["integrate", "check", str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_costs_are_those_that_were_measured_elsewhere(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`shared/facts/integration.md`: x0.25 with 1/255 and no offsets has 25.22 of 45.79 on VIPeR."""
    weights, viper = shared / "weights/osnet_x0_25_msmt17.pth", shared / "data/viper"
    if not (weights.exists() and viper.is_dir()):
        pytest.skip("needs the shared weights and VIPeR")
    graph = tmp_path / "osnet.onnx"
    assert main(["export", str(weights), "-o", str(graph)]) == 0
    config = tracker(tmp_path, netScaleFactor=1 / 255, offsets="[0, 0, 0]")
    capsys.readouterr()
    options = ["--package", str(graph), "--data", str(viper), "--json"]
    assert main(["integrate", "check", str(config), *options]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["map"] == {
        "package": pytest.approx(45.79, abs=0.01),
        "kept": pytest.approx(25.22, abs=0.01),
    }
    assert document["findings"][0]["cost_map"] == pytest.approx(20.57, abs=0.02)
