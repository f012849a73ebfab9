"""The folder of every consumer, written by the command and read back as the program would."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from osnet_edge.cli.main import main
from osnet_edge.engines.build import build_package
from osnet_edge.engines.graph.running import open_graph
from osnet_edge.integrate import integrate
from osnet_edge.integrate.consumers.registry import CONSUMERS, consumer_named, consumer_of
from osnet_edge.integrate.interface import expected_of
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.golden import normalize_rows
from osnet_edge.runtime.package.manifest import set_threshold
from osnet_edge.runtime.package.threshold import Threshold
from osnet_edge.runtime.precisions import PRECISIONS
from osnet_edge.runtime.preprocessing import resize
from osnet_edge.train.synthetic import sample_crops

SPELLINGS = [each.spelling for each in CONSUMERS]
CROPS = list(sample_crops(3, 180, 70, seed=4))


@pytest.fixture(scope="module", params=SPELLINGS)
def written(request: pytest.FixtureRequest, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("consumer") / request.param
    integrate(package, request.param, folder, crops=CROPS[:2], place=f"/opt/{request.param}")
    return folder


def test_what_is_written_is_recognised_and_has_no_mistake(
    written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    consumer = consumer_named(written.name)
    for config in consumer.configs:
        assert consumer_of(written / config).name == consumer.name
        assert main(["integrate", "check", str(written / config)]) == 0, capsys.readouterr().out


def test_computed_as_it_says_it_gives_the_embeddings_of_the_package(written: Path, package: Path) -> None:
    """By a session of our own on the graph, from the values in the file: what a program would do."""
    consumer = consumer_named(written.name)
    pipeline = consumer.read(written / consumer.config).pipeline
    tensor = pipeline.tensor(CROPS, "pillow-bilinear")
    rows = normalize_rows(open_graph(written / consumer.model).run(None, {"images": tensor})[0])
    own = Embedder.load(package)(CROPS)
    # Ultralytics resizes in its own way, by less than what tells people apart.
    assert np.abs(rows - own).max() < (1e-5 if consumer.exact_resize else 0.02)


def test_every_page_has_the_commands_and_no_blank_left(written: Path) -> None:
    text = (written / "README.md").read_text()
    assert "$" not in text
    assert "## Run it" in text


def test_a_graph_says_what_it_expects(written: Path, package: Path) -> None:
    consumer = consumer_named(written.name)
    expected = expected_of(written / consumer.model, Embedder.load(package).manifest.preprocessing)
    read = consumer.read(written / consumer.config).pipeline
    parts = [each.name for each in fields(read) if not read.same(expected, each.name)]
    # What becomes of the rows behind the graph is no key of every program.
    assert set(parts) <= {"size"}


def test_paths_are_those_on_the_device(package: Path, tmp_path: Path) -> None:
    integrate(package, "deepstream-tracker", tmp_path / "out", crops=CROPS[:2], place="/opt/reid", batch=7)
    text = (tmp_path / "out/config_tracker_NvDCF.yml").read_text()
    assert "onnxFile: /opt/reid/osnet.onnx " in text
    assert "/opt/reid/osnet.onnx_b7_gpu0_fp16.engine" in text
    assert "batchSize: 7 " in text


@pytest.mark.parametrize(
    ("spelling", "config", "key"),
    [
        ("deepstream-tracker", "config_tracker_NvDCF.yml", "minMatchingScore4ReidSimilarity"),
        ("deepstream-tracker", "config_tracker_NvDeepSORT.yml", "minMatchingScore4ReidSimilarity"),
        ("ultralytics", "botsort_osnet.yaml", "appearance_thresh"),
    ],
)
def test_a_threshold_is_the_packages_where_it_was_measured(
    spelling: str, config: str, key: str, package: Path, tmp_path: Path
) -> None:
    measured = tmp_path / "measured"
    shutil.copytree(package, measured)
    set_threshold(measured, Threshold(0.6543, 0.001, (0.64, 0.66), "lobby", 100, 20))
    for source, value, why in (
        (package, "", "a guess"),
        (measured, "0.6543", "0.1 % of other people, on lobby"),
    ):
        integrate(source, spelling, tmp_path / f"out{value}", crops=CROPS[:2])
        text = (tmp_path / f"out{value}" / config).read_text()
        assert f"{key}: {value}" in text
        assert why in text


@pytest.mark.parametrize("spelling", ["deepstream-tracker", "ultralytics"])
def test_a_path_with_marks_of_yaml_is_quoted(spelling: str, package: Path, tmp_path: Path) -> None:
    """The proof reads the file back, which it could not otherwise."""
    integrate(package, spelling, tmp_path / "out", crops=CROPS[:2], place='/opt/a: b #"c"')
    text = (tmp_path / "out" / consumer_named(spelling).config).read_text()
    assert r'"/opt/a: b #\"c\"/osnet.onnx"' in text


def test_the_client_of_triton_resizes_as_the_package_does(checkpoint: Path, tmp_path: Path) -> None:
    exported = tmp_path / "osnet.onnx"
    assert main(["export", str(checkpoint), "-o", str(exported), "--interpolation", "opencv-bilinear"]) == 0
    integrate(exported, "triton", tmp_path / "out", crops=CROPS[:2])
    names: dict[str, Any] = {}
    # Its own import is of what a user installs beside it.
    text = (tmp_path / "out/client.py").read_text().replace("import tritonclient.http as triton\n", "")
    exec(compile(text, "client.py", "exec"), names)
    resized = names["resize"](Image.fromarray(CROPS[0]))
    assert np.array_equal(resized, resize(CROPS[0], 256, 128, "opencv-bilinear"))


def test_types_are_written_into_the_graph_where_asked(package: Path, tmp_path: Path) -> None:
    """And the graph that is there is held to the package, by the limit of engines in FP16."""
    nvinfer = consumer_named("deepstream-nvinfer")
    made = integrate(package, nvinfer.name, tmp_path / "out", crops=CROPS, precision="fp16-typed")
    assert made.proof.float16 is not None
    assert 0 < made.proof.float16 < PRECISIONS["fp16"].golden_distance
    tensor = nvinfer.read(tmp_path / "out" / nvinfer.config).pipeline.tensor(CROPS, "pillow-bilinear")
    rows = open_graph(tmp_path / "out/osnet.onnx").run(None, {"images": tensor})[0]
    assert 0 < np.abs(normalize_rows(rows) - Embedder.load(package)(CROPS)).max() < 1e-2
    model = onnx.load(tmp_path / "out/osnet.onnx")
    types = {each.data_type for each in model.graph.initializer if len(each.dims) == 4}
    assert onnx.TensorProto.FLOAT16 in types
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert "strongly-typed=1" in (tmp_path / "out/config_infer_osnet.txt").read_text()


def test_a_graph_that_leaves_float16_is_not_written(graph: Path, tmp_path: Path) -> None:
    """Its first convolution gives more than 65504, and no weight does."""
    model = onnx.load(graph)
    first = next(node for node in model.graph.node if node.op_type == "Conv").input[1]
    weights = next(each for each in model.graph.initializer if each.name == first)
    values = numpy_helper.to_array(weights) * np.float32(1e5)
    weights.CopyFrom(numpy_helper.from_array(values, first))
    onnx.save(model, tmp_path / "large.onnx")
    with pytest.raises(InputError, match="past float16's 65504"):
        integrate(
            *(tmp_path / "large.onnx", "deepstream-nvinfer", tmp_path / "out"),
            crops=CROPS,
            precision="fp16-typed",
        )
    assert not (tmp_path / "out").exists()


#: Of an x0_25 with random weights.
INT8_PACKAGE = Path(__file__).parents[1] / "frozen/before/int8"


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_q_dq_is_kept_where_the_consumer_takes_it(spelling: str, tmp_path: Path) -> None:
    consumer = consumer_named(spelling)
    made = integrate(INT8_PACKAGE, spelling, tmp_path / "out", crops=CROPS[:2])
    kinds = {node.op_type for node in onnx.load(tmp_path / "out" / consumer.model).graph.node}
    assert "QuantizeLinear" in kinds
    # A difference of one step of eight bits would be far over the limit.
    assert made.proof.difference < 1e-5
    # DeepStream's own builders have no key for Q/DQ, and load an engine that is there.
    page = (tmp_path / "out/README.md").read_text()
    assert ("--stronglyTyped" in page) == (spelling in ("deepstream-tracker", "savant", "triton:tensorrt"))
    config = (tmp_path / "out" / consumer.config).read_text()
    assert ("_gpu0_int8.engine" in config) == (spelling in ("deepstream-tracker", "savant"))


def test_types_are_not_written_over_q_dq(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a float32 network for --precision fp16-typed"):
        integrate(
            *(INT8_PACKAGE, "deepstream-nvinfer", tmp_path / "out"), crops=CROPS, precision="fp16-typed"
        )


REFUSED = {
    "an unknown consumer": (["--for", "gstreamer"], "expected --for deepstream-tracker"),
    "a relative place": (["--for", "savant", "--at", "models"], "expected --at as an absolute path"),
    "no crops at once": (["--for", "savant", "--batch", "0"], "expected --batch from 1 to"),
    "a precision that is not its own": (
        ["--for", "triton", "--precision", "fp16"],
        "expected --precision fp32 for triton",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_input_is_told_in_a_line(
    case: str, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options, message = REFUSED[case]
    assert main(["integrate", str(package), *options, "-o", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


#: Each with how a folder came to be, and what is in it besides.
OTHERS = {
    "a thesis": ([], {"chapter.txt": "mine"}),
    "a module of the user's own, by its usual name": ([], {"module.yml": "mine", "README.md": "mine"}),
    "what was written for another": (["--for", "ultralytics"], {}),
    "what was written, and a file added": (["--for", "savant"], {"osnet.txt": "[property]"}),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_folder_that_is_not_its_own_alone_is_not_replaced(case: str, package: Path, tmp_path: Path) -> None:
    made, added = OTHERS[case]
    folder, command = tmp_path / "out", ["integrate", str(package), "-o", str(tmp_path / "out")]
    if made:
        assert main([*command, *made]) == 0
    folder.mkdir(exist_ok=True)
    for name, text in added.items():
        (folder / name).write_text(text)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert main([*command, "--for", "savant"]) == 2
    assert main([*command, "--for", "savant", "--force"]) == 2
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_its_own_folder_is_replaced_if_asked(
    graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["integrate", str(graph), "--for", "savant", "-o", str(tmp_path / "out"), "--json"]
    assert main(command) == 0
    assert main(command) == 2
    # What Savant built beside the graph is built again.
    (tmp_path / "out/osnet.onnx_b32_gpu0_fp16.engine").write_text("built")
    capsys.readouterr()
    assert main([*command, "--force"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["files"] == ["README.md", "module.yml", "osnet.onnx"]
    assert document["difference"] < 1e-5


def test_floats_in_are_folded_too(checkpoint: Path, tmp_path: Path) -> None:
    """A graph exported with `--input float32` has its std in no weight yet."""
    exported = tmp_path / "host.onnx"
    assert main(["export", str(checkpoint), "-o", str(exported), "--input", "float32"]) == 0
    made = integrate(exported, "deepstream-tracker", tmp_path / "out", crops=CROPS[:2])
    assert made.proof.difference < 1e-5
    with pytest.raises(InputError, match="export it again with --input uint8"):
        integrate(exported, "triton", tmp_path / "triton", crops=CROPS[:2])


def test_an_engine_without_a_graph_is_told_what_to_give(package: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan"
    shutil.copytree(package, plan)
    manifest = json.loads((plan / "manifest.json").read_text())
    (plan / "model.onnx").rename(plan / "model.engine")
    manifest["files"]["model.engine"] = manifest["files"].pop("model.onnx")
    manifest.update(model_file="model.engine")
    manifest["target"].update(backend="tensorrt", device="cuda")
    (plan / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="give the ONNX file that it was built from"):
        integrate(plan, "savant", tmp_path / "out", crops=CROPS[:2])


def test_a_package_can_be_built_beside_its_consumer_from_one_graph(graph: Path, tmp_path: Path) -> None:
    """The pipeline in a consumer's graph is not what a package is built from, and its metadata says so."""
    integrate(graph, "deepstream-tracker", tmp_path / "out", crops=CROPS[:2])
    with pytest.raises(InputError):
        build_package(
            tmp_path / "out/osnet.onnx",
            tmp_path / "built",
            target="cpu",
            golden_crops=sample_crops(2, 100, 40),
        )
