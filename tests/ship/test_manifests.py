"""Packages that an insider made: what each would do, and that it is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from bad_packages import archive_anyway, rewritten
from fleet import FACTS, make_camera, make_fleet, tiny_onnx, tiny_package, verify_here

from osnet_edge.engines.recipe import write_recipe
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import sha256_of
from osnet_edge.runtime.package.manifest import Manifest
from osnet_edge.ship.device.by_hand import HandAgent
from osnet_edge.ship.device.host_code import refuse_host_code
from osnet_edge.ship.device.refused import RefusedError
from osnet_edge.ship.publish.archive import write_archive


def test_a_manifest_that_names_an_absolute_path_would_load_it_and_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret.onnx"
    shutil.copy(tiny_package(66) / "model.onnx", secret)

    def point_outside(document: dict[str, Any]) -> None:
        document["files"][str(secret)] = document["files"].pop("model.onnx")
        document["files"][str(secret)]["sha256"] = sha256_of(secret)
        document["files"][str(secret)]["bytes"] = secret.stat().st_size
        document["model_file"] = str(secret)

    package = rewritten(tiny_package(1), tmp_path, point_outside)
    (package / "model.onnx").unlink()
    archive_anyway(package, tmp_path / "evil.tar")
    with monkeypatch.context() as without:
        without.setattr(Manifest, "__post_init__", lambda self: None)
        # The engine is loaded from outside its package.
        assert Embedder.load(package).engine is not None
    store = by_hand(tmp_path / "store", tmp_path / "evil.tar")
    assert "plain file names" in store


def test_a_manifest_of_huge_pictures_would_take_all_memory_and_is_refused() -> None:
    code = (
        "import resource, sys, numpy; resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))\n"
        "from osnet_edge.runtime.preprocessing import Preprocessing, to_batch\n"
        "if sys.argv[1] == 'off': Preprocessing.__post_init__ = lambda self: None\n"
        "to_batch([numpy.zeros((9, 9, 3), numpy.uint8)], Preprocessing(height=10**7, width=256))"
    )
    ran = [
        subprocess.run([sys.executable, "-c", code, defence], capture_output=True, text=True).stderr
        for defence in ("off", "on")
    ]
    assert "MemoryError" in ran[0]
    assert "InputError" in ran[1]


def test_a_manifest_that_names_huge_sizes_is_refused(tmp_path: Path) -> None:
    def inflate(document: dict[str, Any]) -> None:
        document["files"]["model.onnx"]["bytes"] = 10**15

    def enlarge(document: dict[str, Any]) -> None:
        document["preprocessing"]["height"] = 10**9

    def batch(document: dict[str, Any]) -> None:
        document["batch"]["max"] = 10**9

    for number, change in enumerate((inflate, enlarge, batch)):
        folder = tmp_path / str(number)
        folder.mkdir()
        archive_anyway(rewritten(tiny_package(1), folder, change), folder / "evil.tar")
        assert "expected" in by_hand(folder / "store", folder / "evil.tar")


def by_hand(folder: Path, archive: Path) -> str:
    """Install an archive by hand on a new device; return why it was refused."""
    store = make_camera(folder, make_fleet(folder.with_name(f"{folder.name}-repository")))
    event = HandAgent(store, verify=verify_here, facts=FACTS).install(archive, "by-hand", "tiny")
    assert event.what == "refused"
    assert store.active() is None
    return event.why


def name_another_file(graph: Path) -> None:
    """Keep a graph's weights outside of its package."""
    model = onnx.load(graph)
    weights = model.graph.initializer[0]
    (graph.parent.parent / "secret").write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", "../secret"
    graph.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("sentence", "change", "name", "message"),
    [
        (
            "weights outside, which old versions read",
            name_another_file,
            "model.onnx",
            "keeps kernel in another",
        ),
        ("a format that its name alone tells", lambda graph: None, "model.ort", "a graph as NAME.onnx"),
        (
            "XML, which takes its weights from beside it",
            lambda graph: graph.write_text("<net/>"),
            "model.onnx",
            "does not begin as one",
        ),
    ],
)
def test_a_graph_that_leads_out_of_its_package_is_not_published_installed_or_loaded(
    sentence: str, change: Callable[[Path], object], name: str, message: str, tmp_path: Path
) -> None:
    package = rewritten(tiny_package(1), tmp_path, lambda document: None)
    change(package / "model.onnx")
    (package / "model.onnx").rename(package / name)
    entry = {"sha256": sha256_of(package / name), "bytes": (package / name).stat().st_size}

    def list_it(document: dict[str, Any]) -> None:
        del document["files"]["model.onnx"]
        document["files"][name] = entry
        document["model_file"] = name

    insider = rewritten(package, tmp_path / "insider", list_it)
    archive_anyway(insider, tmp_path / "evil.tar")
    assert message in by_hand(tmp_path / "store", tmp_path / "evil.tar")
    with pytest.raises(InputError, match=message):
        Embedder.load(insider)
    with pytest.raises(InputError, match=message):
        write_archive(insider, tmp_path / "out.tar")


def test_a_recipe_whose_graph_leads_out_of_it_is_not_published(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe"
    crops = np.zeros((2, 40, 40, 3), np.uint8)
    write_recipe(tiny_onnx(tmp_path / "t.onnx", 1), recipe, target="cpu", golden_crops=crops)
    name_another_file(recipe / "graph.onnx")
    document = json.loads((recipe / "recipe.json").read_text())
    size = (recipe / "graph.onnx").stat().st_size
    document["files"]["graph.onnx"] = {"sha256": sha256_of(recipe / "graph.onnx"), "bytes": size}
    (recipe / "recipe.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="keeps kernel in another file"):
        write_archive(recipe, tmp_path / "out.tar")


@pytest.fixture(scope="module")
def host_code(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A shared library that leaves a file behind as soon as it is loaded."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("host")
    (folder / "evil.c").write_text(
        "#include <stdio.h>\n#include <stdlib.h>\n"
        '__attribute__((constructor)) static void run(void) { fclose(fopen(getenv("EVIL_FILE"), "w")); }\n'
    )
    subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / "evil.so", folder / "evil.c"], check=True)
    return (folder / "evil.so").read_bytes()


def test_a_plan_with_host_code_would_run_it_and_is_refused(host_code: bytes, tmp_path: Path) -> None:
    plan = tmp_path / "model.plan"
    plan.write_bytes(b"ftrt" + bytes(20) + bytes([10, 3, 0, 30]) + bytes(4096) + host_code + bytes(512))
    mark = tmp_path / "mark"
    # What a loader does that is told `engine_host_code_allowed`: it loads the library that the plan carries.
    loader = (
        "import ctypes, os, sys; b = open(sys.argv[1], 'rb').read(); f = os.memfd_create('lean'); "
        "os.write(f, b[b.index(b'\\x7fELF'):]); ctypes.CDLL(f'/proc/self/fd/{f}')"
    )
    subprocess.run(
        [sys.executable, "-c", loader, plan], check=True, env={**os.environ, "EVIL_FILE": str(mark)}
    )
    assert mark.exists()
    with pytest.raises(RefusedError, match="carries code for the processor"):
        refuse_host_code(plan)


def test_kernels_for_the_gpu_are_no_host_code(host_code: bytes, tmp_path: Path) -> None:
    plan = tmp_path / "model.plan"
    cubin = bytearray(host_code)
    # e_machine: EM_CUDA.
    cubin[18:20] = (190).to_bytes(2, "little")
    plan.write_bytes(b"ftrt" + bytes(100) + cubin)
    refuse_host_code(plan)
