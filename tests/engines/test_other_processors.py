"""INT8 for this processor and for others: built, loaded, refused or verified, and run without VNNI."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from drawn_people import draw_people
from needs import needs_openvino
from onnx import numpy_helper

from osnet_edge.cli.main import main
from osnet_edge.engines.backends.registry import builder_of
from osnet_edge.engines.golden import first_difference
from osnet_edge.engines.graph.reading import Graph
from osnet_edge.export.to_onnx import export_onnx
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.errors import CheckError
from osnet_edge.runtime.files import sha256_of
from osnet_edge.runtime.package.golden import read_golden
from osnet_edge.runtime.package.manifest import read_manifest
from osnet_edge.runtime.preprocessing import Preprocessing, to_batch
from osnet_edge.runtime.processor import this_processor
from osnet_edge.train.checkpoint import load_osnet, save_osnet
from osnet_edge.train.synthetic import sample_crops

SMALL = Preprocessing(height=128, width=64)
HASWELL = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """A folder with `calib.json` and `osnet.onnx`, whose 1x1 weights cut sums off at once without VNNI."""
    folder = tmp_path_factory.mktemp("processors")
    people = draw_people(folder / "people", train=16)
    calibrate = ["calibrate", "--data", str(people), "--images", "16", "--held-out", "0"]
    assert main([*calibrate, "-o", str(folder / "calib.json")]) == 0
    model = load_osnet(checkpoint)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 4 and weight.shape[2:] == (1, 1):
                # All of one magnitude: every integer is the largest that there is.
                weight.copy_(weight.sign() * weight.abs().mean())
    save_osnet(model, folder / "osnet.pth")
    export_onnx(folder / "osnet.pth", folder / "osnet.onnx", preprocessing=SMALL)
    return folder


def build(work: Path, output: Path, *options: str) -> int:
    precision = ["--precision", "int8", "--calibration", str(work / "calib.json"), "--batch", "1,1,8"]
    return main(["build", str(work / "osnet.onnx"), "-o", str(output), *precision, *options])


def built(work: Path, target: str, processor: str) -> Path:
    """INT8 for a library and a processor, built when first asked for."""
    package = work / "built" / f"{target}-{processor}"
    if not package.exists():
        package.parent.mkdir(exist_ok=True)
        assert build(work, package, "--target", target, "--processor", processor) == 0
    return package


@pytest.fixture(scope="module")
def packages(work: Path) -> Path:
    """INT8 for each of the two libraries, with weights of 8 bits (`vnni-`) and of 7 (`any-`)."""
    pytest.importorskip("openvino")
    folder = work / "packages"
    folder.mkdir()
    for target in ("cpu", "openvino"):
        for processor, name in (("x86-64-vnni", "vnni"), ("any", "any")):
            shutil.copytree(built(work, target, processor), folder / f"{name}-{target}")
    # As they were before manifests told of processors.
    for target in ("cpu", "openvino"):
        old = shutil.copytree(folder / f"vnni-{target}", folder / f"old-{target}")
        change_manifest(old, lambda it: (it["target"].pop("processor"), it["int8"].pop("weight_bits")))
    return folder


def change_manifest(package: Path, change: Any) -> None:
    document = json.loads((package / "manifest.json").read_text())
    change(document)
    (package / "manifest.json").write_text(json.dumps(document))


def largest_weight(package: Path) -> int:
    """Of the integers that stand for weights in a package's graph."""
    model = onnx.load(package / "model.onnx")
    return max(
        int(np.abs(numpy_helper.to_array(each).astype(int)).max())
        for each in model.graph.initializer
        if each.name.endswith("_integers")
    )


@pytest.mark.parametrize(
    ("target", "processor", "rules", "bits"),
    [
        ("cpu", "any", "onnxruntime-reduced-range", 7),
        ("cpu", "x86-64-v3", "onnxruntime-reduced-range", 7),
        ("cpu", "x86-64-vnni", "onnxruntime-x86", 8),
        ("cpu", "x86-64-bf16", "onnxruntime-x86", 8),
        ("cpu", "aarch64", "onnxruntime-arm", 8),
        ("cpu", "aarch64-dotprod", "onnxruntime-arm", 8),
        pytest.param("openvino", "any", "openvino-reduced-range", 7, marks=needs_openvino),
        pytest.param("openvino", "x86-64-vnni", "openvino", 8, marks=needs_openvino),
    ],
)
def test_int8_is_made_for_the_processor_that_is_named_wherever_it_is_built(
    target: str, processor: str, rules: str, bits: int, work: Path
) -> None:
    package = built(work, target, processor)
    manifest = read_manifest(package)
    assert manifest.target.processor == processor
    assert manifest.int8 is not None
    assert (manifest.int8.rules, manifest.int8.weight_bits) == (rules, bits)
    assert largest_weight(package) == {7: 63, 8: 127}[bits]
    # Times of this machine are not told of another.
    assert manifest.comparison is not None
    if processor in ("any", this_processor().kind):
        assert manifest.comparison.milliseconds
    else:
        assert not manifest.comparison.milliseconds
        here = this_processor().kind
        assert manifest.comparison.why == f"int8 as asked; not timed: it is for {processor}, this is {here}"


def test_float32_is_for_any_processor_whatever_is_named(work: Path, tmp_path: Path) -> None:
    graph = str(work / "osnet.onnx")
    assert (
        main(["build", graph, "--target", "cpu", "--processor", "aarch64", "-o", str(tmp_path / "out")]) == 0
    )
    assert read_manifest(tmp_path / "out").target.processor == "any"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ["--target", "rtx:sm86", "--processor", "any"],
            "for the targets cpu and openvino, got it for rtx:sm86",
        ),
        (["--target", "cpu:fastest", "--processor", "aarch64"], "cpu:fastest is timed on this machine, a "),
        (
            ["--target", "openvino", "--precision", "bf16", "--processor", "any"],
            "expected --processor x86-64-bf16",
        ),
        (
            ["--target", "openvino", "--precision", "int8", "--processor", "aarch64"],
            "expected --processor aarch64-dotprod for INT8",
        ),
    ],
)
def test_what_does_not_go_with_a_processor_is_refused_in_a_line(
    options: list[str], says: str, work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", str(work / "osnet.onnx"), "-o", str(tmp_path / "out"), *options]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_auto_times_what_is_here_and_nothing_else(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = "aarch64" if platform.machine() == "x86_64" else "x86-64-vnni"
    options = ["--target", "cpu", "--precision", "auto", "--budget", "1", "--processor", other]
    calibration = ["--calibration", str(work / "calib.json"), "-o", str(tmp_path / "out")]
    assert main(["build", str(work / "osnet.onnx"), *options, *calibration]) == 2
    assert f"--precision auto times what is here, a {this_processor().kind}" in capsys.readouterr().err


def test_an_engine_that_rounds_is_verified_once_on_another_kind_of_processor(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept = tmp_path / "osnet-edge" / "verified"
    package = shutil.copytree(packages / "any-cpu", tmp_path / "any-cpu")
    assert Embedder.load(package)(list(sample_crops(2, 90, 40))).shape == (2, 512)
    (verified,) = kept.iterdir()
    assert json.loads(verified.read_text())["processor"][0] == this_processor().architecture
    before = verified.stat().st_mtime_ns
    Embedder.load(package)
    assert [path.stat().st_mtime_ns for path in kept.iterdir()] == [before]


@pytest.mark.parametrize("there_is_a_cache", [True, False])
def test_one_that_computes_something_else_there_is_never_used(
    there_is_a_cache: bool, packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another network's graph stands for a processor on which a library computes something else."""
    cache = tmp_path / "cache"
    # A file is where the folder would be made, so that nothing can be kept.
    cache.mkdir() if there_is_a_cache else cache.write_text("")
    # Or its name is longer than any may be.
    cache = cache if there_is_a_cache else cache / ("x" * 300)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    package = shutil.copytree(packages / "any-cpu", tmp_path / "any-cpu")
    model = onnx.load(package / "model.onnx")
    for each in model.graph.initializer:
        if each.name.endswith("_integers"):
            each.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(each), each.name))
    onnx.save(model, package / "model.onnx")
    entry = {"sha256": sha256_of(package / "model.onnx"), "bytes": (package / "model.onnx").stat().st_size}
    change_manifest(package, lambda it: it["files"].update({"model.onnx": entry}))
    for _ in range(2):
        with pytest.raises(CheckError, match="built for any processor and computes something else on this "):
            Embedder.load(package)


#: Run by a Python of its own: what loading each package comes to, and where an engine leaves its graph.
LOAD = """
import json, sys
from pathlib import Path
import onnx
from osnet_edge.engines.backends.registry import builder_of
from osnet_edge.engines.golden import first_difference
from osnet_edge.engines.graph.reading import Graph
from osnet_edge.runtime import Embedder
from osnet_edge.runtime.errors import OsnetEdgeError
from osnet_edge.runtime.package.golden import read_golden
from osnet_edge.runtime.package.manifest import read_manifest
from osnet_edge.runtime.preprocessing import to_batch
from osnet_edge.runtime.processor import this_processor

found = {"kind": this_processor().kind}
for package in map(Path, sys.argv[1:]):
    try:
        found[package.name] = Embedder.load(package, threads=1).prove()
    except OsnetEdgeError as error:
        found[package.name] = f"{type(error).__name__}: {error}"
    if package.name == "vnni-openvino":
        manifest = read_manifest(package)
        batch = to_batch(list(read_golden(package, manifest)[0][:1]), manifest.preprocessing)
        graph = Graph(onnx.load(package / manifest.model_file))
        where = first_difference(graph, builder_of("openvino"), manifest.target.processor, batch)
        found["leaves its graph at"] = where
print(json.dumps(found))
"""


def test_without_vnni_an_engine_is_exact_or_refused(packages: Path, tmp_path: Path) -> None:
    """Here, where this is such a processor, and as QEMU emulates one (a Haswell) elsewhere."""
    emulator: list[str] = []
    if this_processor().kind != "x86-64-v3":
        if platform.machine() != "x86_64" or HASWELL is None:
            pytest.skip("emulates a processor with AVX2 and no VNNI: needs qemu-user-static, on x86-64")
        emulator = [HASWELL, "-cpu", "Haswell"]
    names = [f"{kind}-{target}" for kind in ("any", "vnni", "old") for target in ("cpu", "openvino")]
    command = [*emulator, sys.executable, "-c", LOAD, *(str(packages / name) for name in names)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found.pop("kind") == "x86-64-v3"
    # Weights of 7 bits are exact by any kernel; ONNX Runtime has a slower one for those of 8 bits.
    for name in ("any-cpu", "any-openvino", "vnni-cpu", "old-cpu"):
        here = Embedder.load(packages / name).prove()
        assert found.pop(name) == pytest.approx(here, abs=5e-3), name
    refused = "UnavailableError: this INT8 engine was built for {}, and this one has no VNNI: "
    assert found.pop("vnni-openvino").startswith(refused.format("x86-64-vnni"))
    assert found.pop("old-openvino").startswith(refused.format("a processor with VNNI"))
    # What refusing prevents.
    assert found.pop("leaves its graph at") is not None
    assert not found


@pytest.mark.skipif(
    not this_processor().multiplies_exactly(8), reason="needs a processor with VNNI, or an ARM"
)
def test_where_sums_are_exact_every_package_is_taken(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(packages.parent))
    for package in packages.iterdir():
        assert Embedder.load(package)(list(sample_crops(2, 90, 40))).shape == (2, 512), package.name


def test_an_engine_that_keeps_to_its_graph_leaves_it_nowhere(packages: Path) -> None:
    for package in (packages / "any-cpu", packages / "any-openvino"):
        manifest = read_manifest(package)
        batch = to_batch(list(read_golden(package, manifest)[0]), manifest.preprocessing)
        graph, builder = Graph(onnx.load(package / "model.onnx")), builder_of(manifest.target.backend)
        assert builder.backend.on_cpu
        assert first_difference(graph, builder, "any", batch) is None
