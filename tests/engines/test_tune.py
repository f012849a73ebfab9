"""`osnet-edge tune`: a real small tuning on the CPU, what it leaves in the manifest, and where it resumes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
from drawn_people import draw_people
from needs import needs_openvino, needs_rtx
from onnx import TensorProto, helper, numpy_helper

from osnet_edge.cli.main import main
from osnet_edge.engines.calibration import read_calibration_set
from osnet_edge.engines.graph.reading import ExportedGraph, read_graph
from osnet_edge.engines.int8 import Calibration, HeldOut
from osnet_edge.engines.quantization.decide import Budget
from osnet_edge.engines.tuning.accuracy import Accuracy
from osnet_edge.engines.tuning.cache import TuningCache
from osnet_edge.engines.tuning.candidate import Candidate
from osnet_edge.engines.tuning.halving import Plan
from osnet_edge.engines.tuning.request import TuneRequest
from osnet_edge.engines.tuning.stopwatch import Stopwatch
from osnet_edge.engines.tuning.tune import EngineOpener
from osnet_edge.engines.tuning.tune import tune as run_tuner
from osnet_edge.runtime.backends.onnxruntime import OnnxRuntimeEngine
from osnet_edge.runtime.cuda.probe import probe
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.errors import UnavailableError
from osnet_edge.runtime.package.decisions import AccuracyLoss
from osnet_edge.runtime.package.graph_info import METADATA_KEY, dump_graph_info
from osnet_edge.runtime.package.manifest import read_manifest
from osnet_edge.runtime.package.tuning import Tuning
from osnet_edge.runtime.preprocessing import Preprocessing
from osnet_edge.runtime.processor import this_processor
from osnet_edge.train.synthetic import sample_crops

SIZE = Preprocessing(height=64, width=32)
SMALL = ["--batch", "1,2", "--size", "64x32"]
NOTHING_KEPT = TuningCache(None, None)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """A folder with `osnet.pth`, its graph `osnet.onnx` of 64x32, `calib.json` and a place for the cache."""
    folder = tmp_path_factory.mktemp("tune")
    shutil.copy(checkpoint, folder / "osnet.pth")
    assert main(["export", str(checkpoint), "--size", "64x32", "-o", str(folder / "osnet.onnx")]) == 0
    people = draw_people(folder / "people", train=64)
    calibrate = ["calibrate", "--data", str(people), "--images", "8", "--held-out", "32"]
    assert main([*calibrate, "-o", str(folder / "calib.json")]) == 0
    document = json.loads((folder / "calib.json").read_text())
    (folder / "nobody.json").write_text(json.dumps({**document, "held_out": []}))
    return folder


def tune(work: Path, model: str, *options: str) -> int:
    return main(["tune", str(work / model), "--cache", str(work / "cache"), *options])


def tuning_of(package: Path) -> Tuning:
    tuning = read_manifest(package).tuning
    assert tuning is not None
    return tuning


def test_a_checkpoint_is_tuned_on_the_cpu_and_its_package_carries_the_table(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--rewrite", "auto", "--target", "cpu", *SMALL, "-o", str(tmp_path / "out")]
    assert tune(work, "osnet.pth", *options) == 0
    text = capsys.readouterr().out
    manifest, tuning = read_manifest(tmp_path / "out"), tuning_of(tmp_path / "out")
    assert {each.name for each in tuning.candidates} == {
        "onnxruntime fp32",
        "onnxruntime fp32 streams,carry,dense,gate,unroll,sum,projection",
    }
    assert (tuning.how, tuning.batches, tuning.reference) == ("measured", (1, 2), "onnxruntime fp32")
    by_name = {each.name: each for each in tuning.candidates}
    winner, reference = by_name[tuning.winner], by_name[tuning.reference]
    assert winner.dropped is None
    assert all(each.dropped for each in tuning.candidates if each is not winner)
    assert all(set(each.milliseconds) == {"1", "2"} and each.rounds >= 21 for each in tuning.candidates)
    assert winner.picture_ms is not None
    assert reference.picture_ms is not None
    assert winner.picture_ms <= reference.picture_ms
    assert manifest.model.rewrite == winner.rewrite
    assert (manifest.batch.min, manifest.batch.max) == (1, 2)
    assert Embedder.load(tmp_path / "out").prove() < 1e-4
    assert "int8 was not tried: what it loses is measured with --calibration and --budget" in text
    assert f"winner: {tuning.winner}" in text
    assert main(["inspect", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in by_name)


def test_a_second_tuning_remembers_every_time_and_a_damaged_memory_is_made_anew(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    options = ["--target", "cpu", "--batch", "1,2", "--cache", str(cache), "--json"]
    command = ["tune", str(work / "osnet.onnx"), *options]

    def run(*more: str) -> tuple[dict[str, object], str]:
        capsys.readouterr()
        assert main([*command, *more]) == 0
        said = capsys.readouterr()
        return json.loads(said.out), said.err

    first, said = run()
    assert "timing 1 candidate," in said
    again, said = run()
    assert again == first
    assert "timing" not in said
    _, said = run("--fresh")
    assert "timing" in said
    kept = list(cache.iterdir())
    assert kept
    for damage in ("", "{", "[]", '{"key": 1, "value": {"rounds": []}}', kept[0].read_text()[:-40]):
        for file in kept:
            file.write_text(damage)
        _, said = run()
        assert "timing" in said, damage
    assert "timing" not in run()[1]


@pytest.mark.parametrize(("slower", "quiet"), [(1.01, True), (1.5, False)])
def test_a_machine_is_called_busy_by_the_calls_of_the_reference_as_the_bench_does(
    slower: float, quiet: bool, work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Times are remembered, and here every other round is made slower."""
    command = ["tune", str(work / "osnet.onnx"), "--target", "cpu", "--batch", "1"]
    command += ["--cache", str(tmp_path), "--json"]
    assert main(command) == 0
    (kept,) = tmp_path.iterdir()
    document = json.loads(kept.read_text())
    for index, one in enumerate(document["value"]["rounds"]):
        one.update({name: [slower if index % 2 else 1.0] for name in one})
    kept.write_text(json.dumps(document))
    capsys.readouterr()
    assert main(command) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert any(note.startswith("the machine was not quiet: ") for note in notes) != quiet


def call_rewritten(graph: Path, name: str, output: Path) -> ExportedGraph:
    """Write a copy of a graph that says it was rewritten: what is timed does not matter here."""
    read = read_graph(graph)
    model, info = read.model, replace(read.info, model=replace(read.info.model, rewrite=(name,)))
    onnx.helper.set_model_props(model, {METADATA_KEY: dump_graph_info(info)})
    onnx.save(model, output)
    return read_graph(output)


def test_an_interrupted_tuning_goes_on_where_it_was(work: Path, tmp_path: Path) -> None:
    """Ctrl-C while the second group loads: the first group is remembered, and nothing else is left."""
    graphs = [read_graph(work / "osnet.onnx")]
    for name in ("gate", "streams", "sum"):
        graphs.append(call_rewritten(work / "osnet.onnx", name, tmp_path / f"{name}.onnx"))
    crops = sample_crops(2, 100, 40)
    plan = Plan(part=2, slots=3)
    request = TuneRequest(tuple(graphs), "cpu", (1, 2), crops, cache=tmp_path / "cache", plan=plan)

    def interrupt(text: str) -> None:
        if text == "loading onnxruntime fp32 streams":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_tuner(request, tmp_path / "out", progress=interrupt)
    assert not (tmp_path / "out").exists()
    assert len(list((tmp_path / "cache").iterdir())) == 1
    said: list[str] = []
    run_tuner(request, tmp_path / "out", progress=said.append)
    # Two groups make the first rung, and one of them was timed before: one and the last rung are left.
    assert sum(text.startswith("timing") for text in said) == 2
    assert (tmp_path / "out").is_dir()


def mixing_its_batch(graph: Path, output: Path) -> ExportedGraph:
    """Write a graph with another's input, output and metadata: far faster, and what it makes of an image goes
    with the others of its batch, as of a network that was exported while it trained."""
    model = onnx.load(graph)
    size = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    constants = {"flat": [0, -1], "first": [0], "last": [size], "axis": [1]}
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["floats", "flat"], ["pixels"]),
        helper.make_node("Slice", ["pixels", "first", "last", "axis"], ["rows"]),
        helper.make_node("ReduceMean", ["rows"], ["mean"], axes=[0]),
        helper.make_node("Mul", ["rows", "mean"], ["embeddings"]),
    ]
    made = [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()]
    model.graph.CopyFrom(helper.make_graph(nodes, "small", model.graph.input, model.graph.output, made))
    onnx.save(model, output)
    return read_graph(output)


def test_a_winner_whose_own_proof_fails_makes_place_for_the_next(work: Path, tmp_path: Path) -> None:
    """Golden pairs are made of a whole batch, and the engine is tuned for single images."""
    mixing_its_batch(work / "osnet.onnx", tmp_path / "mixing.onnx")
    fastest = call_rewritten(tmp_path / "mixing.onnx", "gate", tmp_path / "gate.onnx")
    graphs = (read_graph(work / "osnet.onnx"), fastest)
    said: list[str] = []
    request = TuneRequest(graphs, "cpu", (1,), sample_crops(2, 100, 40))
    tuning, manifest = run_tuner(request, tmp_path / "out", progress=said.append)
    assert tuning.winner == "onnxruntime fp32"
    assert manifest == read_manifest(tmp_path / "out")
    assert manifest.model.rewrite == ()
    assert Embedder.load(tmp_path / "out").prove() < 1e-4
    (dropped,) = (each.dropped for each in tuning.candidates if each.rewrite)
    assert dropped is not None
    assert dropped.startswith("fails its own proof (osnet_x0_25 fp32 for cpu on any: embeddings differ")
    assert any(text.startswith("onnxruntime fp32 gate fails its own proof") for text in said)


def test_where_every_proof_fails_each_is_named_and_no_package_is_left(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixing_its_batch(work / "osnet.onnx", tmp_path / "mixing.onnx")
    options = ["--target", "cpu", "--batch", "1", "-o", str(tmp_path / "out")]
    assert tune(work, str(tmp_path / "mixing.onnx"), *options) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: no candidate is left to build: onnxruntime fp32 fails its own proof (")
    assert not (tmp_path / "out").exists()


@needs_openvino
def test_what_rounds_is_tried_with_a_budget_and_drawn(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--target", "cpu:fastest", "--batch", "1,2", "--calibration", str(work / "calib.json")]
    out, plot = tmp_path / "out", tmp_path / "tune.svg"
    assert tune(work, "osnet.onnx", *options, "--budget", "100", "-o", str(out), "--plot", str(plot)) == 0
    tuning, manifest = tuning_of(out), read_manifest(out)
    assert tuning.budget == 100
    names = {each.name for each in tuning.candidates}
    assert {"onnxruntime fp32", "onnxruntime int8", "openvino fp32 best=2"} <= names
    winner = next(each for each in tuning.candidates if each.name == tuning.winner)
    assert winner.precision == "fp32" or winner.loss is not None
    assert manifest.precision == winner.precision
    assert (manifest.int8 is not None) == (winner.precision == "int8")
    # Where INT8 gains nothing, the table says so.
    fastest = {
        precision: min(each.picture_ms or 0 for each in tuning.candidates if each.precision == precision)
        for precision in ("fp32", "int8")
    }
    note = any(each.startswith("INT8 gains nothing here: ") for each in tuning.notes)
    assert note == (fastest["int8"] >= fastest["fp32"])
    assert ElementTree.fromstring(plot.read_text()).tag.endswith("svg")
    assert Embedder.load(out).prove() < 1e-1
    capsys.readouterr()
    assert main(["inspect", str(out)]) == 0
    assert f"winner: {tuning.winner}" in capsys.readouterr().out


def accuracy_of(
    graphs: Mapping[tuple[str, ...], ExportedGraph],
    request: Calibration | None,
    cache: TuningCache = NOTHING_KEPT,
    *,
    on_cpu: bool = True,
) -> Accuracy:
    crops, processor = sample_crops(2, 100, 40), this_processor().kind if on_cpu else ""
    return Accuracy(graphs, request, cache, crops, processor, lambda text: None)


def test_what_rounds_is_held_to_the_budget_on_held_out_people(work: Path, tmp_path: Path) -> None:
    """INT8 within the budget is decided on once and remembered; what loses more is refused with its loss."""
    file, candidate = work / "calib.json", Candidate("onnxruntime", "int8")
    request = Calibration(read_calibration_set(file), file, Budget(100.0))
    found, graphs = [], {(): read_graph(work / "osnet.onnx")}
    for _ in range(2):
        cache = TuningCache(tmp_path / "cache", "here")
        accuracy = accuracy_of(graphs, request, cache)
        assert accuracy.refuse(candidate) is None
        assert accuracy.decided[candidate].whole
        found.append((accuracy.losses[candidate], accuracy.decisions[candidate]))
    assert found[0] == found[1]
    # Three points lost, and a budget of one.
    strict = replace(request, budget=Budget(1.0))
    accuracy = accuracy_of(graphs, strict)
    lost = AccuracyLoss(2.0, 3.0, 0.0, 0.0)
    bf16 = Candidate("openvino", "bf16", best=2)
    refused = accuracy.refuse(bf16, lambda people: lost)
    assert refused == "loses up to 3.00 points of mAP"
    # What is within the budget under the same cameras, and not under others.
    elsewhere = AccuracyLoss(0.1, 0.2, 0.0, 0.0, lost)
    assert accuracy_of(graphs, strict).refuse(bf16, lambda people: elsewhere) == refused
    assert accuracy.refuse(Candidate("onnxruntime", "fp32")) is None


def opener(work: Path, scratch: Path, target: str, accuracy: Accuracy) -> EngineOpener:
    return EngineOpener(TuneRequest((), target, (1, 8), sample_crops(2, 100, 40)), accuracy, scratch)


@pytest.mark.skipif(probe().available, reason="tests a machine without a GPU")
def test_what_computes_in_floating_point_is_built_so_for_a_gpu(work: Path, tmp_path: Path) -> None:
    """Nothing but INT8 needs a calibration set; without a GPU the package is built, and cannot be opened."""
    graphs = {(): read_graph(work / "osnet.onnx")}
    accuracy = accuracy_of(graphs, None, on_cpu=False)
    with pytest.raises(UnavailableError):
        opener(work, tmp_path, "cuda", accuracy)(Candidate("onnxruntime_cuda", "fp16", best=8))
    (manifest,) = (read_manifest(path) for path in tmp_path.iterdir())
    assert manifest.precision == "fp16"


@needs_rtx
@pytest.mark.skipif(probe().available, reason="tests a machine without a GPU")
def test_int8_that_was_decided_on_is_built_anew(work: Path, tmp_path: Path) -> None:
    """First with all layers in INT8, for its time alone; then as decided, with the decision."""
    file, candidate = work / "calib.json", Candidate("tensorrt_rtx", "int8", best=8)
    request = Calibration(read_calibration_set(file), file, Budget(100.0))
    graphs = {(): read_graph(work / "osnet.onnx")}
    accuracy = accuracy_of(graphs, request, on_cpu=False)
    open_engine, decided = opener(work, tmp_path, "rtx:sm86", accuracy), []
    for _ in range(2):
        with pytest.raises(UnavailableError):
            open_engine(candidate)
        decided.append(sum(read_manifest(path).int8 is not None for path in tmp_path.iterdir()))
        assert accuracy.refuse(candidate) is None
    assert decided == [0, 1]


def test_a_candidate_that_is_another_by_now_is_opened_anew_to_be_timed_and_measured() -> None:
    """As INT8 is once it was decided on, with fewer groups of layers."""

    class Opened:
        def __init__(self, content: str) -> None:
            self.content = content

        def infer(self, batch: np.ndarray) -> np.ndarray:
            return batch

    content = {"float": "all", "int8": "all"}
    watch = Stopwatch(
        lambda name: Opened(content[name]), content.get, "float", SIZE, [1], TuningCache(None, None)
    )
    watch(0, ("float", "int8"), 1)
    first, reference = watch.engine("int8"), watch.engine("float")
    assert watch.engine("int8") is first
    content["int8"] = "some"
    again = watch.engine("int8")
    assert isinstance(again, Opened)
    assert again.content == "some"
    watch(1, ("float", "int8"), 1)
    assert watch.engine("int8") is again
    assert watch.engine("float") is reference


def test_held_out_people_are_run_in_batches_that_the_engine_takes(work: Path) -> None:
    """Each once and in order; the loss itself moves with rounding, by which a pair may change places."""

    class Small:
        def infer(self, batch: np.ndarray) -> np.ndarray:
            assert len(batch) <= 5
            return plain.infer(batch)

    file, graph = work / "calib.json", read_graph(work / "osnet.onnx")
    people = HeldOut(Calibration(read_calibration_set(file), file), graph)
    plain = OnnxRuntimeEngine(graph.path, graph.info.preprocessing, 512)
    rows, reference = people.embed_by(Small(), 5), people.embed_by(plain)
    # Behind the images themselves, what other cameras would give of them.
    assert rows.shape == reference.shape == (2 * people.count, 512)
    # The closest two images are 9e-3 apart.
    assert np.linalg.norm(rows - reference, axis=1).max() < 1e-5


@needs_rtx
def test_for_a_gpu_that_is_not_here_plans_are_ranked_and_the_manifest_says_estimated(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--target", "rtx:sm86", "--precision", "fp16", "--rewrite", "auto", "--batch", "1,8"]
    options += ["--size", "64x32"]
    assert tune(work, "osnet.pth", *options, "--device", "rtx3090", "-o", str(tmp_path / "out")) == 0
    tuning, text = tuning_of(tmp_path / "out"), capsys.readouterr().out
    assert (tuning.how, tuning.device) == ("estimated", "RTX 3090")
    assert "estimated, not measured, for RTX 3090" in text
    assert "what fp16 loses was not measured" in text
    by_name = {each.name: each for each in tuning.candidates}
    published = by_name[tuning.reference]
    winner = by_name[tuning.winner]
    assert published.rewrite == ()
    assert len(winner.rewrite) == 7
    assert published.launches is not None
    assert winner.launches is not None
    # From the plans' own schedules: the rewrite leaves a third of the launches.
    assert winner.launches < published.launches / 2.5
    assert all(each.rounds == 0 and each.spread == {} for each in tuning.candidates)
    assert read_manifest(tmp_path / "out").model.rewrite == winner.rewrite


def test_full_tensorrt_is_ranked_by_the_graph_alone_and_builds_nothing(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--target", "tensorrt", "--precision", "fp32,fp16", "--json"]
    assert tune(work, "osnet.onnx", *options) == 0
    tuning = json.loads(capsys.readouterr().out)
    assert (tuning["how"], tuning["device"]) == ("estimated", "Jetson AGX Orin 64GB")
    assert tuning["winner"].startswith("tensorrt fp16")


def without_graph(work: Path) -> str:
    (work / "torn.pth").write_bytes((work / "osnet.pth").read_bytes()[:2000])
    return "torn.pth"


@pytest.mark.parametrize(
    ("model", "options", "status", "says"),
    [
        ("osnet.onnx", ["--target", "phone"], 2, "expected a target of cpu"),
        ("missing.pth", ["--target", "cpu"], 2, "expected a checkpoint or an ONNX file, found nothing at"),
        ("people", ["--target", "cpu"], 2, "expected a checkpoint or an ONNX file, found a folder at"),
        ("calib.json", ["--target", "cpu"], 2, "calib.json is JSON, not a checkpoint"),
        (without_graph, ["--target", "cpu"], 2, "torn.pth"),
        ("osnet.onnx", ["--target", "cpu", "--batch", "0"], 2, "expected --batch as whole numbers"),
        ("osnet.onnx", ["--target", "cpu", "--batch", "8,1"], 2, "1 to 512, rising, such as 1,8,32; got 8,1"),
        ("osnet.onnx", ["--target", "cpu", "--batch", "9999"], 2, "expected --batch sizes of 1 to 512"),
        ("osnet.onnx", ["--target", "cpu", "--budget", "-1"], 2, "of 0 to 100 points"),
        ("osnet.onnx", ["--target", "cpu", "--calibration", "calib.json"], 2, "pass --budget POINTS"),
        (
            "osnet.onnx",
            ["--target", "cpu", "--calibration", "nobody.json", "--budget", "1"],
            2,
            "needs people held out, and nobody.json has none",
        ),
        ("osnet.onnx", ["--target", "cpu", "--calibration", "no.json", "--budget", "1"], 2, "no.json"),
        ("osnet.onnx", ["--target", "cpu", "--precision", "fp16"], 2, "of fp32, int8 for cpu, got fp16"),
        ("osnet.onnx", ["--target", "cpu:fastest", "--precision", "fp16"], 2, " for cpu:fastest, got fp16"),
        ("osnet.onnx", ["--target", "cpu", "--precision", "int8"], 2, "int8 needs --calibration FILE"),
        ("osnet.onnx", ["--target", "cpu", "--rewrite", "gate"], 2, "pass a checkpoint to try others"),
        ("osnet.pth", ["--target", "cpu", "--rewrite", "faster"], 2, "expected none, auto or some of"),
        ("osnet.onnx", ["--target", "rtx:sm86", "--device", "abacus"], 2, "expected --device as one of T4"),
        ("osnet.onnx", ["--target", "cpu", "--device", "T4"], 2, "--device is for a target that"),
        ("osnet.onnx", ["--target", "rtx:current"], 1, "rtx:current is for the GPU that is here"),
        ("osnet.onnx", ["--target", "cuda"], 1, "cuda is tuned on the GPU it is for"),
        ("osnet.onnx", ["--target", "rtx:sm121"], 2, "no device stands for compute capability 12.1"),
        ("osnet.onnx", ["--target", "cpu", "--plot", "nowhere/a.svg"], 2, "nowhere does not exist"),
        ("osnet.onnx", ["--target", "cpu", "--cache", "calib.json"], 2, "calib.json"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    work: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: str | Callable[[Path], str],
    options: list[str],
    status: int,
    says: str,
) -> None:
    monkeypatch.chdir(work)
    name = model if isinstance(model, str) else model(work)
    before = sorted(work.rglob("*"))
    capsys.readouterr()
    assert (
        main(["tune", name, "--cache", str(tmp_path / "cache"), *options, "-o", str(tmp_path / "out")])
        == status
    )
    error = capsys.readouterr().err.splitlines()
    assert says in error[-1]
    assert error[-1].startswith("error: ")
    assert not (tmp_path / "out").exists()
    assert sorted(work.rglob("*")) == before


def test_tensorrt_without_its_device_builds_no_package(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune(work, "osnet.onnx", "--target", "tensorrt", "-o", str(tmp_path / "out")) == 1
    assert "TensorRT builds on the device itself" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_package_that_is_there_is_not_replaced_unasked(
    work: Path, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune(work, "osnet.onnx", "--target", "cpu", "-o", str(package)) == 2
    assert "pass --force to replace it" in capsys.readouterr().err.splitlines()[-1]
    assert read_manifest(package).tuning is None
