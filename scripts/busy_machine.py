"""What a wait policy of OpenMP costs torch's commands, on a quiet machine and beside other work.

`osnet-edge` sets OMP_WAIT_POLICY=passive unless the user has set it. This runs a command with both policies
in turns, without and with processes beside it that compute, and prints the seconds of each.
"""

from __future__ import annotations

import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

POLICIES = ("active", "passive")


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep as many cores busy as there are processes."""
    beside = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for each in beside:
            each.kill()
            each.wait()


def seconds_of(command: list[str], policy: str) -> float:
    """Run a command with a policy; return the seconds that it took."""
    started = time.monotonic()
    environment = {**os.environ, "OMP_WAIT_POLICY": policy}
    subprocess.run(command, env=environment, check=True, capture_output=True)  # noqa: S603 - as typed
    return time.monotonic() - started


@click.command()
@click.argument("command")
@click.option(
    "--beside", default="0,2", show_default=True, help="Busy processes beside it, one run for each."
)
@click.option("--turns", default=3, show_default=True, help="Times that each policy runs.")
def main(command: str, beside: str, turns: int) -> None:
    """Time COMMAND with OpenMP's threads spinning (active) and sleeping (passive) while they wait.

    \b
    Example:
      python scripts/busy_machine.py "osnet-edge eval osnet_x0_25_msmt17.pth --data viper"
    """
    words = shlex.split(command)
    for processes in (int(text) for text in beside.split(",")):
        taken: dict[str, list[float]] = {policy: [] for policy in POLICIES}
        with busy(processes):
            for _ in range(turns):
                for policy in POLICIES:
                    taken[policy].append(seconds_of(words, policy))
        for policy, found in taken.items():
            median, low, high = statistics.median(found), min(found), max(found)
            click.echo(f"{processes} beside, {policy:7}: {median:.1f} s ({low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main()
