"""Engine packages on disk: what is written is whole, and what was changed is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osnet_edge.engines.build import build_package
from osnet_edge.engines.recipe import write_recipe
from osnet_edge.engines.targets import parse_target
from osnet_edge.runtime import Embedder, InputError, read_manifest
from osnet_edge.runtime.files import sha256_of, write_aside, write_folder_aside
from osnet_edge.runtime.package.manifest import Manifest
from osnet_edge.runtime.package.schema import from_json, to_json
from osnet_edge.train.synthetic import sample_crops


@pytest.fixture
def copy(package: Path, tmp_path: Path) -> Path:
    """A package to break."""
    return Path(shutil.copytree(package, tmp_path / "copy"))


def test_the_manifest_says_what_the_package_is(package: Path, graph: Path, checkpoint: Path) -> None:
    manifest = read_manifest(package)
    assert manifest.model.variant == "osnet_x0_25"
    assert manifest.model.checkpoint_sha256 == sha256_of(checkpoint)
    assert manifest.onnx_sha256 == sha256_of(graph)
    assert manifest.precision == "fp32"
    assert manifest.target.backend == "onnxruntime"
    assert {name: sha256_of(package / name) for name in manifest.files} == {
        name: entry.sha256 for name, entry in manifest.files.items()
    }
    assert set(manifest.files) | {"manifest.json"} == {path.name for path in package.iterdir()}


def test_a_manifest_survives_json(package: Path) -> None:
    manifest = read_manifest(package)
    assert from_json(Manifest, json.loads(json.dumps(to_json(manifest))), "m") == manifest


def set_field(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("sentence", "change", "message"),
    [
        ("of a later schema", set_field("schema_version", value=2), "expected schema_version 1, got 2"),
        ("without a schema", lambda d: d.pop("schema_version"), "expected schema_version 1, got None"),
        ("a field is missing", lambda d: d.pop("precision"), "the field 'precision' is missing"),
        ("a field is unknown", set_field("extra", value=1), "unknown field 'extra'"),
        ("text for a number", set_field("batch", "max", value="8"), "batch.max: expected a whole number"),
        ("true for a number", set_field("batch", "max", value=True), "batch.max: expected a whole number"),
        ("batches that fall", set_field("batch", "opt", value=64), "1 <= min <= opt <= max"),
        ("an unknown backend", set_field("target", "backend", value="tflite"), "expected 'onnxruntime' or"),
        ("no such precision there", set_field("precision", value="bf16"), "expected fp32 or int8 for cpu"),
        ("two means", set_field("preprocessing", "mean", value=[0, 0]), "mean: expected a list of 3"),
        ("std of zero", set_field("preprocessing", "std", value=[0, 1, 1]), "expected a positive scale"),
        ("a size of no image", set_field("preprocessing", "width", value=0), "32 to 4096 pixels a side"),
        ("a number beyond floats", set_field("preprocessing", "scale", value=10**400), "a finite number"),
        ("a file outside", set_field("files", "../x", value={"sha256": "0" * 64, "bytes": 1}), "plain file"),
        ("a hash of no kind", set_field("files", "golden.npz", "sha256", value="x"), "64 hexadecimal"),
        ("a model not listed", set_field("model_file", value="other.onnx"), "not listed under files"),
        ("a list at the top", None, "expected schema_version 1"),
    ],
)
def test_a_manifest_that_does_not_fit_the_schema_is_refused_by_the_field(
    sentence: str, change: Callable[[dict[str, Any]], None] | None, message: str, copy: Path
) -> None:
    path = copy / "manifest.json"
    document = json.loads(path.read_text())
    if change:
        change(document)
    path.write_text(json.dumps(document if change else [document]))
    with pytest.raises(InputError) as caught:
        Embedder.load(copy)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz"])
def test_a_file_that_was_changed_cut_or_removed_is_refused_by_name(name: str, copy: Path) -> None:
    path = copy / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    for changed in (bytes(content), bytes(content[:-1]), b""):
        path.write_bytes(changed)
        with pytest.raises(InputError, match=f"{name} is not the file that was built"):
            Embedder.load(copy)
    path.unlink()
    with pytest.raises(InputError, match=f"{name} is missing"):
        Embedder.load(copy)


def test_a_plan_for_another_processor_is_refused_before_anything_is_loaded(copy: Path) -> None:
    document = json.loads((copy / "manifest.json").read_text())
    document["target"].update(backend="tensorrt", device="cuda", machine="riscv64")
    (copy / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="built on riscv64"):
        Embedder.load(copy)


def test_a_failed_build_leaves_nothing_and_the_old_package_whole(
    graph: Path, copy: Path, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in copy.iterdir()}

    def fail(step: str) -> None:
        if step == "proving the engine":
            raise KeyboardInterrupt

    crops = sample_crops(2)
    for output, replace in ((tmp_path / "new", False), (copy, True)):
        with pytest.raises(KeyboardInterrupt):
            build_package(graph, output, target="cpu", golden_crops=crops, replace=replace, progress=fail)
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_a_place_where_nothing_can_be_made_is_refused_before_work_is_put_into_it(
    graph: Path, copy: Path, tmp_path: Path
) -> None:
    crops, begun = sample_crops(2), list[str]()
    for output in (tmp_path / "nowhere" / "out", copy):
        with pytest.raises(InputError, match=r"does not exist|already there"):
            build_package(graph, output, target="cpu", golden_crops=crops, progress=begun.append)
        with pytest.raises(InputError, match=r"does not exist|already there"):
            write_recipe(graph, output, target="cpu", golden_crops=crops, progress=begun.append)
    assert begun == []


def test_an_interrupt_between_the_two_renames_puts_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "old").touch()
    rename = os.rename

    def interrupt_second(source: Path, target: Path) -> None:
        if Path(source).name == "new":
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr("os.rename", interrupt_second)
    with pytest.raises(KeyboardInterrupt), write_folder_aside(tmp_path / "kept", replace=True):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["kept", "old"]


def test_a_package_is_replaced_only_when_asked(graph: Path, copy: Path) -> None:
    crops = sample_crops(3)
    with pytest.raises(InputError, match="already there"):
        build_package(graph, copy, target="cpu", golden_crops=crops)
    build_package(graph, copy, target="cpu", golden_crops=crops, replace=True)
    assert Embedder.load(copy).prove() < 1e-6
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


def fill_and_fail(target: Path) -> None:
    with write_folder_aside(target) as folder:
        (folder / "a").write_text("a")
        raise RuntimeError


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "x.txt"

    def write(text: str, fail: bool) -> None:
        with write_aside(target) as partial:
            partial.write_text(text)
            assert not target.exists() or target.read_text() == "first"
            if fail:
                raise RuntimeError

    write("first", fail=False)
    with pytest.raises(RuntimeError):
        write("second", fail=True)
    assert target.read_text() == "first"
    with pytest.raises(RuntimeError):
        fill_and_fail(tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


@pytest.mark.parametrize(
    ("text", "backend", "capabilities"),
    [
        ("cpu", "onnxruntime", ()),
        ("cpu:fastest", "onnxruntime", ()),
        ("openvino", "openvino", ()),
        ("rtx", "tensorrt_rtx", ()),
        ("rtx:sm86", "tensorrt_rtx", ("8.6",)),
        ("rtx:SM86, sm_120,sm86", "tensorrt_rtx", ("8.6", "12.0")),
        ("tensorrt", "tensorrt", ()),
    ],
)
def test_targets_are_read_as_they_are_spelt(text: str, backend: str, capabilities: tuple[str, ...]) -> None:
    spec = parse_target(text)
    assert (spec.backend, spec.capabilities) == (backend, capabilities)


@given(st.text(max_size=12))
def test_any_text_is_a_target_spelt_as_documented_or_refused(text: str) -> None:
    generations = r"(?i:\s*sm_?\d{2,3}\s*)(?i:,\s*sm_?\d{2,3}\s*)*"
    if re.fullmatch(f"cpu(:fastest)?|openvino|rtx|tensorrt|rtx:{generations}", text):
        parse_target(text)
    else:
        with pytest.raises(InputError, match="got"):
            parse_target(text)
