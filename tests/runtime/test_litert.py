"""LiteRT as a backend; the files that it opens are in tests/engines/test_litert_build.py."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from osnet_edge.cli.main import main
from osnet_edge.engines.build import file_entry
from osnet_edge.runtime import Embedder, InputError, UnavailableError
from osnet_edge.runtime.backends.base import find_support
from osnet_edge.runtime.package.manifest import Manifest, read_manifest
from osnet_edge.runtime.package.schema import to_json
from osnet_edge.runtime.preprocessing import to_batch
from osnet_edge.train.synthetic import sample_crops


def rewrite(package: Path, manifest: Manifest) -> None:
    (package / "manifest.json").write_text(json.dumps(to_json(manifest)))


def test_both_libraries_give_the_same_embeddings(litert_package: Path, package: Path) -> None:
    batch = to_batch(list(sample_crops(5, 150, 70, seed=2)), read_manifest(package).preprocessing)
    expected = Embedder.load(package).infer(batch)
    got = Embedder.load(litert_package).infer(batch)
    np.testing.assert_allclose(got, expected, atol=5e-5 * np.abs(expected).max())


@pytest.mark.parametrize("count", [1, 2, 4, 9])
def test_a_batch_made_of_others_gives_each_picture_its_own_row(litert_package: Path, count: int) -> None:
    embedder = Embedder.load(litert_package, threads=2)
    batch = to_batch(list(sample_crops(count, 256, 128)), embedder.manifest.preprocessing)
    # Back to front, so that a row left over from the call before would show.
    backwards = embedder.infer(np.ascontiguousarray(batch[::-1]))
    np.testing.assert_allclose(embedder.infer(batch), backwards[::-1], atol=1e-5)


def test_nothing_is_printed_when_an_engine_is_opened(litert_package: Path) -> None:
    """LiteRT would say that it uses XNNPACK, in the middle of a command's output."""
    code = "import sys; from osnet_edge.runtime import Embedder; Embedder.load(sys.argv[1]).prove()"
    ran = subprocess.run(
        [sys.executable, "-c", code, str(litert_package)], capture_output=True, text=True, check=True
    )
    assert (ran.stdout, ran.stderr) == ("", "")


def test_without_the_library_a_line_says_what_to_install(
    litert_package: Path,
    graph: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for module in ("ai_edge_litert", "ai_edge_litert.interpreter", "ai_edge_litert.schema_py_generated"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UnavailableError, match=r"needs LiteRT, .*: pip install 'osnet-edge\[litert\]'"):
        Embedder.load(litert_package)
    assert main(["build", str(graph), "--target", "litert", "-o", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.endswith("pip install 'osnet-edge[litert]'\n")
    # Whatever is for another library is built as before.
    assert main(["build", str(graph), "--target", "cpu", "-o", str(tmp_path / "out")]) == 0


def test_what_the_library_can_do_is_said(litert_package: Path) -> None:
    support = find_support("litert")
    assert (support.builds, support.runs, support.problems) == (("this CPU",), ("this CPU",), ())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"neither", "LiteRT cannot load .*model.tflite: "),
        (None, "LiteRT cannot load .*model.tflite: "),
    ],
    ids=["no model", "half of one"],
)
def test_a_file_that_is_no_model_is_one_line(
    litert_package: Path, tmp_path: Path, content: bytes | None, says: str
) -> None:
    """As a package made by hand may have it, whose hashes hold."""
    package = tmp_path / "package"
    shutil.copytree(litert_package, package)
    model = package / "model.tflite"
    model.write_bytes(content or model.read_bytes()[: model.stat().st_size // 2])
    manifest = read_manifest(package)
    rewrite(package, replace(manifest, files={**manifest.files, model.name: file_entry(model)}))
    with pytest.raises(InputError, match=says) as error:
        Embedder.load(package)
    assert "\n" not in str(error.value)


def test_a_file_of_other_tensors_is_refused(litert_package: Path, tmp_path: Path) -> None:
    package = tmp_path / "package"
    shutil.copytree(litert_package, package)
    manifest = read_manifest(package)
    smaller = replace(manifest.preprocessing, height=128)
    rewrite(package, replace(manifest, preprocessing=smaller))
    with pytest.raises(InputError, match=r"\[128, 128, 3\]\).* behind the batch, got .*\[256, 128, 3\]"):
        Embedder.load(package)
