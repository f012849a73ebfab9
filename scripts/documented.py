"""What README and docs tell a reader to type, read from the pages, with the output shown below it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from PIL import Image

from osnet_edge.train.synthetic.video import write_video

ROOT = Path(__file__).parents[1]

#: Text indented by four spaces, with the empty lines inside it.
_BLOCK = re.compile(r"(?:^ {4}.*\n|^\n(?= {4}))+", re.MULTILINE)
#: `$ command`, or `camera$ command` where it matters who types it.
_PROMPT = re.compile(r"^([\w-]*)\$ +", re.MULTILINE)
#: First words of blocks without a prompt whose every line is typed.
_PROGRAMS = {"eval", "osnet-edge", "pip", "python", "torchrun"}
_NUMBER = re.compile(r"[-+±]?\d[\d,.]*(?:e-?\d+)?|\b[0-9a-f]{12}\b")
#: What `auto` and `cpu:fastest` choose depends on the machine.
_CHOICE = re.compile(r"\b(?:(?:onnxruntime|openvino) )?(?:fp32|fp16|bf16|int8)\b")


@dataclass(frozen=True)
class Step:
    """A command, or a Python program, with the lines that the page shows as its output.

    Attributes:
        typed: the command or program; continued lines are joined.
        shown: the output, without empty lines; nothing where the page shows none.
        host: the word before `$`, such as `camera`.
        is_python: whether it is a Python program.
    """

    typed: str
    shown: tuple[str, ...] = ()
    host: str = ""
    is_python: bool = False


def blocks(text: str) -> Iterator[str | list[Step]]:
    """Yield each indented block of a page: the steps in it, or its text if it has none.

    Raises:
        ValueError: text stands before a block's first prompt.
    """
    for found in _BLOCK.finditer(text):
        block = re.sub(r" *\\\n\s*", " ", dedent(found[0]).strip("\n"))
        if _PROMPT.search(block):
            before, *parts = _PROMPT.split(block)
            if before.strip():
                raise ValueError(f"expected a command, found {before.strip()!r}")
            yield [_step(host, part) for host, part in zip(parts[::2], parts[1::2], strict=True)]
        elif block.split()[0] in _PROGRAMS:
            yield [Step(line) for line in block.split("\n") if line]
        elif block.startswith(("import ", "from ")):
            yield [Step(block, is_python=True)]
        else:
            yield block


def _step(host: str, text: str) -> Step:
    typed, *shown = text.split("\n")
    return Step(typed, tuple(line.strip() for line in shown if line.strip()), host)


def steps(text: str) -> Iterator[Step]:
    """Yield what a page tells a reader to type, in order."""
    for block in blocks(text):
        if not isinstance(block, str):
            yield from block


def run(
    step: Step, folder: Path, environment: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess[str]:
    """Run a step in a folder, as a reader would who has activated this Python environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return subprocess.run(  # noqa: S603 - what the page says is what is typed
        ["python", "-c", step.typed] if step.is_python else ["bash", "-c", step.typed],
        cwd=folder,
        env={**environment, "PATH": path},
        capture_output=True,
        text=True,
    )


def shape(line: str) -> str:
    """Return a line with every number, precision, run of spaces and rule made one sign."""
    # bench marks ratios that were taken on a busy machine.
    line = line.rstrip().removesuffix(" busy")
    line = _NUMBER.sub("0", _CHOICE.sub("CHOICE", line))
    return re.sub(r"\s+", " ", re.sub(r"-{3,}", "-", line)).strip()


def not_as_shown(printed: str, shown: tuple[str, ...]) -> str | None:
    """Return the first shown line whose shape is not that of the next printed line; None if all agree.

    `...` stands for any lines, and at the end of a line for the rest of it.
    """
    text = "".join(f"{shape(line)}\n" for line in printed.splitlines() if line.strip())
    pattern = ""
    for line in shown:
        if line == "...":
            pattern += r"(?:.*\n)*?"
        else:
            rest = ".*" if line.endswith("...") else ""
            pattern += re.escape(shape(line.removesuffix("..."))) + rest + "\n"
        if not re.match(pattern, text):
            return line
    return None if not shown or re.fullmatch(pattern, text) else "the end: more lines are printed"


def prepare(folder: Path, weights: Path, data: Path) -> None:
    """Put what a reader has before README's tour into a new folder."""
    (folder / "crops").mkdir(parents=True)
    for checkpoint in weights.glob("*.pth"):
        # Published with rounded weights too, which changes no command.
        shutil.copy(checkpoint, folder / checkpoint.name.replace("_8bit", ""))
    images = sorted((data / "viper/query").iterdir())[:120]
    for image, name in zip(images, ("a.jpg", "b.jpg", *(path.name for path in images[2:])), strict=True):
        Image.open(image).save(folder / "crops" / name)
    Image.open(min((data / "mot17-mini").rglob("img1/*.jpg"))).save(folder / "frame.jpg")
    write_video(folder / "entrance", cameras=2, people=6, seconds=4, rate=8, size=(320, 180), seed=0)
    (folder / "scripts").symlink_to(ROOT / "scripts")
