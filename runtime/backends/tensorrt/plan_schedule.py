"""The kernel launches of a TensorRT-RTX plan, counted from the schedule that the plan contains as text.

Layout: observed on plans of TensorRT-RTX 1.7.1. Among its binary parts a plan holds the program of the whole
network, from the line `main {` to the next line `}`, with a line for each step:

    corrltn={ name="/conv1" ... stream=0 ... }

The programs of its fused steps follow, each with its own `main`; they are not counted again. Copies of
numbers and memory resets that a dynamic batch size needs are outside of it, and are not counted either.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import InputError

_BEGIN, _END = b"\nmain {\n", b"\n}\n"
_STEP = re.compile(rb"^ *(\w+)=\{(.*)$", re.MULTILINE)
_QUOTED = re.compile(rb'"[^"]*"')
_STREAM = re.compile(rb"\bstream=(\d+)\b")
_NAME = re.compile(rb"\bname=_{0,2}myl_(\w+)")
_LAYERS = re.compile(rb'\blayers="([^"]*)"')
#: A generated kernel's name lists its operations, four letters each; these only move data.
_MOVES = re.compile(rb"(?:Cast|Conc|Copy|Move|Repl|Resh|Slic|Tran)+")
#: Parts of the network by the names of the paper's table 1, as the exporter gives them to nodes.
_BLOCK, _HEAD = re.compile(rb"/(conv[2-4]\.\d+)/"), re.compile(rb"/(?:conv5|fc|Flatten|GlobalAveragePool)")
_STEM = re.compile(rb"/(?:conv1|maxpool)/")

#: Steps that launch no kernel.
_EVENTS = ("signal", "wait")
_HOST = ("shape_call",)


@dataclass(frozen=True)
class PlanPart:
    """The launches of one part of the network.

    Attributes:
        name: `stem`, a part such as `conv2.0`, `head`, or `other` for steps that name no layer of these.
        launches: all kernels.
        copies: those of them that only move data.
    """

    name: str
    launches: int
    copies: int


@dataclass(frozen=True)
class PlanSchedule:
    """Steps of one run of a plan, by kind.

    Attributes:
        launches: all kernels, those below and of any other kind.
        convolutions: convolutions by library kernels, with the operations fused into them.
        generated: kernels that were generated for this plan: norms, means, gates, sums and fused operations.
        fused: convolutions or matrix products that are compiled on the machine that runs the plan, together
            with their neighbours.
        matrix_products: matrix products by library kernels.
        pools: maximum and average pools.
        copies: steps that only move data: copies, and generated kernels of casts, slices,
            transpositions and the like.
        events: signals and waits that order the streams.
        streams: how many streams launch something.
        parts: launches of each part of the network, in order of their first launch.
    """

    launches: int
    convolutions: int
    generated: int
    fused: int
    matrix_products: int
    pools: int
    copies: int
    events: int
    streams: int
    parts: tuple[PlanPart, ...] = ()

    def __str__(self) -> str:
        """Return the text for messages."""
        return (
            f"{counted(self.launches, 'launch')} ({self.convolutions} convolutions, "
            f"{self.generated} generated, {self.fused} fused, {self.matrix_products} matrix products, "
            f"{self.pools} pools; {self.copies} of them only move), "
            f"{counted(self.events, 'event')} on {counted(self.streams, 'stream')}"
        )


def read_plan_schedule(plan: Path | str | bytes) -> PlanSchedule | None:
    """Count the steps of a plan.

    Args:
        plan: the file, or all of its bytes; see
            `osnet_edge.runtime.backends.tensorrt.plan_file.read_plan_header` for whether it is a plan, and
            whole.

    Returns:
        The counts, or None if the plan has no such text, as every plan of full TensorRT.

    Raises:
        InputError: the file cannot be read.
    """
    content = plan if isinstance(plan, bytes) else _read(Path(plan))
    begin = content.find(_BEGIN)
    end = content.find(_END, begin + len(_BEGIN) - 1) if begin >= 0 else -1
    return _count(content[begin + len(_BEGIN) : end]) if end >= 0 else None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the plan {path}: {error.strerror or error}") from None


def _count(program: bytes) -> PlanSchedule | None:
    kinds: Counter[str] = Counter()
    streams: set[bytes] = set()
    parts: Counter[str] = Counter()
    copies: Counter[str] = Counter()
    for step in _STEP.finditer(program):
        kind = step[1].decode("ascii", "replace")
        kinds[kind] += 1
        if kind in (*_EVENTS, *_HOST):
            continue
        # Names of tensors are quoted, and may contain anything.
        if stream := _STREAM.search(_QUOTED.sub(b"", step[2])):
            streams.add(stream[1])
        part = _part(step[2])
        parts[part] += 1
        name = _NAME.search(step[2])
        copies[part] += kind == "copy" or bool(name and _MOVES.fullmatch(_operations(name[1])))
    if not parts:
        return None
    return PlanSchedule(
        launches=parts.total(),
        convolutions=kinds["corrltn"],
        generated=kinds["function"] + kinds["runtime_function"],
        fused=kinds["runtime_fusion"],
        matrix_products=kinds["fully_connected"],
        pools=kinds["maxpool"] + kinds["avgpool"],
        copies=copies.total(),
        events=sum(kinds[kind] for kind in _EVENTS),
        streams=len(streams),
        parts=tuple(PlanPart(part, count, copies[part]) for part, count in parts.items()),
    )


def _operations(name: bytes) -> bytes:
    """Return a kernel's name without its number."""
    return name.split(b"_")[0]


def _part(step: bytes) -> str:
    """Return the part of the network whose layers a step computes; if there are two, the first one named."""
    named = _LAYERS.search(step)
    layers = named[1] if named else b""
    if block := _BLOCK.search(layers):
        return block[1].decode()
    if _HEAD.search(layers):
        return "head"
    return "stem" if _STEM.search(layers) else "other"
