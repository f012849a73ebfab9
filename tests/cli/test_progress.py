"""What a person sees while they wait."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time

import pytest

from osnet_edge.cli import progress
from osnet_edge.cli.progress import TimeLeft

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


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        pytest.param([], None, id="nothing is known before the first items"),
        pytest.param([(50, 8)], None, id="the first items were slowed by warming up"),
        pytest.param([(50, 8), (51, 8)], 84 / 8, id="the second ones tell"),
        pytest.param([(5, 60), (7, 10), (9, 10)], 20 * 0.2, id="what a resumed run had done took no time"),
        pytest.param([(0, 2), (90, 2), (91, 2), (130, 40)], 54 * 39 / 40, id="an old speed is forgotten"),
    ],
)
def test_the_time_left_goes_by_the_last_items(
    reports: list[tuple[float, int]], expected: float | None
) -> None:
    left = TimeLeft(100)
    for now, count in reports:
        left.advance(count, now)
    assert left.seconds() == (expected if expected is None else pytest.approx(expected))


def test_a_share_of_a_job_is_told_in_percent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_LOG_INTERVAL", 0.0)
    with progress.shares() as show:
        show("latency", 0.1)
        show("latency", 0.35)
    assert re.fullmatch(
        r"  latency \.\.\.\n  latency: 10 %\n  latency: 35 %, about \d+ s left\n", capsys.readouterr().err
    )


def test_what_takes_long_is_said_and_what_does_not_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    """As loading does: OpenVINO compiles for seconds, and ONNX Runtime is there at once."""
    with progress.told_if_slow("loading osnet-cpu"):
        pass
    assert capsys.readouterr().err == ""
    shown = ""
    with progress.told_if_slow("loading osnet-openvino"):
        while not shown:
            time.sleep(0.05)
            shown = capsys.readouterr().err
    assert shown == "  loading osnet-openvino ...\n"
