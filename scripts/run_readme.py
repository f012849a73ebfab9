"""Run the tour of README.md as it is written, and compare the shape of what is printed with what it shows.

Numbers may differ; words, columns and the order of lines may not. `...` stands for any lines.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from documents import README, begin_tour, missing_from, steps


@click.command()
@click.option("--weights", required=True, help="Folder with osnet_x0_25_msmt17.pth.")
@click.option("--data", required=True, help="Folder with the sets viper and cuhk03.")
def main(weights: str, data: str) -> None:
    """Run README's tour in a scratch folder.

    \b
    Example:
      python scripts/run_readme.py --weights weights --data data
    """
    failed = False
    with tempfile.TemporaryDirectory() as scratch:
        environment = begin_tour(Path(scratch), Path(weights), Path(data))
        for step in steps(README.read_text(encoding="utf-8")):
            started = time.monotonic()
            ran = subprocess.run(  # noqa: S602 - what README says is what is typed
                step.command, shell=True, cwd=scratch, env=environment, capture_output=True, text=True
            )
            missing = missing_from(ran.stdout.splitlines(), step.shown)
            failed |= bool(ran.returncode) or missing is not None
            click.echo(f"{time.monotonic() - started:5.1f} s  exit {ran.returncode}  $ {step.command}")
            if ran.returncode:
                click.echo(f"        {ran.stderr.strip().splitlines()[-1]}")
            elif missing is not None:
                click.echo(f"        not printed: {missing}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
