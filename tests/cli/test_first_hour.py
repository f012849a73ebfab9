"""What a newcomer types: names alone, mistyped ones, and the documented route in Python."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from documented import steps
from PIL import Image

from osnet_edge import Embedder, InputError
from osnet_edge.cli.main import main
from osnet_edge.runtime.package.manifest import read_manifest
from osnet_edge.train.checkpoint import load_osnet

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("words", [[], ["data"], ["device"], ["keys"]])
def test_a_group_alone_shows_its_help(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    main(words)
    text = "".join(capfd.readouterr())
    assert text.startswith("Usage: ")
    assert "\nCommands:\n" in text


@pytest.mark.parametrize(
    ("words", "near"), [(["bulid"], "build"), (["keys", "shw"], "show"), (["device", "up"], "update")]
)
def test_a_mistyped_command_gets_the_nearest(
    words: list[str], near: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert f"there is no command '{words[-1]}'; did you mean {near}? See " in capfd.readouterr().err


def test_a_precision_may_be_typed_as_the_pages_print_it(
    graph: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "osnet-cpu"
    assert main(["build", str(graph), "--target", "cpu", "--precision", "FP32", "-o", str(made)]) == 0
    assert read_manifest(made).precision == "fp32"
    assert main(["build", str(graph), "--target", "cpu", "--precision", "INT8", "-o", "x"]) == 2
    assert "--precision int8 needs --calibration FILE" in capfd.readouterr().err
    assert main(["tune", str(graph), "--target", "cpu", "--precision", "FP32,INT8"]) == 2
    assert "calibration" in capfd.readouterr().err


def test_the_documented_route_from_a_checkpoint(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(checkpoint, "osnet_x0_25_msmt17.pth")
    run_documented("From a checkpoint to a package")
    assert Embedder.load("osnet-python").prove() < 1e-3


def test_the_documented_route_of_training_and_tuning(
    graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(graph, "osnet.onnx")
    run_documented("Training and tuning")
    assert load_osnet("python-run/osnet.pth").num_classes == 16
    tuning = read_manifest("python-tuned").tuning
    assert tuning is not None
    assert tuning.batches == (1, 8)


def run_documented(title: str) -> None:
    """Run the program in a section of docs/RUNTIME.md as it is written."""
    section = (DOCS / "RUNTIME.md").read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    (program,) = (step for step in steps(section) if step.is_python)
    exec(program.typed, {})


def test_pil_images_are_crops(package: Path) -> None:
    embedder = Embedder.load(package)
    crop = np.random.default_rng(0).integers(0, 256, (60, 30, 3), np.uint8)
    image = Image.fromarray(crop)
    np.testing.assert_array_equal(embedder([image]), embedder([crop]))
    np.testing.assert_array_equal(embedder([image], bgr=True), embedder([crop]))


def test_threads_in_words_are_refused(package: Path) -> None:
    with pytest.raises(InputError, match="expected 1 to 512 threads, got '2'"):
        Embedder.load(package, threads="2")  # type: ignore[arg-type]
