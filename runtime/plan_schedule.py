"""What a TensorRT-RTX plan will launch, counted from the schedule that it carries as text.

Layout: observed on plans of TensorRT-RTX 1.7.1. Among its binary parts a plan holds the program of the whole
network, from the line `main {` to the next line `}`, with a line for each step:

    corrltn={ name="/conv1" ... stream=0 ... }

The programs of its fused steps follow, each a `main` of its own, and are not counted again. Copies of
numbers and memory resets that a free batch size brings stand outside, and are not counted either.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from osnet_edge.runtime.errors import InputError

_BEGIN, _END = b"\nmain {\n", b"\n}\n"
_STEP = re.compile(rb"^ *(\w+)=\{(.*)$", re.MULTILINE)
_QUOTED = re.compile(rb'"[^"]*"')
_STREAM = re.compile(rb"\bstream=(\d+)\b")

#: Steps that launch nothing on the GPU's own account.
_EVENTS = ("signal", "wait")
_HOST = ("shape_call",)


@dataclass(frozen=True)
class PlanSchedule:
    """Steps of one run of a plan, by kind.

    Attributes:
        launches: kernels in all, those below and of any other kind.
        convolutions: convolutions by library kernels, with what is fused into their ends.
        generated: kernels that were generated for this plan: norms, means, gates, sums and what fused.
        fused: convolutions or matrix products that are compiled where the plan runs, with their neighbours.
        matrix_products: matrix products by library kernels.
        pools: maximum and average pools.
        events: signals and waits by which streams keep order.
        streams: how many streams launch something.
    """

    launches: int
    convolutions: int
    generated: int
    fused: int
    matrix_products: int
    pools: int
    events: int
    streams: int

    def __str__(self) -> str:
        """Say it as a person would."""
        return (
            f"{self.launches} launches ({self.convolutions} convolutions, {self.generated} generated, "
            f"{self.fused} fused, {self.matrix_products} matrix products, {self.pools} pools), "
            f"{self.events} events on {self.streams} streams"
        )


def read_plan_schedule(plan: Path | str | bytes) -> PlanSchedule | None:
    """Count the steps of a plan.

    Args:
        plan: the file, or all of its bytes; see `osnet_edge.runtime.plan.read_plan_header` for whether it is
            a plan, and whole.

    Returns:
        The counts, or None where there is no such text, as in every plan of full TensorRT.

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
    for step in _STEP.finditer(program):
        kind = step[1].decode("ascii", "replace")
        kinds[kind] += 1
        # Names of tensors are quoted, and may say anything.
        if kind not in (*_EVENTS, *_HOST) and (stream := _STREAM.search(_QUOTED.sub(b"", step[2]))):
            streams.add(stream[1])
    launches = kinds.total() - sum(kinds[kind] for kind in (*_EVENTS, *_HOST))
    if not launches:
        return None
    return PlanSchedule(
        launches=launches,
        convolutions=kinds["corrltn"],
        generated=kinds["function"] + kinds["runtime_function"],
        fused=kinds["runtime_fusion"],
        matrix_products=kinds["fully_connected"],
        pools=kinds["maxpool"] + kinds["avgpool"],
        events=sum(kinds[kind] for kind in _EVENTS),
        streams=len(streams),
    )
