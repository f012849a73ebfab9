#!/usr/bin/env python3
"""Boot a camera in a virtual machine, update it, cut its power, and print what held.

It is evidence, run by hand: no part of the installed package or of `make test`. It needs root, Debian's
mmdebstrap, QEMU and nginx, and the project's own environment (`make installed`). What root is for: mmdebstrap
and chroot, which install Debian into the folder that is named; the emulator gets no more than that folder.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import click
from booted.host import require_programs
from booted.image import Image, make_image
from booted.machine import Cache, Machine, accelerator
from booted.power import Cuts, cut_power
from booted.releases import Releases
from booted.steps import Steps
from script_errors import run_script

from osnet_edge.bench.report.render import TextTable, aligned
from osnet_edge.runtime.errors import OsnetEdgeError

_EXAMPLE = """\b
Example:
  sudo .venv/bin/python scripts/booted_camera.py --cache /var/tmp/booted
  sudo .venv/bin/python scripts/booted_camera.py --cache /var/tmp/booted --cuts 100
"""


@click.command(epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--cache",
    required=True,
    metavar="FOLDER",
    help="Where Debian, wheels, the image and packages are kept, 3 GB; used again.",
)
@click.option("--steps/--no-steps", default=True, show_default=True, help="Take the steps of the table.")
@click.option(
    "--cuts",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Also cut the power so many times during updates, with each cache mode.",
)
@click.option("--seed", default=1, show_default=True, help="Of the moments that are drawn.")
@click.option(
    "--accelerate",
    type=click.Choice(["kvm", "tcg"]),
    help="How to emulate; default: kvm where Debian's kernel boots by it.",
)
def booted_camera(cache: str, steps: bool, cuts: int, seed: int, accelerate: str | None) -> int:
    """Boot a camera in a virtual machine, update it, cut its power, and print what held.

    Exit code 0 when all holds, 1 when something does not, 2 on bad input.
    """
    require_programs()
    place, how = Path(cache).absolute(), accelerate or accelerator()
    image = make_image(place)
    click.echo(f"x86-64, Debian bookworm with systemd, QEMU by {how}")
    held = True
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        if steps:
            held &= _take_steps(image, Path(scratch), place, how)
        if cuts:
            held &= _cut(image, Path(scratch), place, how, cuts, seed)
    return int(not held)


def _take_steps(image: Image, scratch: Path, cache: Path, how: str) -> bool:
    """Take the steps, and print their table; return whether all hold."""
    with _offered(scratch / "steps", cache) as (releases, folder):
        machine = Machine(image, folder, releases.port, accelerate=how)
        taken = Steps(machine, releases)
        try:
            taken.all()
        finally:
            machine.discard()
    rows = [[row.done, row.systemd, row.agent[:110], "no" if row.wrong else "yes"] for row in taken.rows]
    click.echo(aligned(TextTable(("step", "systemd saw", "the agent did", "holds"), rows, words=4)))
    wrong = [f"does not hold: {row.done}: {row.wrong}" for row in taken.rows if row.wrong]
    click.echo("\n".join(wrong) or "all of it holds")
    return not wrong


def _cut(image: Image, scratch: Path, cache: Path, how: str, wanted: int, seed: int) -> bool:
    """Cut the power of a camera with each cache mode, both at once; return whether all hold."""

    def cut(mode: Cache) -> Cuts:
        found = Cuts(mode)
        with _offered(scratch / mode, cache) as (releases, folder):
            machine = Machine(image, folder, releases.port, cache=mode, accelerate=how)
            try:
                cut_power(machine, releases, found, wanted, random.Random(f"{seed} {mode}"))  # noqa: S311
            except OsnetEdgeError as error:
                found.wrong.append(str(error))
            finally:
                machine.discard()
        return found

    modes: tuple[Cache, ...] = ("none", "writeback")
    with ThreadPoolExecutor(len(modes)) as both:
        found = list(both.map(cut, modes))
    for each in found:
        click.echo(each.text())
    click.echo(f"in all: {sum(each.boots for each in found)} boots, {sum(each.cuts for each in found)} cuts")
    return not any(each.wrong for each in found)


@contextmanager
def _offered(folder: Path, cache: Path) -> Iterator[tuple[Releases, Path]]:
    """Serve a new repository; the block gets it, and a place for the camera's disk."""
    releases = Releases(folder / "web", cache / "packages")
    releases.serve()
    try:
        yield releases, folder / "camera"
    finally:
        releases.stop()


if __name__ == "__main__":
    sys.exit(run_script(booted_camera, "booted_camera.py"))
