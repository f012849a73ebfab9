"""Commands in README and docs are ones that there are: names, options and required values."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path

import click
import pytest
from documented import Step, not_as_shown, run, steps
from PIL import Image

from osnet_edge.cli.main import cli
from osnet_edge.runtime.errors import OsnetEdgeError

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
#: Every command of the program, also where torchrun starts it and where two stand on a line.
_COMMAND = re.compile(r"(?:^|; )(?:torchrun .* -m osnet_edge\.cli\.main|osnet-edge) ([^;]*)")
#: A synopsis, or what is the same as for another command.
_LEFT_OUT = re.compile(r"\.\.\.|\[|\b[A-Z]{3,}\b")


def commands(page: Path) -> Iterator[list[str]]:
    for step in steps(page.read_text(encoding="utf-8")):
        for found in _COMMAND.finditer("" if step.is_python else step.typed):
            words = shlex.split(found[1], comments=True)
            if not _LEFT_OUT.search(" ".join(words).replace("env:ONLINE_KEY", "")):
                yield words


CASES = [
    pytest.param(words, id=f"{page.name}: {' '.join(words)[:60]}")
    for page in PAGES
    for words in commands(page)
]


def parse(words: list[str]) -> None:
    """Read a command line as `osnet-edge` does, without running it."""
    # With the settings: a command keeps the help option that its first context made.
    context, command = click.Context(cli, info_name="osnet-edge", **cli.context_settings), cli
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert name
        assert found
        if isinstance(found, click.Group):
            context, command = click.Context(found, info_name=name, parent=context), found
            if not words:
                return
            continue
        # A file of the example is not here, and is asked for after all options have been read.
        with contextlib.suppress(OsnetEdgeError, click.exceptions.Exit):
            found.make_context(name, list(words), parent=context)
        return


@pytest.mark.parametrize("words", CASES)
def test_a_documented_command_is_one_that_there_is(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parse(words)


def test_the_quick_start_in_python_runs_as_it_is_written(tmp_path: Path) -> None:
    program = next(step for step in steps(README.read_text(encoding="utf-8")) if step.is_python)
    (tmp_path / "crops").mkdir()
    for name, size in (("crops/a.jpg", (64, 128)), ("crops/b.jpg", (50, 99)), ("frame.jpg", (320, 240))):
        Image.new("RGB", size, (90, 120, 30)).save(tmp_path / name)
    (tmp_path / "osnet-cpu").symlink_to(ROOT / "tests/frozen/before/float32")
    ran = run(Step(f"{program.typed}\nprint(embeddings.shape, valid)", is_python=True), tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("cosine similarity ")
    assert ran.stdout.endswith("(2, 8) [ True  True]\n")


@pytest.mark.parametrize(
    ("printed", "problem"),
    [
        pytest.param("a: 12 MB\n---  ----\nend", None, id="numbers, rules and columns may be wider"),
        pytest.param("a: 3 MB\n--- ----\nmore\nend", None, id="lines that `...` stands for"),
        pytest.param("a: 3 kB\n--- ----\nend", "a: 3 MB", id="another word"),
        pytest.param("more\na: 3 MB\n--- ----\nend", "a: 3 MB", id="a line that is not shown"),
        pytest.param("a: 3 MB\n--- ----\nmore", "end", id="a line that is not printed"),
        pytest.param("a: 3 MB\n--- ----\nend\nmore", "the end: more lines are printed", id="a line too many"),
    ],
)
def test_output_is_compared_by_its_shape(printed: str, problem: str | None) -> None:
    assert not_as_shown(printed, ("a: 3 MB", "-----  -----", "...", "end")) == problem


def test_every_extra_is_a_row_of_the_page_on_installing() -> None:
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "docs" / "INSTALLING.md").read_text(), re.MULTILINE)
    extras = set(metadata("osnet-edge").get_all("Provides-Extra") or ()) - {"dev"}
    assert {name for row in rows for name in re.findall("`(.+?)`", row)} == extras


def test_there_are_commands_to_look_at() -> None:
    assert len(CASES) >= 40


@pytest.mark.parametrize(
    "words", [["build", "x.onnx", "--goal", "cpu"], ["bulid", "x.onnx"], ["keys", "mak"]]
)
def test_a_wrong_command_would_be_seen(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse(words)
