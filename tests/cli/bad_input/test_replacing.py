"""A file that is there is replaced by one of its own kind, and by another only with `--force`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import bench_examples as examples
import click
import pytest
from PIL import Image

from bad_input.commands import COMMANDS, given, of, said
from osnet_edge.bench import csv_table, html_report, to_json
from osnet_edge.cli import replacing
from osnet_edge.cli.main import main
from osnet_edge.cli.paths import OutputFile, OutputKey
from osnet_edge.train.synthetic import sample_crops, write_set, write_video

#: What people have beside their work, by what the message calls it.
STRANGERS = {
    "a JPEG image": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)),
    "a PNG image": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(64),
    "a video": b"\x00\x00\x00 ftypisom" + bytes(64),
    "a PDF document": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "a zip archive, as checkpoints, npz files and office documents are": b"PK\x03\x04"
    + bytes(26)
    + b"a.docx",
    "an ONNX graph of another program": b'\x08\x08\x12\x07pytorch:\xaa\x01 it says "osnet_edge"',
    "a private key": b"-----BEGIN PRIVATE KEY-----\n",
    "a web page": b"<!DOCTYPE html>\n<title>osnet-edge</title>",
    "an SVG drawing": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "a JSON document of another kind": b'{"schema_version": 3, "name": "osnet-edge"}',
    "a text": b"x",
    "a file of another kind": b"\x00\x01\x02",
}
#: Commands that are done in a moment, by the option or kind that is meant, without the file that they write.
QUICK: dict[str, Callable[[Path], list[str]]] = {
    "export": lambda desk: ["export", f"{desk}/osnet.pth", "--size", "64x32", "-o"],
    "calibrate": lambda desk: ["calibrate", "--data", f"{desk}/people", "--held-out", "0", "-o"],
    "embed": lambda desk: ["embed", f"{desk}/osnet-cpu", f"{desk}/crop.png", "-o"],
    "data check --sheet": lambda desk: ["data", "check", f"{desk}/people", "--sheet"],
    "track": lambda desk: ["track", "--motion-alone", "--frames", f"{desk}/site", "-o"],
    "track --video": lambda desk: [
        *("track", "--motion-alone", "--frames", f"{desk}/site", "-o", f"{desk}/tracks.txt", "--video"),
    ],
    "bench merge": lambda desk: ["bench", "merge", f"{desk}/result.json", "-o"],
    "inspect --plot": lambda desk: ["inspect", f"{desk}/int8", "--plot"],
    "keys root": lambda desk: [
        *("keys", "root", "--repo", f"{desk}/repo", "--root", f"{desk}/a.key.pub", "--threshold", "1"),
        *("--targets", f"{desk}/a.key.pub", "--online", f"{desk}/a.key.pub", "-o"),
    ],
    "device status": lambda desk: ["device", "status", "--store", f"{desk}/store", "-o"],
    "device status --prometheus": lambda desk: [
        *("device", "status", "--store", f"{desk}/store", "--prometheus", "-o"),
    ],
}
#: How the names end that some commands ask for.
SUFFIXES = {"embed": ".npz", "data check --sheet": ".png", "track --video": ".mp4"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path, package: Path) -> Path:
    """What the commands read."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copyfile(checkpoint, folder / "osnet.pth")
    shutil.copytree(package, folder / "osnet-cpu")
    shutil.copytree(Path(__file__).parents[2] / "frozen/before/int8", folder / "int8")
    write_set(
        folder / "people", train_identities=4, test_identities=2, cameras=2, pictures_per_camera=2, seed=0
    )
    write_video(folder / "site", cameras=1, people=3, seconds=2, rate=5, size=(160, 120), seed=0)
    Image.fromarray(sample_crops(1)[0]).save(folder / "crop.png")
    (folder / "tracker.yml").write_text("ReID:\n  keepAspc: 1\n")
    (folder / "result.json").write_text(to_json(examples.result()))
    assert main(["keys", "new", f"{folder}/a.key"]) == 0
    assert main(["device", "init", "--store", f"{folder}/store", "--device", "camera-7"]) == 0
    return folder


@pytest.fixture(scope="module")
def written(desk: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of every kind, as they are written; those of slow commands by what these call at their end."""
    folder = tmp_path_factory.mktemp("written")
    files = {name: folder / f"{name.replace(' ', '_')}{SUFFIXES.get(name, '')}" for name in QUICK}
    for name, path in files.items():
        path.write_bytes(STRANGERS["a PDF document"])
        assert main([*QUICK[name](desk), str(path), "--force"]) == 0
    files["corrected"] = folder / "corrected.yml"
    # Which tells of the mistake by its exit code.
    assert main(["integrate", "check", f"{desk}/tracker.yml", "--fix", str(files["corrected"])]) == 1
    result = examples.everything()
    slow = {"bench --json": to_json(result), "bench --csv": csv_table(result), "page": html_report([result])}
    for name, text in slow.items():
        files[name] = folder / name
        files[name].write_text(text)
    return files


@pytest.mark.parametrize("name", QUICK)
def test_a_file_of_its_own_kind_is_replaced_by_a_quick_command(
    name: str, desk: Path, written: dict[str, Path]
) -> None:
    # Written over a stranger's, with --force, and now over its own, without.
    path = written[name]
    before = path.stat().st_ino
    assert main([*QUICK[name](desk), str(path)]) == 0
    assert path.stat().st_ino != before


@of(OutputFile)
def test_only_a_file_of_its_own_kind_is_replaced(
    words: tuple[str, ...],
    parameter: click.Parameter,
    written: dict[str, Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert isinstance(parameter.type, OutputFile)
    kind, path = parameter.type.kind, tmp_path / "file"
    assert any(kind.matches(each) for each in written.values()), f"no file of {kind.name} is tried"
    others = [each.read_bytes() for each in written.values() if not kind.matches(each)]
    for content in (*STRANGERS.values(), *others):
        path.write_bytes(content)
        line = said(given(words, parameter, str(path)), capfd)
        assert f"expected {kind.name} at {path} to replace, found " in line
        assert path.read_bytes() == content
        # What comes next is missed next: an argument, or another option.
        line = said([*given(words, parameter, str(path)), "--force"], capfd)
        assert "to replace" not in line
        assert "--force" not in line
    own = [each.read_bytes() for each in written.values() if kind.matches(each)]
    for content in (b"", *own):
        path.write_bytes(content)
        assert "to replace" not in said(given(words, parameter, str(path)), capfd)


@pytest.mark.parametrize("found", STRANGERS)
def test_what_is_there_is_named(found: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "osnet.onnx"
    path.write_bytes(STRANGERS[found])
    expected = (
        f"error: expected an ONNX graph of osnet-edge at {path} to replace, found {found}; "
        "name another file, or pass --force to replace it\n"
    )
    assert said(["export", "-o", str(path)], capfd) == expected


def test_what_a_link_leads_to_is_judged(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.pdf").write_bytes(STRANGERS["a PDF document"])
    (tmp_path / "calib.json").symlink_to("thesis.pdf")
    line = said(["calibrate", "-o", f"{tmp_path}/calib.json"], capfd)
    assert f"at {tmp_path}/thesis.pdf to replace, found a PDF document" in line


def test_standard_output_is_written_to_whatever_is_in_its_file(desk: Path, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    with path.open("ab") as log:
        command = [sys.executable, "-m", "osnet_edge.cli.main", *QUICK["device status"](desk), "/dev/stdout"]
        subprocess.run(command, stdout=log, check=True)
    assert path.read_text().startswith('before\n{"device":"camera-7"')


@of(OutputKey)
def test_a_key_is_never_written_over(
    words: tuple[str, ...], parameter: click.Parameter, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for there in ("a.key", "a.key.pub"):
        path = tmp_path / there
        path.write_text("x")
        line = said(given(words, parameter, f"{tmp_path}/a.key"), capfd)
        assert f"{path} is already there, and keys are not written over; name another file" in line
        assert [(each, each.read_text()) for each in tmp_path.iterdir()] == [(path, "x")]
        path.unlink()


def test_every_kind_is_of_a_command() -> None:
    kinds = {each for each in vars(replacing).values() if isinstance(each, replacing.FileKind)}
    types = [each.type for _, command in COMMANDS for each in command.params]
    assert {each.kind for each in types if isinstance(each, OutputFile)} == kinds
