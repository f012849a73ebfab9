"""OpenVINO as a backend; what it shares with ONNX Runtime is in test_embedder.py."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from osnet_edge.bench import from_json
from osnet_edge.cli.main import main
from osnet_edge.engines.build import build_package
from osnet_edge.engines.graph.reading import read_graph
from osnet_edge.engines.targets import parse_target
from osnet_edge.engines.tuning.quick import choose_library
from osnet_edge.runtime import Embedder, InputError, UnavailableError
from osnet_edge.runtime.backends import openvino as openvino_cpu
from osnet_edge.runtime.backends.openvino import arrange
from osnet_edge.runtime.files import sha256_of
from osnet_edge.runtime.package import folder as package_folder
from osnet_edge.runtime.package.manifest import BatchRange, read_manifest
from osnet_edge.runtime.precisions import PRECISIONS
from osnet_edge.runtime.preprocessing import to_batch
from osnet_edge.runtime.processor import Processor
from osnet_edge.train.synthetic import sample_crops


@pytest.fixture(scope="module")
def bf16_package(graph: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if "bf16" not in openvino_cpu.installed_precisions():
        pytest.skip("needs a CPU that computes in bf16")
    path = tmp_path_factory.mktemp("bf16") / "osnet-bf16"
    crops = sample_crops(4, 200, 80, seed=1)
    build_package(
        graph,
        path,
        target="openvino",
        golden_crops=crops,
        precision="bf16",
        batch=BatchRange(1, 1, 32),
    )
    return path


@pytest.fixture(scope="module")
def embedder(openvino_package: Path) -> Embedder:
    return Embedder.load(openvino_package, threads=1)


@pytest.fixture
def cpu_without_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr(openvino_cpu, "cpu_precisions", lambda core: ("fp32",))


@pytest.fixture
def without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)


def test_the_package_is_the_graph_as_exported(openvino_package: Path, graph: Path) -> None:
    openvino = openvino_cpu.import_openvino()
    target = read_manifest(openvino_package).target
    assert (target.backend, target.device, target.exact_version) == ("openvino", "cpu", False)
    # Its own version has a build number behind what pip calls it.
    assert openvino.__version__.startswith(target.backend_version)
    assert sha256_of(openvino_package / "model.onnx") == sha256_of(graph)


def test_both_libraries_give_the_same_embeddings(embedder: Embedder, package: Path) -> None:
    crops = sample_crops(5, 150, 70, seed=2)
    np.testing.assert_allclose(embedder(crops), Embedder.load(package)(crops), atol=1e-5)


def kernels_of(package: Path) -> list[tuple[str, str]]:
    """The kernels that OpenVINO makes of a package's graph: the kind of each, and what is fused in it."""
    core = openvino_cpu.open_core()
    graph = openvino_cpu.read_arranged(core, package / "model.onnx")
    graph.reshape([2, *(size.get_length() for size in list(graph.inputs[0].get_partial_shape())[1:])])
    facts = [op.get_rt_info() for op in core.compile_model(graph, "CPU").get_runtime_model().get_ops()]
    return [(each["layerType"].astype(str), each["originalLayersNames"].astype(str)) for each in facts]


def test_no_kernel_over_a_whole_map_computes_a_gate(openvino_package: Path) -> None:
    # A product of a map with its gates is fused with the sums behind it, and with nothing in front of it.
    products = [names for _, names in kernels_of(openvino_package) if "/gate/Mul" in names]
    assert len(products) == 6
    assert not any("Sigmoid" in names or "/fc" in names for names in products)


def test_a_picture_is_not_transposed(openvino_package: Path) -> None:
    assert "Transpose" not in [kind for kind, _ in kernels_of(openvino_package)]


def test_arranged_the_network_computes_the_same(openvino_package: Path) -> None:
    core, rows = openvino_cpu.open_core(), []
    for change in (arrange, lambda graph: None):
        graph = core.read_model(openvino_package / "model.onnx")
        change(graph)
        compiled = core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        size = read_manifest(openvino_package).preprocessing.input_shape
        rows.append(compiled(np.random.default_rng(0).integers(0, 256, (3, *size), np.uint8))[0])
    np.testing.assert_allclose(*rows, rtol=1e-5, atol=1e-5 * np.abs(rows[1]).max())


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8])
def test_a_batch_made_of_compiled_ones_gives_each_picture_its_own_row(embedder: Embedder, count: int) -> None:
    batch = to_batch(list(sample_crops(count, 256, 128)), embedder.manifest.preprocessing)
    # Back to front, so that a row left over from the call before would show.
    backwards = embedder.infer(np.ascontiguousarray(batch[::-1]))
    np.testing.assert_allclose(embedder.infer(batch), backwards[::-1], atol=1e-5)


def test_rows_stay_what_they_were_when_the_engine_is_called_again(embedder: Embedder) -> None:
    first, second = sample_crops(2)
    rows = embedder([first], l2_normalize=False)
    before = rows.copy()
    embedder([second])
    np.testing.assert_array_equal(rows, before)


@pytest.mark.parametrize(
    ("best", "sizes"), [(1, [1]), (8, [8, 4, 2, 1]), (12, [12, 6, 3, 1]), (4096, [32, 16, 8, 4, 2, 1])]
)
def test_compiled_sizes_reach_from_the_best_batch_to_one(best: int, sizes: list[int]) -> None:
    assert list(openvino_cpu.compiled_sizes(best)) == sizes


def test_bf16_rounds_and_stays_within_its_golden_limit(bf16_package: Path, embedder: Embedder) -> None:
    rounded = Embedder.load(bf16_package)
    assert 1e-5 < rounded.prove() < rounded.manifest.golden.max_centred_distance
    # float32 is float32, also on a CPU where OpenVINO would round by itself.
    assert embedder.prove() < 1e-6


def test_the_bf16_limit_catches_a_ruined_engine(
    bf16_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    embedder = Embedder.load(bf16_package)
    flipped = embedder(sample_crops(4, 200, 80, seed=1)[..., ::-1])
    copy = bf16_package.parent / "flipped"
    shutil.copytree(bf16_package, copy)
    with np.load(copy / "golden.npz") as pairs:
        np.savez(copy / "golden.npz", crops=pairs["crops"], embeddings=flipped)
    document = json.loads((copy / "manifest.json").read_text())
    golden = copy / "golden.npz"
    document["files"]["golden.npz"] = {"sha256": sha256_of(golden), "bytes": golden.stat().st_size}
    (copy / "manifest.json").write_text(json.dumps(document))
    assert main(["inspect", str(copy), "--prove"]) == 1
    assert "do not use this engine" in capsys.readouterr().err


def test_a_cpu_without_bf16_refuses_to_build_and_to_load(
    cpu_without_bf16: None,
    openvino_package: Path,
    graph: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    build = ["build", str(graph), "--target", "openvino", "--precision", "bf16", "-o", str(tmp_path / "out")]
    assert main(build) == 1
    assert "needs a CPU that computes in bf16" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    copy = edited(openvino_package, tmp_path / "copy", precision="bf16")
    with pytest.raises(UnavailableError, match="build it with --precision fp32"):
        Embedder.load(copy)


def test_without_openvino_it_says_how_to_install_it(
    package: Path, without_openvino: None, graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = {**json.loads((package / "manifest.json").read_text())["target"], "backend": "openvino"}
    with pytest.raises(UnavailableError, match="pip install openvino"):
        Embedder.load(edited(package, tmp_path / "copy", target=target))
    assert main(["build", str(graph), "--target", "openvino", "-o", str(tmp_path / "out")]) == 1
    assert "pip install openvino" in capsys.readouterr().err
    assert main(["build", str(graph), "--target", "cpu:fastest", "-o", str(tmp_path / "out")]) == 0
    assert "fastest here: onnxruntime, the only one installed" in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["targets"]["openvino"]
    assert found["run"] == []
    assert "pip install openvino" in found["problems"][0]


@pytest.mark.parametrize(
    ("sentence", "fields", "message"),
    [
        (
            "fp16, which it is not asked for",
            {"precision": "fp16"},
            "expected fp32, bf16 or int8 for openvino",
        ),
        ("a graph of another input", {"preprocessing": {"width": 64}}, "build it again"),
        ("a graph of another size", {"model": {"embedding_size": 256}}, "build it again"),
    ],
)
def test_a_graph_that_is_not_what_the_manifest_says_is_refused(
    sentence: str, fields: dict[str, object], message: str, openvino_package: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        Embedder.load(edited(openvino_package, tmp_path / "copy", **fields))


def test_a_file_that_is_no_graph_is_refused(openvino_package: Path, tmp_path: Path) -> None:
    copy = edited(openvino_package, tmp_path / "copy")
    model = copy / "model.onnx"
    ours, openvinos = "no ONNX graph, or not a whole one", "OpenVINO cannot load .*Unable to read"
    cut, version_alone = model.read_bytes()[:50_000], b"\x08\x08"
    for content, message in ((b"", ours), (b"no graph", ours), (cut, ours), (version_alone, openvinos)):
        model.write_bytes(content)
        entry = {"model.onnx": {"sha256": sha256_of(model), "bytes": len(content)}}
        with pytest.raises(InputError, match=message):
            Embedder.load(edited(copy, tmp_path / str(len(content)), files=entry))


@pytest.mark.parametrize("threads", [0, -1, 1000])
def test_a_number_of_threads_that_is_none_is_refused(openvino_package: Path, threads: int) -> None:
    with pytest.raises(InputError, match="expected 1 to 512 threads"):
        Embedder.load(openvino_package, threads=threads)


def test_bench_takes_the_reference_from_an_openvino_package(
    bf16_package: Path, openvino_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packages = [str(bf16_package), str(openvino_package)]
    assert main(["bench", *packages, "--batch", "1,3", "--duration", "0.01", "--json", "-"]) == 0
    result = from_json(capsys.readouterr().out)
    assert [engine.name for engine in result.engines] == ["float32 reference", "osnet-bf16", "osnet-openvino"]
    assert [engine.precision for engine in result.engines] == ["fp32", "bf16", "fp32"]
    assert result.machine.versions["openvino"] == read_manifest(openvino_package).target.backend_version


def test_a_package_for_the_fastest_library_says_which_and_why(
    graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("openvino")
    out = tmp_path / "out"
    build = ["build", str(graph), "--target", "cpu:fastest", "--batch", "1,1,8", "-o", str(out)]
    assert main(build) == 0
    manifest = read_manifest(out)
    why = manifest.tools["cpu:fastest"]
    assert f"fastest here: {why}\n" in capsys.readouterr().out
    said = re.fullmatch(
        r"(\w+), as a batch of 1 took onnxruntime ([\d.]+) ms, openvino ([\d.]+) ms"
        r"(?:; openvino is not surely faster than onnxruntime fp32)?",
        why,
    )
    assert said
    assert manifest.target.backend == said[1]
    # Whichever the machine favours by more than noise; between, ONNX Runtime is always there.
    if float(said[2]) < float(said[3]):
        assert said[1] == "onnxruntime"


def test_a_library_that_is_quick_and_wrong_is_passed_over_with_the_reason(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    # No distance from the graph is small enough, so OpenVINO counts as wrong whatever its time.
    monkeypatch.setitem(PRECISIONS, "fp32", replace(PRECISIONS["fp32"], golden_distance=-1.0))
    spec = parse_target("cpu:fastest")
    found = choose_library(read_graph(graph), spec, 1, sample_crops(2, 100, 40), lambda step: None)
    assert found.spec.backend == "onnxruntime"
    assert "openvino embeddings differ from the golden ones" in found.choice


def edited(package: Path, copy: Path, **fields: object) -> Path:
    """A copy of a package with fields of its manifest replaced, or merged where they are objects."""
    shutil.copytree(package, copy)
    document = json.loads((copy / "manifest.json").read_text())
    for name, value in fields.items():
        document[name] = {**(document[name] or {}), **value} if isinstance(value, dict) else value
    (copy / "manifest.json").write_text(json.dumps(document))
    return copy


def test_ctrl_c_is_an_interrupt_after_engines_came_and_went(openvino_package: Path) -> None:
    # OpenVINO leaves the thread a freed stack for signal handlers where two cores go in the order they came.
    code = """
import signal, sys
from osnet_edge.runtime import Embedder
engines = [Embedder.load(sys.argv[1], threads=1) for _ in range(2)]
while engines:
    del engines[0]
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""
    ran = subprocess.run([sys.executable, "-c", code, openvino_package], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "interrupted\n"), ran.stderr


@pytest.mark.parametrize(
    ("sentence", "here", "bits", "refused", "lacks"),
    [
        (
            "an ARM without dot products, which OpenVINO has no INT8 for",
            Processor("aarch64", ()),
            8,
            "no: OpenVINO has INT8 from aarch64-dotprod on, and this machine is aarch64",
            "no INT8: OpenVINO has it from aarch64-dotprod on",
        ),
        (
            "an x86 without VNNI, which cuts sums off",
            Processor("x86_64", ("avx2",)),
            8,
            "no: this INT8 engine was built for a processor with VNNI, and this one has no VNNI",
            "no INT8 with weights of 8 bits",
        ),
        ("the same with weights of 7 bits", Processor("x86_64", ("avx2",)), 7, "", "no INT8 with weights"),
    ],
)
def test_inspect_and_doctor_say_where_int8_is_refused(
    sentence: str,
    here: Processor,
    bits: int,
    refused: str,
    lacks: str,
    openvino_package: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without loading the engine; no such processor is here, so that its name is all that is changed."""
    monkeypatch.setattr(package_folder, "this_processor", lambda: here)
    monkeypatch.setattr(openvino_cpu, "this_processor", lambda: here)
    names = dict.fromkeys(("rules", "ranges", "calibration", "pictures_sha256"), "none")
    numbers = {"pictures": 1, "held_out": 0, "macs": 0.0, "weight_bits": bits, "groups": []}
    limits = dict.fromkeys(("budget", "budget_rank1", "loss"))
    fields = {"precision": "int8", "int8": {**names, **numbers, **limits}, "target": {"processor": ""}}
    int8 = edited(openvino_package, tmp_path / "int8", **fields)
    assert main(["inspect", str(int8)]) == 0
    shown = capsys.readouterr().out
    assert (f"runs here      {refused}" in shown) if refused else ("runs here" not in shown)
    assert main(["doctor", "--json"]) == 0
    problems = json.loads(capsys.readouterr().out)["targets"]["openvino"]["problems"]
    assert any(each.startswith(lacks) for each in problems)
