"""A recipe: what a device builds its engine by, once, with limits."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bad_packages import archive_anyway
from fleet import FACTS, Web, make_camera, tiny_onnx, verify_here
from needs import needs_openvino

from osnet_edge.cli.main import main
from osnet_edge.engines.build import build_package
from osnet_edge.engines.recipe import write_recipe
from osnet_edge.runtime import Embedder, read_manifest
from osnet_edge.runtime.errors import InputError
from osnet_edge.ship.device.agent import Agent
from osnet_edge.ship.device.by_hand import HandAgent
from osnet_edge.ship.device.config import Limits
from osnet_edge.ship.publish.archive import write_archive
from osnet_edge.ship.requirements import requirements_of_recipe
from osnet_edge.train.synthetic import sample_crops, write_set


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of one convolution: what is tried here is the way of a recipe, not the network."""
    return tiny_onnx(tmp_path_factory.mktemp("graph") / "osnet.onnx", 1)


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory, graph: Path) -> Path:
    """The recipe `int8` for a CPU, made from drawn people, and the package `built` of the same."""
    folder = tmp_path_factory.mktemp("recipes")
    write_set(
        folder / "people",
        train_identities=8,
        test_identities=2,
        cameras=2,
        pictures_per_camera=2,
        seed=0,
        height=64,
        width=32,
    )
    calibration = str(folder / "calib.json")
    given = ["--images", "4", "--held-out", "0", "-o", calibration]
    assert main(["calibrate", "--data", str(folder / "people"), *given]) == 0
    options = ["--target", "cpu", "--precision", "int8", "--calibration", calibration, "--batch", "1,2,4"]
    assert main(["recipe", str(graph), *options, "-o", str(folder / "int8")]) == 0
    assert main(["build", str(graph), *options, "--processor", "any", "-o", str(folder / "built")]) == 0
    return folder


def test_a_recipe_carries_graph_table_pairs_and_decisions_and_no_pictures(recipes: Path, graph: Path) -> None:
    assert {path.name for path in (recipes / "int8").iterdir()} == {
        *("recipe.json", "graph.onnx", "table.json", "golden.npz")
    }
    assert (recipes / "int8" / "graph.onnx").read_bytes() == graph.read_bytes()
    document = json.loads((recipes / "int8" / "recipe.json").read_text())
    assert document["int8"]["groups"]
    assert str(recipes) not in json.dumps(document)


def test_a_camera_builds_its_engine_once_as_the_workstation_would(
    recipes: Path, web: Web, tmp_path: Path
) -> None:
    fleet = web.fleet("recipes")
    fleet.publish("r1", recipes / "int8")
    camera = make_camera(tmp_path / "camera", fleet)
    # In processes of their own, both the build and the proof.
    event = Agent(camera, facts=FACTS).update()
    assert (event.what, event.release) == ("installed", "r1"), event.why
    here, there = read_manifest(camera.link), read_manifest(recipes / "built")
    assert (camera.link / "model.onnx").read_bytes() == (recipes / "built" / "model.onnx").read_bytes()
    assert here.int8 == there.int8
    assert (camera.link / "golden.npz").read_bytes() == (recipes / "int8" / "golden.npz").read_bytes()
    assert Embedder.load(camera.link).prove() < 1e-1
    assert sorted(path.name for path in (camera.root / "slots").iterdir()) == ["a"]
    built = (camera.link / "model.onnx").stat().st_mtime_ns
    assert Agent(camera, facts=FACTS).update().what == "current"
    assert (camera.link / "model.onnx").stat().st_mtime_ns == built


@pytest.mark.parametrize(
    ("sentence", "limits", "change", "reason", "message"),
    [
        ("it takes too long", {"build_s": 0.01}, {}, "limit", "building the engine took longer"),
        ("it takes too much memory", {"build_mb": 5}, {}, "limit", "building the engine took"),
        (
            "its rules are a later version's",
            {},
            {"int8": {"rules": "onnxruntime-riscv"}},
            "proof",
            "got 'onnxruntime-riscv'; use the osnet-edge that wrote it",
        ),
        (
            "its graph was changed",
            {},
            {"files": {"graph.onnx": {"bytes": 1}}},
            "package",
            "graph.onnx is not",
        ),
        ("it has no such field", {}, {"command": "rm -rf /"}, "package", "unknown field 'command'"),
        ("its processor is none", {}, {"processor": "pdp-11"}, "package", "got 'pdp-11'"),
    ],
)
def test_a_build_that_fails_or_takes_too_much_is_refused(
    sentence: str,
    limits: dict[str, float],
    change: dict[str, Any],
    reason: str,
    message: str,
    recipes: Path,
    web: Web,
    tmp_path: Path,
) -> None:
    camera = make_camera(
        tmp_path / "camera",
        web.fleet(f"recipe-{abs(hash(sentence))}"),
        limits=replace(Limits(reserve_mb=0), **limits),
    )
    archive = tmp_path / "r.tar"
    if change:
        archive_changed(recipes / "int8", change, archive)
    else:
        write_archive(recipes / "int8", archive)
    event = HandAgent(camera, verify=verify_here, facts=FACTS).install(archive, "r1", "int8")
    assert (event.what, event.reason) == ("refused", reason), event.why
    assert message in event.why
    assert camera.active() is None
    camera.sweep()
    assert {path.name for path in (camera.root / "slots").iterdir()} <= {"a"}


def archive_changed(recipe: Path, change: dict[str, Any], archive: Path) -> None:
    """Pack a recipe with another document, as our publisher would not."""
    copy = Path(shutil.copytree(recipe, archive.with_name("changed")))
    document = json.loads((copy / "recipe.json").read_text())
    merge(document, change)
    (copy / "recipe.json").write_text(json.dumps(document))
    archive_anyway(copy, archive)


def merge(document: dict[str, Any], change: dict[str, Any]) -> None:
    for key, value in change.items():
        if isinstance(value, dict):
            merge(document[key], value)
        else:
            document[key] = value


def test_a_recipe_for_tensorrt_is_made_where_there_is_none(graph: Path, tmp_path: Path) -> None:
    crops = sample_crops(2, 100, 40)
    made = write_recipe(graph, tmp_path / "trt", target="tensorrt", golden_crops=crops, precision="fp16")
    assert (made.backend, made.table, requirements_of_recipe(made).backend) == ("tensorrt", "", "tensorrt")
    with pytest.raises(InputError, match="expected a target that another device"):
        write_recipe(graph, tmp_path / "any", target="cpu:fastest", golden_crops=crops)


@pytest.mark.parametrize(
    ("target", "processor", "told"),
    [
        (
            "tensorrt",
            "x86-64-vnni",
            "expected --processor for the targets cpu and openvino, got it for tensorrt",
        ),
        ("rtx:sm86", "aarch64", "expected --processor for the targets cpu and openvino, got it for rtx:sm86"),
        ("tensorrt", "any", ""),
        ("tensorrt", "this", ""),
    ],
)
def test_a_processor_that_a_recipe_for_a_gpu_would_not_heed_is_refused(
    target: str, processor: str, told: str, graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "recipe")
    words = ["recipe", str(graph), "--target", target, "--processor", processor, "-o", output]
    assert main(words) == (2 if told else 0)
    assert told in capsys.readouterr().err
    assert Path(output).exists() == (not told)


def test_a_recipe_without_quantising_builds_the_graph_as_it_is(graph: Path, tmp_path: Path) -> None:
    from osnet_edge.engines.recipe import build_from_recipe

    crops = sample_crops(2, 100, 40)
    write_recipe(graph, tmp_path / "recipe", target="cpu", golden_crops=crops)
    made = build_from_recipe(tmp_path / "recipe", tmp_path / "out")
    wanted = build_package(graph, tmp_path / "built", target="cpu", golden_crops=crops)
    assert replace(made, tools={}) == replace(wanted, tools={})


@pytest.mark.parametrize(
    ("target", "precision", "processor"),
    [
        ("cpu", "fp32", "any"),
        pytest.param("openvino", "fp32", "any", marks=needs_openvino),
        ("cpu", "int8", "x86-64-vnni"),
    ],
)
def test_a_recipe_from_before_processors_were_written_down_is_built(
    target: str, precision: str, processor: str, recipes: Path, graph: Path, tmp_path: Path
) -> None:
    from osnet_edge.engines.recipe import build_from_recipe

    folder = tmp_path / "recipe"
    if precision == "int8":
        shutil.copytree(recipes / "int8", folder)
    else:
        write_recipe(graph, folder, target=target, golden_crops=sample_crops(2, 100, 40))
    document = json.loads((folder / "recipe.json").read_text())
    del document["processor"]
    (folder / "recipe.json").write_text(json.dumps(document))
    made = build_from_recipe(folder, tmp_path / "out")
    assert made.target.processor == processor
    assert Embedder.load(tmp_path / "out").prove() < 1e-1


def test_a_recipe_in_bf16_is_for_the_one_kind_that_has_it(graph: Path, tmp_path: Path) -> None:
    crops = sample_crops(2, 100, 40)
    made = write_recipe(graph, tmp_path / "out", target="openvino", golden_crops=crops, precision="bf16")
    assert made.processor == "x86-64-bf16"
