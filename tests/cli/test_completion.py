"""Completion as a shell does it: the documented lines, a real shell on a terminal, and the key Tab."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SECTION = (Path(__file__).parents[2] / "docs" / "INSTALLING.md").read_text().split("## Completion")[1]
#: What each shell must complete: a command, an option, the file of an argument, the folder of a set.
WANTED = [
    ("osnet-edge bui", "build"),
    ("osnet-edge bench --dur", "--duration"),
    ("osnet-edge build gra", "graph-of-mine.onnx"),
    ("osnet-edge train quick --data peo", "people-of-mine"),
]


def documented(shell: str) -> str:
    """Return the lines that the document has for a shell."""
    block = re.search(rf"^For {shell}\b.*?:\n\n((?:    .*\n)+)", SECTION, re.M)
    assert block is not None
    return re.sub(r"^    ", "", block[1], flags=re.M)


def set_up(shell: str, home: Path, environment: dict[str, str]) -> list[str]:
    """Put the lines where the document says, and return the command of an interactive shell."""
    lines = documented(shell)
    if shell == "fish":
        subprocess.run(["fish", "-c", lines], env=environment, check=True)
        return ["fish", "-i"]
    (home / f".{shell}rc").write_text(lines)
    return [shell, "-i"]


@contextmanager
def terminal(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[int]:
    child, ours = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execvpe(command[0], command, environment)
    try:
        yield ours
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ours)


def read_until(ours: int, wanted: str) -> str:
    """Return what is shown until a text is, or for half a minute."""
    shown, ends = "", time.monotonic() + 30
    while wanted not in shown and (left := ends - time.monotonic()) > 0:
        if not select.select([ours], [], [], left)[0]:
            break
        got = os.read(ours, 65536).decode(errors="replace")
        if "\x1b[c" in got or "\x1b[0c" in got:
            # What terminal is it? fish waits for the answer.
            os.write(ours, b"\x1b[?6c")
        shown += got
    return shown


def say(ours: int, number: int) -> None:
    """Have the shell say something, to be sure that it listens again; its own line shows it otherwise."""
    os.write(ours, f"echo re''ady-{number}\r".encode())
    assert f"ready-{number}" in read_until(ours, f"ready-{number}")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_documented_lines_complete(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "graph-of-mine.onnx").touch()
    (tmp_path / "people-of-mine").mkdir()
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    environment = {"HOME": str(tmp_path), "PATH": path, "TERM": "xterm"}
    with terminal(set_up(shell, tmp_path, environment), tmp_path, environment) as ours:
        for number, (typed, wanted) in enumerate(WANTED):
            say(ours, number)
            os.write(ours, f"{typed}\t".encode())
            assert wanted in read_until(ours, wanted), typed
            # Ctrl-U: an empty line again.
            os.write(ours, b"\x15")
