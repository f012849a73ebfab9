"""`integrate compare`: dumps as deepstream-app writes them, of emulated pipelines, held to the package."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from osnet_edge.cli.main import main
from osnet_edge.integrate.emulation import Network, unit
from osnet_edge.integrate.interface import expected_of
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.preprocessing import Preprocessing
from osnet_edge.train.data.boxed_frames import read_boxed_frames
from osnet_edge.train.synthetic import write_frames

Embed = Callable[[npt.NDArray[np.uint8], npt.NDArray[np.float32]], npt.NDArray[np.float32]]


class Run(NamedTuple):
    """Folders of a run of deepstream-app."""

    dump: Path
    boxes: Path
    frames: Path

    def command(self, package: Path, *options: str) -> list[str]:
        folders = [str(self.dump), "--boxes", str(self.boxes), "--frames", str(self.frames)]
        return ["integrate", "compare", *folders, "--package", str(package), "--json", *options]


def record(sequence: Path, folder: Path, embed: Embed, *, stream: int = 0, label: str = "person") -> Run:
    """Write what deepstream-app would of a sequence's frames and boxes."""
    run = Run(folder / "reid", folder / "kitti", sequence / "img1")
    run.dump.mkdir(parents=True, exist_ok=True)
    run.boxes.mkdir(exist_ok=True)
    people = read_boxed_frames([sequence])
    for number, path in enumerate(sorted({each.path for each in people})):
        boxes = np.array([each.box for each in people if each.path == path], np.float32)
        name = f"00_{stream:03}_{number:06}.txt"
        rows = embed(read_picture(path), boxes)
        lines = (f"{place} {' '.join(f'{each:.6f}' for each in row)}\n" for place, row in enumerate(rows))
        (run.dump / name).write_text("".join(lines))
        corners = (" ".join(f"{each:.6f}" for each in box) for box in boxes)
        tails = "0.0 " * 7 + "0.9\n"
        (run.boxes / name).write_text(
            "".join(f"{label} {place} 0.0 0 0.0 {box} {tails}" for place, box in enumerate(corners))
        )
    return run


@pytest.fixture(scope="module")
def sequence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("walk") / "walk", frames=3, people=6, size=(480, 270), seed=3)


@pytest.fixture(scope="module")
def right(package: Path) -> Embed:
    embedder = Embedder.load(package)
    return lambda frame, boxes: embedder.embed_boxes(frame, boxes).embeddings


@pytest.fixture(scope="module")
def run(sequence: Path, right: Embed, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Right embeddings, of people with a blank in their label; tests that change it copy it."""
    return record(sequence, tmp_path_factory.mktemp("run"), right, label="a person")


def copied(run: Run, folder: Path) -> Run:
    """A run with files of its own, to be spoilt."""
    places = Run(folder / "reid", folder / "kitti", run.frames)
    for old, new in zip(run[:2], places[:2], strict=True):
        new.mkdir()
        for path in old.iterdir():
            (new / path.name).write_bytes(path.read_bytes())
    return places


def test_right_embeddings_agree(run: Run, package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(run.command(package)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["agrees"]
    assert (found["frames"], found["objects"], found["without_box"]) == (3, 18, 0)
    assert found["lowest"] == pytest.approx(1, abs=1e-5)
    assert found["own_first"] == 1


def test_a_stream_of_several_with_gaps_agrees(
    run: Run, sequence: Path, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A frame that nobody was in has an empty file, and one that was dropped has none."""
    both = copied(run, tmp_path)
    record(sequence, tmp_path, lambda frame, boxes: np.ones((len(boxes), 512), np.float32), stream=7)
    (both.dump / "00_000_000000.txt").write_text("")
    (both.dump / "00_000_000001.txt").unlink()
    (both.dump / "notes.txt").write_text("mine")
    assert main(both.command(package, "--stream", "0")) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 1
    assert main(both.command(package, "--stream", "7")) == 1


def test_frames_count_by_their_numbers(
    run: Run, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten stands behind nine, which it does not by its letters."""
    for path, number in zip(sorted(run.frames.iterdir()), (8, 9, 10), strict=True):
        (tmp_path / f"frame{number}.jpg").write_bytes(path.read_bytes())
    assert main(run._replace(frames=tmp_path).command(package)) == 0


@pytest.fixture(scope="module")
def pretrained(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained weights: what random ones compute hardly depends on the image."""
    weights = shared / "weights/osnet_x0_25_msmt17.pth"
    if not weights.exists():
        pytest.skip("needs the shared weights")
    folder = tmp_path_factory.mktemp("pretrained")
    assert main(["export", str(weights), "-o", str(folder / "osnet.onnx")]) == 0
    consumer = ["--for", "deepstream-tracker", "-o", str(folder / "consumer")]
    assert main(["integrate", str(folder / "osnet.onnx"), *consumer]) == 0
    return folder


def recordings(pretrained: Path, sequence: Path, folder: Path) -> Iterator[tuple[bool, Run]]:
    """What a tracker writes with the right configuration, and with `keepAspc: 1`."""
    path = pretrained / "consumer/osnet.onnx"
    network = Network(path, expected_of(path, Preprocessing()), "pillow-bilinear")
    for kept in (False, True):
        pipeline = replace(network.pipeline, keep_aspect=kept)

        def embed(
            frame: npt.NDArray[np.uint8], boxes: npt.NDArray[np.float32], pipeline=pipeline
        ) -> npt.NDArray[np.float32]:
            corners = np.rint(boxes).astype(int).clip(0)
            crops = [frame[y1:y2, x1:x2] for x1, y1, x2, y2 in corners]
            return unit(network.rows(crops, pipeline), pipeline)

        yield kept, record(sequence, folder / f"kept-{kept}", embed)


def test_a_tracker_that_keeps_the_aspect_does_not_agree(
    pretrained: Path, sequence: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kept, run in recordings(pretrained, sequence, tmp_path):
        assert main(run.command(pretrained / "osnet.onnx")) == kept
        assert json.loads(capsys.readouterr().out)["agrees"] != kept


def test_photographed_people_agree_and_do_not(
    shared: Path, pretrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shared / "data/mot17-mini/MOT17-09-FRCNN"
    if not folder.is_dir():
        pytest.skip("needs the set mot17-mini")
    for kept, run in recordings(pretrained, folder, tmp_path):
        assert main(run.command(pretrained / "osnet.onnx")) == kept
        assert (json.loads(capsys.readouterr().out)["median"] > 0.9999) != kept


#: Each with the folder, the name of a file there, what is written into it, and what is said.
SPOILT = {
    "no number": ("reid", "0 " + "nan " * 512, "expected a number in"),
    "a number too large": ("reid", "0 " + "1e999 " * 512, "expected a number in"),
    "a word": ("reid", "0 " + "x " * 512, "expected a number in"),
    "zeros, as of an engine that failed": ("reid", "0 " + "0 " * 512, "got zeros alone"),
    "another size": ("reid", "0 " + "0.1 " * 128, "set reidFeatureSize to 512"),
    "no floats": ("reid", "0\n", "expected 512 floats of an embedding, got 0"),
    "bytes of anything": ("reid", "\x00\xff\n", "expected 512 floats of an embedding"),
    "a box that is none": (
        "kitti",
        "person 0 0.0 0 0.0 a b c d" + " 0.0" * 7 + " 1\n",
        "expected a number in",
    ),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_file_that_is_spoilt_is_told_in_a_line(
    case: str, run: Run, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, text, message = SPOILT[case]
    spoilt = copied(run, tmp_path)
    (tmp_path / folder / "00_000_000001.txt").write_text(text, encoding="latin-1")
    assert main(spoilt.command(package)) == 2
    error = capsys.readouterr().err.splitlines()
    assert message in error[-1]
    assert sum(line.startswith("error") for line in error) == 1


def test_what_is_missing_is_told(
    run: Run, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one/000001.jpg").write_bytes((run.frames / "000001.jpg").read_bytes())
    assert main(run._replace(frames=tmp_path / "one").command(package)) == 2
    assert "which has 1 images; give all frames" in capsys.readouterr().err
    assert main(run.command(package, "--stream", "5")) == 2
    assert "has streams 0" in capsys.readouterr().err
    boxless = copied(run, tmp_path)
    (boxless.boxes / "00_000_000002.txt").unlink()
    assert main(boxless.command(package)) == 2
    assert "set kitti-track-output-dir too" in capsys.readouterr().err


def test_ids_without_a_box_are_counted_and_left_out(
    run: Run, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fewer = copied(run, tmp_path)
    for path in fewer.boxes.iterdir():
        path.write_text("\n".join(["", *path.read_text().splitlines()[1:], ""]))
    assert main(fewer.command(package)) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["objects"], found["without_box"]) == (15, 3)
