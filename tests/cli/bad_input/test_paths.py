"""Every path of every command: nothing there, the wrong kind of thing there, an output nobody can write."""

from __future__ import annotations

import time
from pathlib import Path

import click
import pytest

from bad_input.commands import PARAMETERS, given, of, said
from osnet_edge.cli.main import cli, main
from osnet_edge.cli.paths import (
    FilledFolder,
    InputPath,
    LaterFile,
    MadeFolder,
    OutputFile,
    OutputFiles,
    OutputFolder,
    OutputKey,
)

#: Texts that are no paths, by how the help calls them, and those whose reader says more.
TEXTS = {
    *("COMMAND", "FIELD=VALUE", "HxW", "MIN,OPT,MAX", "N,...", "NAME", "NAME,...", "NAME=PERCENT"),
    *("RELEASE", "SHARE", "TARGET", "TEXT", "TIME", "WHAT,...", "WHY", "[RELEASE]", "none|auto|PASS,..."),
    *("JSON", "HOSTS...", "KEY", "CONSUMER", "PLACE", "RATE", "RATE,..."),
}
#: A folder on other machines.
ELSEWHERE = ("ship", "store")
#: A folder in which nobody can make anything, the system administrator included.
UNWRITABLE = Path("/sys")


def test_every_text_that_is_no_path_is_known() -> None:
    for words, each in PARAMETERS:
        if each.type is click.STRING and (*words, each.name) != ELSEWHERE:
            metavar = each.make_metavar(click.Context(cli))
            assert metavar in TEXTS, (words, each.name)


@of(InputPath)
def test_nothing_is_there(
    words: tuple[str, ...], parameter: click.Parameter, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = said(given(words, parameter, str(tmp_path / "none")), capfd)
    assert isinstance(parameter.type, InputPath)
    assert f"expected {parameter.type.what}, found nothing at {tmp_path}/none; " in line


@of(InputPath)
def test_something_else_is_there(
    words: tuple[str, ...], parameter: click.Parameter, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert isinstance(parameter.type, InputPath)
    if parameter.type.kind == "file or folder":
        pytest.skip("takes files and folders")
    wrong, name = ("a folder", tmp_path) if parameter.type.kind == "file" else ("a file", tmp_path / "file")
    line = said(given(words, parameter, str(name)), capfd)
    assert f"expected {parameter.type.what}, found {wrong} at {name}; " in line


@of(OutputFile, OutputKey)
def test_a_file_goes_into_no_folder(
    words: tuple[str, ...], parameter: click.Parameter, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "none"
    assert f"the folder {folder} does not exist" in said(given(words, parameter, f"{folder}/x"), capfd)
    if not isinstance(parameter.type, OutputFiles):
        assert f"{tmp_path} is a folder; name a file in it" in said(
            given(words, parameter, str(tmp_path)), capfd
        )


@of(OutputFolder)
def test_a_folder_goes_into_no_file(
    words: tuple[str, ...], parameter: click.Parameter, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for inside in ("x", "deep/x"):
        line = said(given(words, parameter, f"{tmp_path}/file/{inside}"), capfd)
        assert f"found a file at {tmp_path}/file; " in line
    long = "x" * 300
    assert "a name of at most" in said(given(words, parameter, f"{tmp_path}/none/{long}/x"), capfd)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_folder_is_made_with_those_it_is_in_and_of_a_refused_command_nothing_stays(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = ["data", "synthesize", "-o", f"{tmp_path}/sets/all/site"]
    said([*place, "--cameras", "1"], capfd)
    said(["build", "none.onnx", "--target", "cpu", "-o", f"{tmp_path}/sets/osnet-cpu"], capfd)
    assert not list(tmp_path.iterdir())
    small = ["--train-people", "0", "--test-people", "1", "--cameras", "2", "--pictures", "2"]
    assert main([*place, *small]) == 0
    assert (tmp_path / "sets/all/site/query").is_dir()


@of(MadeFolder)
def test_state_is_kept_in_no_file(
    words: tuple[str, ...], parameter: click.Parameter, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    line = said(given(words, parameter, f"{tmp_path}/file"), capfd)
    assert f"expected {parameter.opts[0]} as a folder, found a file at {tmp_path}/file; " in line


@of(LaterFile)
def test_what_another_program_will_write_is_a_file(
    words: tuple[str, ...], parameter: click.Parameter, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert f"found a folder at {tmp_path}; " in said(given(words, parameter, str(tmp_path)), capfd)
    behind = said(given(words, parameter, f"{tmp_path}/file/x"), capfd)
    assert f"found a file at {tmp_path}/file; " in behind


@pytest.mark.skipif(not UNWRITABLE.is_dir(), reason="needs a folder in which nothing can be made: /sys")
@of(OutputFile, OutputKey, OutputFolder, FilledFolder)
def test_a_folder_that_takes_nothing_is_tried_before_any_work(
    words: tuple[str, ...], parameter: click.Parameter, capfd: pytest.CaptureFixture[str]
) -> None:
    new = "" if isinstance(parameter.type, FilledFolder) else "/osnet-edge-test"
    line = said(given(words, parameter, f"{UNWRITABLE}{new}"), capfd)
    assert f"nothing can be written in the folder {UNWRITABLE} (" in line


BEHIND_OTHERS = {
    "images of nowhere": (
        lambda package: ["embed", package, "none"],
        "expected images or a folder of them, found nothing at none",
    ),
    "a second result of nowhere": (
        lambda package: ["bench", "diff", f"{package}/manifest.json", "none"],
        "found nothing at none; osnet-edge bench --json FILE makes one",
    ),
    "a set of nowhere": (
        lambda package: ["bench", package, "--data", "none"],
        "found nothing called none",
    ),
    "a recipe of nowhere": (
        lambda package: ["train", "none.toml", "--data", package, "-o", "run"],
        "none.toml",
    ),
    "a repository of nowhere": (
        lambda package: ["keys", "show", "--repo", "none"],
        "none",
    ),
    "a store of nowhere": (lambda package: ["device", "status", "--store", "none"], "none"),
    "a store that is a file": (
        lambda package: ["device", "status", "--store", f"{package}/manifest.json"],
        "manifest.json",
    ),
    "a cache that is a file": (
        lambda package: [
            *("tune", f"{package}/model.onnx", "--target", "cpu"),
            *("--cache", f"{package}/manifest.json"),
        ],
        "expected --cache as a folder",
    ),
    "a cache where nothing can be made": (
        lambda package: ["tune", f"{package}/model.onnx", "--target", "cpu", "--cache", "/sys/none"],
        "name another with --cache",
    ),
}


@pytest.mark.parametrize("name", BEHIND_OTHERS)
def test_what_is_read_behind_others(name: str, package: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments, message = BEHIND_OTHERS[name]
    assert message in said(arguments(str(package)), capfd)


def test_a_user_without_a_home_is_told_of_the_cache_before_anything_is_timed(
    package: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/sys/none")
    started = time.monotonic()
    line = said(["tune", f"{package}/model.onnx", "--target", "cpu"], capfd)
    assert "name another with --cache" in line
    assert time.monotonic() - started < 60
