"""Run the pages of the documentation as they are written, and compare what is printed with what they show.

The tour of README.md is run first; each page of docs/ goes on from the files that it leaves. Numbers may
differ; words, columns and the order of lines may not.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import click
from documented import ROOT, Step, not_as_shown, prepare, run, steps

#: In the order of docs/README.md.
PAGES = (
    *(
        "INSTALLING",
        "INPUTS",
        "TARGETS",
        "RUNTIME",
        "TRACKERS",
        "TRACKING",
        "INTEGRATION",
        "TRAINING",
        "EVALUATION",
        "SEARCH",
    ),
    *("REWRITING", "CALIBRATION", "PRECISION", "TUNING", "BENCH", "PACKAGE", "GPU"),
)
#: Commands that are not run, by how they begin, and why.
PASSED_OVER = {
    "pip install": "changes the environment, which `make installed` has filled",
    'eval "$(_OSNET_EDGE_COMPLETE=zsh': "needs zsh",
    "torchrun": "needs several GPUs",
    "osnet-edge search --data msmt17": "needs MSMT17 and a GPU",
    "osnet-edge integrate compare": "needs what deepstream-app wrote",
    "import cv2": "needs a tracker; scripts/tracker_check.py runs it",
    "python scripts/search_check.py": "takes half an hour",
    "python scripts/tune_check.py": "takes ten minutes",
}
#: Options added to commands, by how they begin, so that they end within a minute or two on two cores.
SHORTENED = {
    "osnet-edge train": "--epochs 1 --size 64x32",
    "osnet-edge data synthesize -o site-": "--train-people 20 --test-people 5",
    "osnet-edge search": "--epochs 1 --size 64x32",
    "osnet-edge tune osnet_x0_25": "--batch 1 --rewrite none --rewrite gate",
    "python scripts/gpu_bench.py": "--device cpu --variant osnet_x0_25 --batch 1 --compile none",
}
#: Commands whose exit code 1 is an answer, by how they begin, and which.
MAY_SAY_NO = {
    "osnet-edge bench diff": "an engine got slower, as on a busy machine",
    "osnet-edge integrate check": "a mistake was found",
}
#: Commands whose output is not compared, by how they begin, and why.
NOT_COMPARED = {"osnet-edge build osnet-x1_0.onnx": "says why INT8 was chosen or not, by times"}
TABLES = (*PASSED_OVER, *SHORTENED, *MAY_SAY_NO, *NOT_COMPARED)


def follow(page: Path, folder: Path, environment: dict[str, str], used: set[str]) -> bool:
    """Run every step of a page in a folder, and return whether all did as the page says.

    Rows of the tables above that applied are added to `used`.
    """
    good = True
    click.echo(page.name)
    for step in steps(page.read_text(encoding="utf-8")):
        rows = [row for row in TABLES if step.typed.startswith(row)]
        used.update(rows)
        if rows and rows[0] in PASSED_OVER:
            click.echo(f"  not run, {PASSED_OVER[rows[0]]}: {step.typed.splitlines()[0]}")
            continue
        options = "".join(f" {SHORTENED[row]}" for row in rows if row in SHORTENED)
        typed = f"{step.typed.split(' #')[0].rstrip()}{options}" if options else step.typed
        started = time.monotonic()
        ran = run(Step(typed, is_python=step.is_python), folder, environment)
        answers = (0, 1) if step.typed.startswith(tuple(MAY_SAY_NO)) else (0,)
        refused = ran.returncode not in answers
        compared = not step.typed.startswith(tuple(NOT_COMPARED))
        problem = not_as_shown(ran.stdout, step.shown) if compared else None
        click.echo(f"  {time.monotonic() - started:5.1f} s  exit {ran.returncode}  {typed.splitlines()[0]}")
        if refused:
            click.echo(f"        {ran.stderr.strip()}")
        elif problem is not None:
            click.echo(f"        not as shown: {problem}\n{ran.stdout}")
        good &= not refused and problem is None
    return good


@click.command()
@click.argument("pages", nargs=-1, type=click.Choice(PAGES))
@click.option("--weights", required=True, help="Folder with osnet_x0_25_msmt17.pth and others.")
@click.option("--data", required=True, help="Folder with the sets viper, cuhk03 and mot17-mini.")
@click.option("--tour", type=Path, help="Keep the folder of README's tour here, or use it if it is there.")
def main(pages: tuple[str, ...], weights: str, data: str, tour: Path | None) -> None:
    """Run README's tour, then PAGES of docs/ (all by default), each in a copy of the tour's folder.

    \b
    Example:
      python scripts/run_docs.py --weights weights --data data
      python scripts/run_docs.py CALIBRATION --weights weights --data data --tour tour
    """
    good, used = True, set[str]()
    with tempfile.TemporaryDirectory() as scratch:
        environment = {
            **os.environ,
            "OSNET_EDGE_DATA": str(Path(data).resolve()),
            "XDG_CACHE_HOME": f"{scratch}/cache",
        }
        first = tour or Path(scratch) / "tour"
        if not first.exists():
            prepare(first, Path(weights), Path(data))
            good &= follow(ROOT / "README.md", first, environment, used)
        for page in pages or PAGES:
            folder = Path(scratch) / page
            shutil.copytree(first, folder, symlinks=True)
            good &= follow(ROOT / "docs" / f"{page}.md", folder, environment, used)
    unused = set() if pages else {*TABLES} - used
    for row in sorted(unused):
        click.echo(f"no page has a command that begins like this row of the tables: {row}")
    sys.exit(bool(unused) or not good)


if __name__ == "__main__":
    main()
