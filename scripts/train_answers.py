"""What `osnet-edge train` answers while it runs: its first estimate of the time left, and Ctrl-C.

    python scripts/train_answers.py --load 0,2

runs `train quick` on drawn people, in a terminal of its own, quiet and beside processes that compute without
end. The first run goes to its end, and tells how far its first estimate was off. The second gets Ctrl-C once
it has an estimate, and tells the seconds to its first answer and to its end, with the state saved. Estimates
and answers depend on how busy the machine is besides: the load before each run is printed with them.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
from busy_machine import busy_processes
from script_errors import run_script

from osnet_edge.bench.report.render import TextTable, aligned
from osnet_edge.train.synthetic import write_set
from osnet_edge.train.threads import busy_cores

_ESTIMATE = re.compile(rb"about (\d+) s left")
_ANSWER = b"stopping: saving the state"
_HEADERS = ("busy processes", "cores busy", "first estimate s", "it took s", "Ctrl-C to answer s", "to end s")


@dataclass
class Run:
    """A run in a terminal: what it has said so far, and when.

    Attributes:
        process: it.
        terminal: our end of its terminal.
        said: all that it has written.
    """

    process: subprocess.Popen[bytes]
    terminal: int
    said: bytes = b""

    def moments(self) -> Iterator[float]:
        """Yield the time whenever it has written something, until it ends."""
        while True:
            try:
                written = os.read(self.terminal, 4096)
            except OSError:
                # As Linux says that nobody has the other end any more.
                return
            if not written:
                return
            self.said += written
            yield time.monotonic()


@click.command()
@click.option("--load", "loads", default="0,2", show_default=True, help="Numbers of busy processes beside.")
@click.option(
    "--rounds", default=2, show_default=True, help="Times that both runs are done beside each load."
)
@click.option("--people", default=24, show_default=True, help="Drawn people to train on, 12 images each.")
@click.option("--epochs", default=3, show_default=True, help="Passes over their images.")
def train_answers(loads: str, rounds: int, people: int, epochs: int) -> None:
    """Time the first estimate of train, and its answer to Ctrl-C, quiet and beside a load."""
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = folder / "set"
        write_set(data, train_identities=people, test_identities=2, cameras=3, pictures_per_camera=4, seed=0)
        for load in map(int, loads.split(",")):
            for turn in range(rounds):
                with busy_processes(load):
                    busy = busy_cores()
                    out = folder / f"{load}-{turn}"
                    estimate, took = _estimated(_start(data, out.with_suffix(".whole"), epochs))
                    answer, end = _interrupted(_start(data, out.with_suffix(".stopped"), epochs))
                row = [str(load), f"{busy:.1f}", f"{estimate}", f"{took:.0f}", f"{answer:.2f}", f"{end:.1f}"]
                click.echo("  " + ", ".join(row), err=True)
                rows.append(row)
    click.echo(aligned(TextTable(_HEADERS, rows)), nl=False)


def _start(data: Path, out: Path, epochs: int) -> Run:
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "osnet_edge.cli.main", "train", "quick", "--data", str(data)]
    command += ["-o", str(out), "--epochs", str(epochs)]
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, start_new_session=True)  # noqa: S603
    os.close(its)
    return Run(process, ours)


def _estimated(run: Run) -> tuple[int, float]:
    """Return the first estimate of the seconds left, and how many there were."""
    begun, first = 0.0, None
    for moment in run.moments():
        if first is None and (first := _ESTIMATE.search(run.said)):
            begun = moment
    _end(run, 0)
    assert first is not None
    return int(first[1]), time.monotonic() - begun


def _interrupted(run: Run) -> tuple[float, float]:
    """Return the seconds from Ctrl-C to the answer, and to the end."""
    sent = answered = 0.0
    for moment in run.moments():
        if not sent and _ESTIMATE.search(run.said):
            sent = time.monotonic()
            run.process.send_signal(signal.SIGINT)
        elif not answered and _ANSWER in run.said:
            answered = moment
    _end(run, 1)
    return answered - sent, time.monotonic() - sent


def _end(run: Run, expected: int) -> None:
    os.close(run.terminal)
    if run.process.wait() != expected:
        raise click.ClickException(f"expected train to exit with {expected}: {run.said[-300:]!r}")


if __name__ == "__main__":
    sys.exit(run_script(train_answers, "train_answers.py"))
