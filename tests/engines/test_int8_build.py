"""`build --precision int8` and `auto`, from calibration sets to packages, through the command line."""

from __future__ import annotations

import json
import platform
import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
from drawn_people import draw_people
from needs import needs_openvino, needs_rtx
from onnx import numpy_helper
from quantization.lint import lint_qdq

from osnet_edge.bench import average_precisions, embed_set
from osnet_edge.cli.main import main
from osnet_edge.engines.backends.registry import builder_of
from osnet_edge.engines.calibration.camera_changes import RANGES
from osnet_edge.engines.graph.reading import Graph, read_graph
from osnet_edge.engines.graph.running import open_graph
from osnet_edge.engines.quantization.quantizer import Quantizer
from osnet_edge.engines.quantization.rules import TENSORRT
from osnet_edge.engines.quantization.table import make_table
from osnet_edge.export.to_onnx import export_onnx
from osnet_edge.runtime.backends.openvino import HINTS
from osnet_edge.runtime.embed_files import embed_files
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.files import sha256_of
from osnet_edge.runtime.package.manifest import read_manifest
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.precisions import PRECISIONS
from osnet_edge.runtime.preprocessing import Picture, Preprocessing, to_batch
from osnet_edge.runtime.processor import this_processor
from osnet_edge.train.data import open_set
from osnet_edge.train.synthetic import sample_crops
from osnet_edge.train.synthetic.video import write_video

#: A quarter of the usual pixels: each build embeds what is held out several times.
SMALL = Preprocessing(height=128, width=64)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """A folder with `people/`, a small `osnet.onnx`, and two calibration sets of 32 images.

    `calib.json` holds 32 people out, and `ranges.json` nobody, for what is about ranges alone.
    """
    folder = tmp_path_factory.mktemp("int8")
    people = draw_people(folder / "people", train=64)
    calibrate = ["calibrate", "--data", str(people), "--images", "32", "--held-out", "32"]
    assert main([*calibrate, "-o", str(folder / "calib.json")]) == 0
    assert main([*calibrate[:-1], "0", "-o", str(folder / "ranges.json")]) == 0
    export_onnx(checkpoint, folder / "osnet.onnx", preprocessing=SMALL)
    return folder


def build(work: Path, output: Path, *options: str, graph: str = "osnet.onnx") -> int:
    given = ["--calibration", str(work / "calib.json"), "-o", str(output)]
    return main(["build", str(work / graph), *given, *options])


def build_elsewhere(work: Path, output: Path, *options: str, graph: str = "osnet.onnx") -> int:
    """Build INT8 for a processor that is not here, so that nothing is timed, from `ranges.json`."""
    other = "x86-64-vnni" if platform.machine() == "aarch64" else "aarch64"
    given = ["--target", "cpu", "--processor", other, "--precision", "int8"]
    calibration = ["--calibration", str(work / "ranges.json"), "-o", str(output)]
    return main(["build", str(work / graph), *calibration, *given, *options])


def test_a_graph_whose_nodes_lost_their_names_is_built_in_the_same_groups(work: Path, tmp_path: Path) -> None:
    """Some tools drop them, and what quantises goes by them."""
    model = onnx.load(work / "osnet.onnx")
    for node in model.graph.node:
        node.ClearField("name")
    onnx.save(model, work / "nameless.onnx")
    groups = []
    for graph in ("osnet.onnx", "nameless.onnx"):
        assert build_elsewhere(work, tmp_path / graph, graph=graph) == 0
        decided = read_manifest(tmp_path / graph).int8
        assert decided is not None
        groups.append([each.group for each in decided.groups])
    # The folder is everybody's, and its other table is looked for.
    (work / f"ranges.{sha256_of(work / 'nameless.onnx')[:12]}.table.json").unlink()
    assert groups[0] == groups[1]


def test_a_budget_of_identities_is_held_to_in_sequences(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("trackeval", reason="needs the extra: pip install 'osnet-edge[tracking]'")
    site = tmp_path / "site"
    write_video(site, cameras=2, people=3, seconds=2, rate=5, size=(320, 180), seed=0)
    options = ["--target", "cpu", "--precision", "int8", "--batch", "1,1,4"]
    options += ["--budget-idf1", "100", "--track", str(site)]
    assert build(work, tmp_path / "out", *options) == 0
    decided = read_manifest(tmp_path / "out").int8
    assert decided is not None
    assert (decided.budget, decided.budget_idf1) == (None, 100)
    assert decided.loss is not None
    tracks = decided.loss.tracks
    assert tracks is not None
    assert tracks.sequences == ("camera-1", "camera-2")
    assert tracks.interval[0] <= tracks.idf1 <= tracks.interval[1]
    assert "windows of" in tracks.resampled
    assert re.search(r"IDF1 [+-]\d+\.\d\d in sequences \(95 %", capsys.readouterr().out)


@pytest.mark.parametrize("target", ["cpu", pytest.param("openvino", marks=needs_openvino)])
def test_an_int8_package_runs_and_says_how_it_was_made(
    work: Path, tmp_path: Path, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(work, tmp_path / "out", "--target", target, "--precision", "int8", "--batch", "1,1,8") == 0
    manifest = read_manifest(tmp_path / "out")
    assert manifest.precision == "int8"
    assert manifest.int8 is not None
    assert manifest.int8.loss is not None
    assert manifest.int8.loss.changed is not None
    assert manifest.int8.changes == RANGES
    int8 = manifest.int8
    assert (int8.pictures, int8.changed_copies, int8.held_out) == (32, 32, 128)
    assert all(each.int8 for each in manifest.int8.groups)
    rules = builder_of(manifest.target.backend).rules_for(manifest.target.processor)
    # For processors without VNNI, OpenVINO's stem stays in floating point.
    left = len(rules.left_out)
    assert 0.9999 < manifest.int8.macs < 1 or left
    # Asked for by name it is built, and nobody is left to find out that it is slower.
    assert manifest.comparison is not None
    backend = manifest.target.backend
    assert set(manifest.comparison.milliseconds) == {f"{backend} fp32", f"{backend} int8"}
    assert manifest.comparison.why.startswith("int8 as asked, ")
    model = onnx.load(tmp_path / "out" / manifest.model_file)
    assert lint_qdq(Graph(model), rules) == []
    embedder = Embedder.load(tmp_path / "out")
    assert embedder.prove() < 1e-1
    assert embedder(list(sample_crops(5, 90, 40))).shape == (5, 512)
    capsys.readouterr()
    assert main(["inspect", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    share = "77%" if left else "100%"
    assert f"{17 - left} of {17 - left} groups, {share} of the multiply-accumulates" in text
    assert "128 held-out images; under changed cameras mAP " in text
    assert "mse ranges of 32 images and 32 changed ones" in text
    assert "changed in exposure 0.73 to 1.37, white_balance " in text
    assert "  conv2.0 pointwise  int8" in text
    # The published network has 139 convolutions but for its gates, and one linear layer.
    assert f"Conv {139 - left}, " in text
    assert "Gemm 1, " in text
    assert f"weights {140 - left}" in text
    assert main(["inspect", str(tmp_path / "out"), "--plot", str(tmp_path / "decision.svg")]) == 0
    drawing = (tmp_path / "decision.svg").read_text()
    assert ElementTree.fromstring(drawing).tag.endswith("svg")
    assert drawing.count('class="mark c0"') == len(manifest.int8.groups)
    # Packages from before cameras were changed say nothing of it, and are read.
    older = json.loads((tmp_path / "out" / "manifest.json").read_text())
    del older["int8"]["changes"], older["int8"]["loss"]["changed"], older["int8"]["changed_copies"]
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(older))
    capsys.readouterr()
    assert main(["inspect", str(tmp_path / "out")]) == 0
    assert "changed" not in capsys.readouterr().out


def test_a_second_build_reads_the_table_of_the_first(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        capsys.readouterr()
        assert build_elsewhere(work, tmp_path / name) == 0
    said = capsys.readouterr().err
    assert "ranges are known from ranges." in said
    assert "finding ranges" not in said
    models = [(tmp_path / name / "model.onnx").read_bytes() for name in ("one", "two")]
    assert models[0] == models[1]


def test_auto_takes_what_is_fastest_and_says_why(work: Path, tmp_path: Path) -> None:
    options = ["--target", "cpu:fastest", "--precision", "auto", "--budget", "100", "--batch", "1,1,4"]
    assert build(work, tmp_path / "out", *options) == 0
    manifest = read_manifest(tmp_path / "out")
    assert manifest.comparison is not None
    times = manifest.comparison.milliseconds
    name = f"{manifest.target.backend} {manifest.precision}"
    assert manifest.comparison.why.startswith(f"{name}, ")
    # Whatever seemed faster, on a busy machine too, is named with the reason why it was not taken.
    for other in (each for each, ms in times.items() if ms * 1.02 < times[name]):
        assert f"{other} is not surely faster than " in manifest.comparison.why
    assert {"onnxruntime fp32"} < set(times)
    assert manifest.int8 is not None
    assert any(each.int8 for each in manifest.int8.groups) == (manifest.precision == "int8")
    assert (manifest.int8.dropped is None) == (manifest.precision == "int8")


@needs_openvino
def test_auto_goes_on_without_a_candidate_that_cannot_be_run(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an OpenVINO without INT8 would refuse it; float32 is left, and the manifest says why INT8 is not."""
    monkeypatch.delitem(HINTS, "int8")
    options = ["--target", "openvino", "--precision", "auto", "--budget", "100", "--batch", "1,1,4"]
    assert build(work, tmp_path / "out", *options) == 0
    manifest = read_manifest(tmp_path / "out")
    assert manifest.precision in ("fp32", "bf16")
    assert manifest.comparison is not None
    assert "openvino int8 expected fp32, bf16 or int8 for openvino, got int8" in manifest.comparison.why
    assert manifest.int8 is not None
    assert manifest.int8.dropped is not None


@needs_openvino
def test_auto_takes_no_engine_that_computes_something_else_than_its_graph(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its times and its loss are: here no distance from the graph is small enough."""
    for precision in ("bf16", "int8"):
        monkeypatch.setitem(PRECISIONS, precision, replace(PRECISIONS[precision], golden_distance=-1.0))
    options = ["--target", "openvino", "--precision", "auto", "--budget", "100", "--batch", "1,2,2"]
    assert build(work, tmp_path / "out", *options) == 0
    manifest = read_manifest(tmp_path / "out")
    assert manifest.precision == "fp32"
    assert manifest.comparison is not None
    # Not one of them is even timed, whichever precisions this processor has.
    assert set(manifest.comparison.milliseconds) == {"openvino fp32"}
    assert "openvino int8 embeddings differ from the golden ones" in manifest.comparison.why
    if "bf16" in builder_of("openvino").precisions_here(manifest.target.processor):
        assert "openvino bf16 embeddings differ from the golden ones" in manifest.comparison.why


@pytest.mark.parametrize(
    ("target", "precision", "advice"),
    [
        ("cpu", "int8", "build it with --precision fp32 or --processor any or --target openvino"),
        pytest.param("openvino", "fp32", "build it with --target cpu", marks=needs_openvino),
    ],
)
def test_a_proof_that_fails_says_what_was_built_and_what_to_build(
    target: str,
    precision: str,
    advice: str,
    work: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Never where it was built, which is gone."""
    monkeypatch.setitem(PRECISIONS, precision, replace(PRECISIONS[precision], golden_distance=-1.0))
    given = ["--target", target, "--precision", precision]
    calibration = ["--calibration", str(work / "calib.json")] if precision == "int8" else []
    out = str(tmp_path / "out")
    assert main(["build", str(work / "osnet.onnx"), "-o", out, *given, *calibration]) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    on = "any" if precision == "fp32" else this_processor().kind
    assert said.startswith(
        f"error: osnet_x0_25 {precision} for {target} on {on}: embeddings differ from the golden"
    )
    assert said.endswith(f"over -1; {advice}")
    assert str(tmp_path) not in said
    assert not (tmp_path / "out").exists()


@needs_rtx
def test_auto_for_a_gpu_that_is_not_here_takes_float16_and_says_so(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--target", "rtx:sm86", "--precision", "auto", "--budget", "100"]
    assert build(work, tmp_path / "out", *options) == 0
    manifest = read_manifest(tmp_path / "out")
    assert manifest.precision == "fp16"
    assert manifest.comparison is not None
    assert "INT8 was dropped, as no GPU was here to show that it gains" in manifest.comparison.why
    capsys.readouterr()
    assert main(["inspect", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "dropped, as no GPU was here to show that it gains; in INT8 mAP " in text
    assert "0 of " not in text


@needs_rtx
def test_an_int8_plan_is_built_without_a_gpu(work: Path, tmp_path: Path) -> None:
    assert build(work, tmp_path / "out", "--target", "rtx:sm86", "--precision", "int8") == 0
    manifest = read_manifest(tmp_path / "out")
    assert (manifest.precision, manifest.target.backend) == ("int8", "tensorrt_rtx")
    assert manifest.int8 is not None
    assert manifest.int8.rules == "tensorrt"


def spoil(work: Path, value: float) -> str:
    """Write a graph with weights of `value` in its first convolution."""
    model = onnx.load(work / "osnet.onnx")
    node = next(each for each in model.graph.node if each.op_type == "Conv")
    for weight in model.graph.initializer:
        if weight.name in node.input[1:]:
            filled = np.full(tuple(weight.dims), value, np.float32)
            weight.CopyFrom(numpy_helper.from_array(filled, weight.name))
    onnx.save(model, work / f"spoilt{value}.onnx")
    return str(work / f"spoilt{value}.onnx")


def test_bad_input_is_one_line_and_leaves_no_package(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, calibration = tmp_path / "out", str(work / "calib.json")
    start = ["build", str(work / "osnet.onnx"), "-o", str(out)]
    on_cpu, int8 = ["--target", "cpu"], ["--precision", "int8"]
    nobody = tmp_path / "nobody.json"
    document = json.loads(Path(calibration).read_text())
    document["held_out"] = []
    document["pictures"] = [{**p, "path": str(work / p["path"])} for p in document["pictures"]]
    nobody.write_text(json.dumps(document))
    cases = [
        ([*start, *on_cpu, *int8], "--precision int8 needs --calibration FILE"),
        (
            [*start, *on_cpu, "--precision", "auto", "--calibration", calibration],
            "auto needs --budget POINTS",
        ),
        ([*start, *on_cpu, *int8, "--budget", "1"], "pass --calibration FILE too"),
        (
            [*start, *on_cpu, *int8, "--calibration", calibration, "--budget-idf1", "1"],
            "expected --budget-idf1 POINTS and --track SEQUENCES together",
        ),
        ([*start, *on_cpu, *int8, "--calibration", calibration, "--budget", "-1"], "of 0 to 100 points"),
        ([*start, *on_cpu, *int8, "--calibration", str(nobody), "--budget", "1"], "has none; draw it again"),
        ([*start, *on_cpu, "--calibration", calibration], "for fp16, int8 or auto, got one for fp32"),
        ([*start, *on_cpu, *int8, "--calibration", str(tmp_path / "no.json")], "found nothing at"),
        (
            [
                "build",
                str(work / spoil(work, 0.0)),
                "-o",
                str(out),
                *on_cpu,
                *int8,
                "--calibration",
                calibration,
            ],
            "are 0 on all calibration images",
        ),
        (
            ["build", spoil(work, np.nan), "-o", str(out), *on_cpu, *int8, "--calibration", calibration],
            "are not finite on the calibration images",
        ),
    ]
    for command, says in cases:
        assert main(command) == 2, says
        assert says in capsys.readouterr().err.splitlines()[-1]
        assert not out.exists()


def test_a_calibration_picture_that_vanished_is_named(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for item in ("people", "calib.json", "osnet.onnx"):
        source = work / item
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / item)
    gone = tmp_path / json.loads((tmp_path / "calib.json").read_text())["pictures"][3]["path"]
    gone.unlink()
    assert build(tmp_path, tmp_path / "out", "--target", "cpu", "--precision", "int8") == 2
    assert f"expected the calibration image {gone}, found nothing there" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_table_of_another_graph_is_made_anew_and_a_damaged_one_is_named(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build_elsewhere(work, tmp_path / "one") == 0
    table = next(work.glob("ranges.*.table.json"))
    document = json.loads(table.read_text())
    for changed, status, says in [
        ({**document, "graph_sha256": "0" * 64}, 0, "finding ranges"),
        # Ranges as an older version found them.
        ({**document, "version": 1}, 0, "finding ranges"),
        ({**document, "tensors": {}}, 2, "the calibration table knows nothing of"),
        ({"format": "another"}, 2, "table.json"),
    ]:
        table.write_text(json.dumps(changed))
        capsys.readouterr()
        assert build_elsewhere(work, tmp_path / "two", "--force") == status
        assert says in capsys.readouterr().err
    table.unlink()


def test_an_engine_ruined_on_purpose_is_refused_by_its_ranks(
    shared: Path, work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ranges a hundredth of what they should be: the budget is held to people, and no group passes."""
    graph = tmp_path / "real.onnx"
    export_onnx(shared / "weights" / "osnet_x0_25_msmt17.pth", graph)
    document = json.loads((work / "calib.json").read_text())
    for name in ("pictures", "held_out"):
        document[name] = [{**p, "path": str(work / p["path"])} for p in document[name]]
    # Half of the people: each of 22 engines embeds them all.
    people = sorted({each["identity"] for each in document["held_out"]})[::2]
    document["held_out"] = [each for each in document["held_out"] if each["identity"] in people]
    (tmp_path / "calib.json").write_text(json.dumps(document))
    options = ["--target", "cpu", "--precision", "int8", "--budget", "3"]
    whole = tmp_path / "whole"
    build(tmp_path, whole, *options[:4], graph="real.onnx")
    table = next(tmp_path.glob("calib.*.table.json"))
    ranges = json.loads(table.read_text())
    for tensor in ranges["tensors"].values():
        tensor["ranges"] = {key: value / 100 for key, value in tensor["ranges"].items()}
    table.write_text(json.dumps(ranges))
    capsys.readouterr()
    assert build(tmp_path, tmp_path / "ruined", *options, graph="real.onnx") == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert "no group of layers stays within the budget in INT8" in line
    assert "osnet-edge train quantize --weights osnet_x0_25_msmt17.pth --data SET --calibration calib" in line
    assert not (tmp_path / "ruined").exists()


def test_int8_for_tensorrt_keeps_vipers_accuracy(shared: Path, tmp_path: Path) -> None:
    """At most half a point of mAP lost for x0_25 (the issue's bound), most of the work in INT8."""
    graph = tmp_path / "real.onnx"
    export_onnx(shared / "weights" / "osnet_x0_25_msmt17.pth", graph)
    read = read_graph(graph)
    info = read.info
    train = sorted((shared / "data" / "cuhk03" / "bounding_box_train").glob("*.jpg"))[::23][:128]
    batches = [
        to_batch([read_picture(path) for path in train[i : i + 4]], info.preprocessing)
        for i in range(0, len(train), 4)
    ]
    names = {"graph_sha256": "g", "pictures_sha256": "p"}
    table = make_table(read, batches, **names, methods=("mse",))
    quantizer = Quantizer(read, table, TENSORRT)
    groups = [name for name in quantizer.groups if name != "sums"]
    assert quantizer.macs_share(groups) > 2 / 3
    found = open_set(str(shared / "data" / "viper"))
    session = open_graph(quantizer.make(groups))

    def embed(crops: list[Picture]) -> np.ndarray:
        return session.run(None, {"images": to_batch(crops, info.preprocessing)})[0]

    ranks = embed_set(partial(embed_files, embed), [found]).ranks
    assert 100 * average_precisions(ranks).mean() > 45.79 - 0.5
