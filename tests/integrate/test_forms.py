"""Configurations as people and editors write them: legal forms are corrected, others told in a line."""

from __future__ import annotations

import os
import re
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from user_files import nvinfer, tracker

from osnet_edge.cli.integrate_check import open_images
from osnet_edge.cli.main import main
from osnet_edge.integrate import Source, check, integrate, open_source
from osnet_edge.integrate.documents import Yaml
from osnet_edge.integrate.model_config import parse_model_config
from osnet_edge.runtime.errors import InputError
from osnet_edge.train.synthetic import sample_crops

ASPECT = "keepAspc: 1"
#: Each with texts in a tracker's configuration, and what they are replaced by.
TRACKER = {
    "a comment behind a value": [(ASPECT, "keepAspc: 1  # why")],
    "the lines of Windows": [("\n", "\r\n")],
    "a byte order mark": [("%YAML", "\ufeff%YAML")],
    "no end of the last line": [("1  # on\n", "1")],
    "a header with dashes": [("%YAML:1.0\n", "%YAML:1.0\n---\n")],
    "the header of YAML itself": [("%YAML:1.0\n", "%YAML 1.2\n---\n")],
    "a list over several lines": [("[3, 256, 128]", "[3,\n    256,  # high\n    128]")],
    "a list of lines": [("[3, 256, 128]", "\n    - 3\n    - 256\n    - 128")],
    "a list as key files have it": [("[3, 256, 128]", "3;256;128")],
    "numbers in quotes": [("0.01735207", "'0.01735207'"), ("512", '"512"'), (ASPECT, "keepAspc: '1'")],
    "whole numbers as floats": [("512", "512.0"), ("inputOrder: 0", "inputOrder: 0.0")],
    "words for numbers": [(ASPECT, "keepAspc: yes")],
    "words in capitals": [(ASPECT, "keepAspc: TRUE")],
    "an anchor, merged": [(f"  {ASPECT}\n", ""), ("ReID:\n", f"all: &all\n  {ASPECT}\nReID:\n  <<: *all\n")],
    "a tag of OpenCV": [("ReID:\n", "m: !!opencv-matrix\n  rows: 1\nReID:\n")],
}
KEPT = "maintain-aspect-ratio=1"
NVINFER = {
    "blanks round the mark": [("=", " = ")],
    "marks at the end": [("256;128", "256;128;"), ("103.53", "103.53;")],
    "blanks in lists": [("3;256;128", "3; 256; 128")],
    "a comment behind a number": [(KEPT, f"{KEPT} # why")],
    "words for numbers": [(KEPT, "maintain-aspect-ratio=True")],
    "no end of the last line": [("threshold=0.2\n", "threshold=0.2")],
    "the lines of Windows": [("\n", "\r\n")],
    "a byte order mark": [("# mine", "\ufeff# mine")],
    "a section twice": [(f"{KEPT}\n", ""), ("threshold=0.2\n", f"threshold=0.2\n[property]\n{KEPT}\n")],
    "a key twice, of which the last counts": [(KEPT, f"maintain-aspect-ratio=0\n{KEPT}")],
    "lines that are indented": [("\n", "\n  ")],
    "a header with a blank behind": [("[property]", "[property]  ")],
    "marks of other formats in values": [(KEPT, f"{KEPT}\nname=%(a)s = [b]")],
}
TRITON = """name: "reid"
max_batch_size: 32
input [ { name: "images" data_type: TYPE_UINT8 dims: [ 256, 128, 3 ] } ]
output { name: "embeddings", data_type: TYPE_FP32, dims: [ 256 ] }
"""
PBTXT = {
    "angles for brackets": [("{", "<"), ("}", ">")],
    "marks between fields": [("32\n", "32;\n"), (" data_type", ", data_type")],
    "a field for each number": [("[ 256, 128, 3 ]", "256 dims: 128 dims: 3")],
    "no colon before a list": [("dims: [ 256, 128", "dims [ 256, 128")],
    "single quotes": [('"', "'")],
    "a text in two parts": [('"images"', '"ima"\n"ges"')],
    "escapes": [('"images"', r'"\151mages"'), ('"reid"', r'"\" } # \n"')],
    "comments with brackets": [("32\n", '32 # } { [ "\n')],
    "numbers in other bases": [("256, 128, 3", "0x100, 0200, 3")],
    "images sent in one row": [("dims: [ 256, 128, 3 ]", "dims: [ -1 ] reshape { shape: [ 256, 128, 3 ] }")],
    "a byte order mark": [('name: "reid"', '\ufeffname: "reid"')],
    "fields that we do not know": [("32\n", '32\nparameters { key: "a" value { string_value: "b" } }\n')],
    "no input, which the server asks the graph for": [(TRITON.splitlines()[2], "")],
}
CASES = [
    *(("tracker.yml", "aspect ratio", case, changes) for case, changes in TRACKER.items()),
    *(("sgie.txt", "aspect ratio", case, changes) for case, changes in NVINFER.items()),
    *(("config.pbtxt", "embedding size", case, changes) for case, changes in PBTXT.items()),
]


@pytest.fixture(scope="module")
def source(package: Path) -> Source:
    return open_source(package)


def usual(name: str, folder: Path, graph: Path) -> str:
    """A configuration with one mistake that a key can correct."""
    if name == "tracker.yml":
        return tracker(folder, keepAspc=1).read_text()
    if name == "sgie.txt":
        return nvinfer(folder, **{"maintain-aspect-ratio": 1}).read_text()
    (folder / "1").mkdir()
    (folder / "1/model.onnx").symlink_to(graph)
    return TRITON


@pytest.mark.parametrize(
    ("name", "mistake", "changes"),
    [(name, mistake, changes) for name, mistake, _, changes in CASES],
    ids=[f"{name}: {case}" for name, _, case, _ in CASES],
)
def test_a_legal_form_is_read_and_corrected(
    name: str, mistake: str, changes: list[tuple[str, str]], source: Source, graph: Path, tmp_path: Path
) -> None:
    text, config = usual(name, tmp_path, graph), tmp_path / name
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    config.write_bytes(text.encode())
    found = check(config, source=source)
    assert mistake in [each.name for each in found.findings]
    # Written over the file itself, as people do.
    found.write_corrected(config)
    assert check(config, source=source).findings == ()
    corrected = config.read_bytes().decode()
    assert corrected.startswith("\ufeff") == text.startswith("\ufeff")
    assert corrected.count("\r") == ("\r" in text) * corrected.count("\n")
    assert [each for each in re.findall(r"#[^\r\n]*", text) if each not in corrected] == []


CORRECTED_PBTXT = """# mine
name: "reid"   # the name
input [ {  # one
    # a name of the graph's own
    name: "images"
    dims: [ 256, 128, 3 ],  # height, width
    data_type: TYPE_UINT8
  } ]
output { dims: [ 512 ]  # floats
}
instance_group [ { kind: KIND_CPU, count: 2 } ]  # last
max_batch_size: 32
"""


def test_a_configuration_of_triton_is_changed_where_it_is_wrong_alone() -> None:
    """A reshape goes with dimensions; fields that were left out come behind the others."""
    before = CORRECTED_PBTXT.replace(
        '    name: "images"\n', '    name: "image"\n    reshape { shape: [ 2 ] },\n'
    )
    before = before.replace("    data_type: TYPE_UINT8\n", "").replace("max_batch_size: 32\n", "")
    before = before.replace("dims: [ 256, 128, 3 ]", "dims: 3, dims: 256").replace("512", "256")
    config = parse_model_config(before, "config.pbtxt")
    changes = {"input.name": "images", "input.dims": [256, 128, 3], "input.data_type": "TYPE_UINT8"}
    corrected = config.replace({**changes, "output.dims": [512], "max_batch_size": 32})
    assert corrected == CORRECTED_PBTXT


BRANCHES = """# mine
all: &all {keepAspc: 1}   # of several
ReID:
  <<: *all
  inferDims:   # gone with its list
  - 256
  - 128
  - 3
  offsets: &mean [0, 0,
    0]
  netScaleFactor: &one 1.0  # why
  colorFormat: *one
  # below
Other: {a: 1}
Empty:  # nothing
"""


def test_a_value_of_yaml_is_changed_where_it_stands_alone() -> None:
    """What is merged or an alias is written for itself, and a section that is not there is added."""
    changes = {
        "ReID.keepAspc": 0,
        "ReID.inferDims": [3, 256, 128],
        "ReID.offsets": [1.5, 2.0, 3.0],
        "ReID.netScaleFactor": 0.5,
        "ReID.colorFormat": 0,
        "ReID.onnxFile": "a: b",
        "Other.deep.b": 2,
        "Empty.c": True,
        "TrajectoryManagement.enableReAssoc": 1,
    }
    assert Yaml(BRANCHES, "a.yml").replace(changes) == (
        """# mine
all: &all {keepAspc: 1}   # of several
ReID:
  <<: *all
  inferDims: [3, 256, 128]
  offsets: &mean [1.5, 2.0, 3.0]
  netScaleFactor: &one 0.5  # why
  colorFormat: 0
  keepAspc: 0
  onnxFile: "a: b"
  # below
Other: {deep: {b: 2}, a: 1}
Empty: {c: True}  # nothing
TrajectoryManagement:
  enableReAssoc: 1
"""
    )


def test_a_key_file_in_yaml_is_read_too(source: Source, tmp_path: Path) -> None:
    text = usual("sgie.txt", tmp_path, tmp_path).split("\n\n")[0].replace("[property]", "property:")
    config = tmp_path / "sgie.yml"
    config.write_text(text.replace("\n", "\n  ").replace("\n  property", "\nproperty").replace("=", ": "))
    found = check(config, source=source)
    assert "aspect ratio" in [each.name for each in found.findings]
    found.write_corrected(config)
    assert check(config, source=source).findings == ()


MODULE = """pipeline:
  elements:
    - element: nvinfer@detector
    - {head}
      model:
        model_file: osnet.onnx
        input: {{shape: [3, 256, 128], scale_factor: 0.01735207, offsets: [123.675, 116.28, 103.53],
                maintain_aspect_ratio: {kept}}}
"""
SAVANT = {
    "with a version": ("element: nvinfer@attribute_model:v1", "true"),
    "with a key for its kind": ("element: nvinfer\n      element_type: attribute_model", "'True'"),
    "in a group": ("group:\n        elements:\n        - element: nvinfer@attribute_model", "1"),
}


@pytest.mark.parametrize("case", SAVANT)
def test_an_element_of_savant_is_found_however_it_is_written(
    case: str, source: Source, tmp_path: Path
) -> None:
    head, kept = SAVANT[case]
    text = MODULE.format(head=head, kept=kept)
    if case == "in a group":
        text = text.replace("\n      model", "\n          model").replace(
            "\n        model_f", "\n            model_f"
        )
        text = text.replace("\n        input", "\n            input")
    (tmp_path / "module.yml").write_text(text)
    found = check(tmp_path / "module.yml", source=source)
    assert "aspect ratio" in [each.name for each in found.findings]
    found.write_corrected(tmp_path / "module.yml")
    assert check(tmp_path / "module.yml", source=source).findings == ()
    assert "    - element: nvinfer@detector\n" in (tmp_path / "module.yml").read_text()


REID = "ReID:\n  {}\n"
SECTION = "[property]\ninfer-dims=3;256;128\n{}\n"
INPUT = 'max_batch_size: 1\ninput { name: "a" data_type: TYPE_UINT8 dims: [ 256, 128, 3 ] }\n'
ELEMENT = "pipeline:\n  elements:\n    - element: nvinfer@attribute_model\n      model: "
#: Each with a file's name, what is in it, and what is said of it.
REFUSED = {
    "no number": ("a.yml", REID.format("netScaleFactor: .nan"), "expected a number in netScaleFactor"),
    "nothing for a switch": ("a.yml", REID.format("keepAspc:"), "expected a number in keepAspc, got None"),
    "half a number": ("a.yml", REID.format("colorFormat: 0.7"), "expected a whole number in colorFormat"),
    "a size in words": ("a.yml", REID.format("reidFeatureSize: all"), "expected a number in reidFeatureSize"),
    "sides below 1": ("a.yml", REID.format("inferDims: [256, 0, 3]"), "expected sides from 1 to 4096"),
    "sides beyond images": ("a.yml", REID.format("inferDims: [1e9, 1e9, 3]"), "expected sides from 1 to"),
    "a number for three": ("a.yml", REID.format("offsets: 1"), "expected three numbers in offsets, got 1"),
    "a list for a section": ("a.yml", "ReID: [1]\n", "expected keys and values in ReID"),
    "a key twice": ("a.yml", REID.format("keepAspc: 0\n  keepAspc: 1"), "line 3"),
    "a tab": ("a.yml", "%YAML:1.0\nReID:\n\tkeepAspc: 0\n", "line 3"),
    "two documents": ("a.yml", "ReID: {}\n---\nReID: {}\n", "found another document"),
    "a section merged into itself": ("a.yml", "ReID: &a\n  <<: *a\n", "is no YAML"),
    "brackets without end": ("a.yml", "ReID: " + "[" * 1100, "is no YAML"),
    "an empty file": ("a.yml", "", "expected YAML with keys and values"),
    "another encoding": ("a.yml", b"# caf\xe9\nReID: {}\n", "expected text in UTF-8, and byte 5 of"),
    "two bytes a letter": ("a.yml", REID.encode("utf-16"), "expected text in UTF-8"),
    "a file that is too large": ("a.yml", b"#" * 2_000_000, "has more than 1 MB"),
    "text of a module for a list": ("a.yml", "pipeline:\n  elements: all\n", "is none of these"),
    "text for a model": ("a.yml", f"{ELEMENT}all\n", "expected keys and values in model"),
    "a shape that a variable holds": ("a.yml", f"{ELEMENT}{{input: {{shape: '${{a}}'}}}}\n", "got '${a}'"),
    "grey images": (
        "a.yml",
        f"{ELEMENT}{{input: {{shape: [3, 256, 128], color_format: gray}}}}\n",
        "expected input.color_format as rgb or bgr, got gray",
    ),
    "keys before a section": ("a.txt", "a=1\n[property]\n", "line 1, expected a [section] before any key"),
    "a key without a value": ("a.txt", SECTION.format("network-mode"), "line 3, expected key=value"),
    "a comment of another format": ("a.txt", SECTION.format("; mine"), "or # comment, got '; mine'"),
    "a decimal comma": (
        "a.txt",
        SECTION.format("net-scale-factor=1,5"),
        "expected a number in net-scale-factor",
    ),
    "a filter that is none": ("a.txt", SECTION.format("scaling-filter=inf"), "expected a number in scaling"),
    "bytes of anything": ("a.txt", bytes(range(256)), "expected text in UTF-8"),
    "an ensemble": ("a.pbtxt", 'platform: "ensemble"\n', "is an ensemble of other models"),
    "two inputs": ("a.pbtxt", INPUT + INPUT, "expected one input, of images, found 2"),
    "dimensions of no image": ("a.pbtxt", INPUT.replace("128, 3", "128"), "expected input.dims of an image"),
    "dimensions beyond images": (
        "a.pbtxt",
        INPUT.replace("256", "999999"),
        "expected input.dims of an image",
    ),
    "dimensions in words": ("a.pbtxt", INPUT.replace("256", "high"), "expected whole numbers in dims"),
    "a type that images do not have": (
        "a.pbtxt",
        INPUT.replace("UINT8", "STRING"),
        "expected input.data_type",
    ),
    "a list without end": ("a.pbtxt", "max_batch_size: [ 1", "it ends in the middle"),
    "a text without end": ("a.pbtxt", 'name: "a\n', "which means nothing there"),
    "brackets too deep": ("a.pbtxt", "a {" * 1100, "its brackets are too deep"),
    "nothing, and no graph": ("a.pbtxt", "", "expected input.dims of an image"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_input_is_a_line_and_writes_nothing(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, content, message = REFUSED[case]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    fixed = tmp_path / f"fixed{Path(name).suffix}"
    assert main(["integrate", "check", str(tmp_path / name), "--fix", str(fixed)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not fixed.exists()


def test_what_never_ends_is_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "tracker.yml")
    assert main(["integrate", "check", str(tmp_path / "tracker.yml")]) == 2
    assert "copy it to a file" in capsys.readouterr().err


def others_graph(path: Path, kind: int, shape: list[int | str]) -> None:
    """A graph as others export it: the sum over an image, with names of its own."""
    rows = helper.make_node("ReduceSum", ["x", "axes"], ["feat"], keepdims=0)
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])
    given = helper.make_tensor_value_info("x", kind, shape)
    made = helper.make_tensor_value_info("feat", kind, [shape[0], None])
    graph = helper.make_graph([rows], "others", [given], [made], [axes])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


FLOAT = """max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [ 3, 256, 128 ] }
output { name: "feat" }
"""
#: Each with the type and shape of a graph, changes of its configuration for Triton, and the mistakes.
OTHERS = {
    "as it is": (TensorProto.FLOAT, ["N", 3, 256, 128], [], []),
    "a size left to the client": (TensorProto.FLOAT, ["N", 3, "h", "w"], [("256, 128", "-1, -1")], []),
    "a size that the graph has fixed": (
        TensorProto.FLOAT,
        ["N", 3, 256, 128],
        [("256, 128", "-1, -1")],
        ["input size"],
    ),
    "half as floats": (TensorProto.FLOAT16, ["N", 3, 256, 128], [], ["input type"]),
    "half": (TensorProto.FLOAT16, ["N", 3, 256, 128], [("FP32", "FP16")], []),
    "names of ours": (TensorProto.FLOAT, ["N", 3, 256, 128], [('"x"', '"images"')], ["setting"]),
}


def test_a_graph_that_takes_no_images_is_told(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    others_graph(tmp_path / "1/model.onnx", TensorProto.FLOAT, ["N", 512])
    (tmp_path / "config.pbtxt").write_text(FLOAT)
    with pytest.raises(InputError, match="expected an input of images"):
        check(tmp_path / "config.pbtxt")


@pytest.mark.parametrize("case", OTHERS)
def test_a_graph_of_others_is_held_to_itself(case: str, tmp_path: Path) -> None:
    """Triton does nothing to an image, so that normalisation is its client's."""
    kind, shape, changes, mistakes = OTHERS[case]
    (tmp_path / "3").mkdir()
    others_graph(tmp_path / "3/model.onnx", kind, shape)
    text = FLOAT
    for old, new in changes:
        text = text.replace(old, new)
    (tmp_path / "config.pbtxt").write_text(text)
    assert [each.name for each in check(tmp_path / "config.pbtxt").findings] == mistakes


def test_a_size_that_a_graph_does_not_take_has_no_cost(package: Path, tmp_path: Path) -> None:
    """Costs are counted from the graph as it should be fed, so that its own weights are no mistake."""
    people = ["--train-people", "1", "--test-people", "3"]
    assert main(["data", "synthesize", "-o", str(tmp_path / "people"), *people]) == 0
    integrate(package, "deepstream-tracker", tmp_path / "out", crops=list(sample_crops(2, 100, 40)))
    config = tmp_path / "out/config_tracker_NvDCF.yml"
    config.write_text(
        config.read_text().replace("[3, 256, 128]", "[3, 128, 64]").replace("Aspc: 0", "Aspc: 1")
    )
    images = open_images(str(tmp_path / "people"))
    found = check(config, source=open_source(package), images=images)
    costs = {each.name: each.cost for each in found.findings}
    assert costs["input size"] is None
    assert costs["aspect ratio"] is not None
    assert found.kept is None
