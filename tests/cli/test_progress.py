"""What a person sees while they wait."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

SCRIPT = """
from osnet_edge.cli.progress import bar, say

with bar("training", 40) as advance:
    for k in range(40):
        advance(1, f"a long note that fills the line, number {k}")
        if k % 20 == 19:
            say(f"epoch {k // 20 + 1}")
"""


def screen(written: str) -> list[str]:
    """Return the lines that a terminal shows, which knows returns, new lines and clearing a line's rest."""
    lines, column = [""], 0
    rest = written
    while rest:
        if rest.startswith("\x1b["):
            end = next(k for k, sign in enumerate(rest[2:], 2) if sign.isalpha())
            if rest[end] == "K":
                lines[-1] = lines[-1][:column]
            rest = rest[end + 1 :]
            continue
        if rest[0] == "\n":
            lines.append("")
        elif rest[0] != "\r":
            lines[-1] = lines[-1][:column] + rest[0] + lines[-1][column + 1 :]
        column = 0 if rest[0] in "\r\n" else column + 1
        rest = rest[1:]
    return [line.rstrip() for line in lines if line.strip()]


def test_what_is_said_while_a_bar_is_shown_has_lines_of_its_own() -> None:
    ours, theirs = pty.openpty()
    running = subprocess.Popen([sys.executable, "-c", SCRIPT], stderr=theirs)
    os.close(theirs)
    written = b""
    try:
        while block := os.read(ours, 4096):
            written += block
    except OSError:
        # How Linux tells that nobody writes any more.
        pass
    finally:
        os.close(ours)
    assert running.wait() == 0
    assert "training" in written.decode()
    assert screen(written.decode()) == ["  epoch 1", "  epoch 2"]
