"""Commands of a document and what it shows of their output, read from its indented blocks."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
_BLOCK = re.compile(r"(?:^ {4}.*\n|^\n(?= {4}))+", re.MULTILINE)
#: `$`, or `camera$` where a document has several machines.
_PROMPT = re.compile(r"^ {4}([\w-]*)\$ +", re.MULTILINE)
_NUMBER = re.compile(r"[-+±]?\d[\d,.]*(?:e-?\d+)?|\b[0-9a-f]{12}\b")


@dataclass(frozen=True)
class Step:
    """A command as it is written.

    Attributes:
        machine: the word before the `$`; empty where there is none.
        command: on one line.
        shown: the lines below it.
    """

    machine: str
    command: str
    shown: tuple[str, ...]


def blocks(text: str) -> Iterator[str | list[Step]]:
    """Yield each indented block: its steps, or its text where it has none."""
    for found in _BLOCK.findall(re.sub(r" *\\\n\s*", " ", text)):
        before, *parts = _PROMPT.split(found)
        if not parts:
            yield found
            continue
        if before.strip():
            raise ValueError(f"expected a command, found {before.strip()!r}")
        steps = []
        for machine, part in zip(parts[::2], parts[1::2], strict=True):
            command, *shown = part.rstrip().split("\n")
            steps.append(Step(machine, command, tuple(line.strip() for line in shown if line.strip())))
        yield steps


def steps(text: str) -> Iterator[Step]:
    """Yield all commands of a document."""
    for block in blocks(text):
        if not isinstance(block, str):
            yield from block


def shape(line: str) -> str:
    """Return a line with every number, run of spaces and rule made one sign."""
    return re.sub(r"\s+", " ", re.sub(r"-{3,}", "-", _NUMBER.sub("0", line))).strip()


def missing_from(printed: list[str], shown: tuple[str, ...]) -> str | None:
    """Return the first shown line that is not printed in this order; None if all are."""
    rest = iter(shape(line) for line in printed)
    for line in shown:
        wanted = shape(line.removesuffix("..."))
        if wanted and not any(found.startswith(wanted) for found in rest):
            return line
    return None


def begin_tour(folder: Path, weights: Path, data: Path) -> dict[str, str]:
    """Put what README's tour begins with into a folder; return the environment of its commands."""
    shutil.copy(weights / "osnet_x0_25_msmt17.pth", folder)
    crops = folder / "crops"
    crops.mkdir()
    for picture in sorted((data / "viper/query").iterdir())[:120]:
        shutil.copy(picture, crops)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "OSNET_EDGE_DATA": str(data.resolve()), "PATH": path}
