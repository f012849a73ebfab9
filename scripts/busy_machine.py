"""Time of eval, train and the demo, quiet and beside a load, with OpenMP as it is and as we set it.

    python scripts/busy_machine.py --checkpoint osnet_x0_25_msmt17.pth --load 0,1,2 --demo

runs each command in turns: as OpenMP does by itself ("spinning", with as many threads as cores), with threads
that sleep while they wait ("passive"), and as the command chooses ("ours"). The load is processes of this
script that compute without end. It prints the median seconds of each command; those that are cut off at
--limit count as that. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from osnet_edge.bench.report.render import TextTable, aligned
from osnet_edge.runtime.backends.onnxruntime import allowed_cores
from osnet_edge.train.checkpoint import save_osnet
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.synthetic import write_set
from osnet_edge.train.variants import variant_named

#: What each way sets, and whatever OpenMP reads is taken away before. A number of threads in the environment
#: is the user's own, with which our commands leave the rest alone.
_VARIABLES = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
_WAYS: dict[str, dict[str, str]] = {
    "spinning": {"OMP_NUM_THREADS": str(allowed_cores())},
    "passive": {"OMP_NUM_THREADS": str(allowed_cores()), "OMP_WAIT_POLICY": "passive"},
    "ours": {},
}


@click.command()
@click.option("--checkpoint", metavar="FILE", help="For eval; default: random weights of x0.25.")
@click.option("--load", "loads", default="0,1,2", show_default=True, help="Numbers of busy processes beside.")
@click.option("--rounds", default=3, show_default=True, help="Times that each command runs in each way.")
@click.option("--people", default=24, show_default=True, help="Drawn people to train on, 12 images each.")
@click.option("--epochs", default=2, show_default=True, help="Of train.")
@click.option("--demo", is_flag=True, help="Run the demo too, once in each way.")
@click.option("--limit", default=1200.0, show_default=True, help="Seconds after which a command is cut off.")
def busy_machine(
    checkpoint: str | None, loads: str, rounds: int, people: int, epochs: int, demo: bool, limit: float
) -> None:
    """Time eval, train and the demo, quiet and beside a load."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_set(
            folder / "set",
            train_identities=people,
            test_identities=people,
            cameras=3,
            pictures_per_camera=4,
            seed=0,
        )
        if checkpoint is None:
            checkpoint = str(folder / "osnet.pth")
            save_osnet(OSNet(variant_named("osnet_x0_25")), checkpoint)
        data = ["--data", str(folder / "set")]
        commands = {
            "eval": ["eval", checkpoint, *data, "--json"],
            "train": ["train", "quick", *data, "--epochs", str(epochs)],
            **({"demo": ["demo"]} if demo else {}),
        }
        headers = ("command", "busy processes", *(f"{way} s" for way in _WAYS))
        rows: list[list[str]] = []
        for load in map(int, loads.split(",")):
            with busy_processes(load):
                for name, command in commands.items():
                    seconds: dict[str, list[float]] = {way: [] for way in _WAYS}
                    for turn in range(1 if name == "demo" else rounds):
                        for way in _WAYS:
                            out = (
                                [] if name == "eval" else ["-o", str(folder / f"{name}-{load}-{turn}-{way}")]
                            )
                            seconds[way].append(_timed([*command, *out], _WAYS[way], limit))
                    rows.append(
                        [name, str(load), *(f"{statistics.median(seconds[way]):.1f}" for way in _WAYS)]
                    )
                    click.echo("  " + ", ".join(rows[-1]), err=True)
    click.echo(aligned(TextTable(headers, rows)), nl=False)


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keep so many processes computing while the block runs."""
    context = multiprocessing.get_context("spawn")
    busy = [context.Process(target=_compute, daemon=True) for _ in range(count)]
    for process in busy:
        process.start()
    try:
        # Until they are there.
        time.sleep(2.0 if busy else 0.0)
        yield
    finally:
        for process in busy:
            process.kill()
            process.join()


def _compute() -> None:
    number = 1
    while True:
        number = number * 6_364_136_223_846_793_005 % 18_446_744_073_709_551_557


def _timed(arguments: list[str], environment: dict[str, str], limit: float) -> float:
    """Return the seconds that a command took, `limit` where it was cut off."""
    kept = {name: value for name, value in os.environ.items() if name not in _VARIABLES}
    command = [sys.executable, "-m", "osnet_edge.cli.main", *arguments]
    begun = time.monotonic()
    try:
        ran = subprocess.run(  # noqa: S603
            command, env={**kept, **environment}, capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return limit
    if ran.returncode:
        raise click.ClickException(f"osnet-edge {arguments[0]} failed: {ran.stderr.strip()[-300:]}")
    return time.monotonic() - begun


if __name__ == "__main__":
    busy_machine()
