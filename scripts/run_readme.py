"""Run the tour of README.md as it is written, and compare the shape of what is printed with what it shows.

Numbers may differ; words, columns and the order of lines may not. `...` stands for any lines.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click

README = Path(__file__).parents[1] / "README.md"
_NUMBER = re.compile(r"[-+±]?\d[\d,.]*(?:e-?\d+)?|\b[0-9a-f]{12}\b")


def shape(line: str) -> str:
    """Return a line with every number, run of spaces and rule made one sign."""
    return re.sub(r"\s+", " ", re.sub(r"-{3,}", "-", _NUMBER.sub("0", line))).strip()


def steps(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each command after a `$` with the lines that are shown below it."""
    for block in re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", text, re.MULTILINE):
        for part in re.split(r"^ {4}\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.rstrip().split("\n")
            yield command, [line.strip() for line in shown if line.strip()]


def missing_from(printed: list[str], shown: list[str]) -> str | None:
    """Return the first shown line that is not printed in this order; None if all are."""
    rest = iter(shape(line) for line in printed)
    for line in shown:
        wanted = shape(line.removesuffix("..."))
        if wanted and not any(found.startswith(wanted) for found in rest):
            return line
    return None


@click.command()
@click.option("--weights", required=True, help="Folder with osnet_x0_25_msmt17.pth.")
@click.option("--data", required=True, help="Folder with the sets viper and cuhk03.")
def main(weights: str, data: str) -> None:
    """Run README's tour in a scratch folder.

    \b
    Example:
      python scripts/run_readme.py --weights weights --data data
    """
    environment = {**os.environ, "OSNET_EDGE_DATA": str(Path(data).resolve())}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    failed = False
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copy(Path(weights) / "osnet_x0_25_msmt17.pth", scratch)
        crops = Path(scratch) / "crops"
        crops.mkdir()
        for picture in sorted((Path(data) / "viper/query").iterdir())[:120]:
            shutil.copy(picture, crops)
        for command, shown in steps(README.read_text(encoding="utf-8")):
            started = time.monotonic()
            ran = subprocess.run(  # noqa: S602 - what README says is what is typed
                command, shell=True, cwd=scratch, env=environment, capture_output=True, text=True
            )
            missing = missing_from(ran.stdout.splitlines(), shown)
            failed |= bool(ran.returncode) or missing is not None
            click.echo(f"{time.monotonic() - started:5.1f} s  exit {ran.returncode}  $ {command}")
            if ran.returncode:
                click.echo(f"        {ran.stderr.strip().splitlines()[-1]}")
            elif missing is not None:
                click.echo(f"        not printed: {missing}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
