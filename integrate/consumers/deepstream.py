"""What DeepStream's two ways to run a network share: one scale, three offsets, and names of engine files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from osnet_edge.integrate.pipeline import Pipeline, Triple
from osnet_edge.runtime.errors import InputError

COLORS: dict[int, Any] = {0: "RGB", 1: "BGR"}
ORDERS: dict[int, Any] = {0: "NCHW", 1: "NHWC"}


def engine_name(model: str, batch: int, precision: str) -> str:
    """Return how DeepStream calls the engine that it builds of an ONNX file, so that it finds it again."""
    return f"{model}_b{batch}_gpu0_{precision}.engine"


def triple(values: Sequence[Any], where: str) -> Triple:
    """Return three numbers of a configuration.

    Raises:
        InputError: there are not three, or one is no number.
    """
    try:
        one, two, three = (float(value) for value in values)
    except (TypeError, ValueError):
        raise InputError(f"expected three numbers in {where}, got {list(values)}") from None
    return one, two, three


def number(value: Any, where: str) -> float:
    """Return a number of a configuration.

    Raises:
        InputError: it is none.
    """
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InputError(f"expected a number in {where}, got {value!r}") from None


def code(value: Any, known: dict[int, Any], where: str) -> Any:
    """Return what one of a key's numbers stands for.

    Raises:
        InputError: it stands for nothing that a re-ID network takes.
    """
    place = int(number(value, where))
    if place not in known:
        choices = " or ".join(f"{each} ({what})" for each, what in known.items())
        raise InputError(f"expected {where} as {choices}, got {value}")
    return known[place]


def one_scale(pipeline: Pipeline) -> float | None:
    """Return the scale of all channels; None where they have different ones, which no key can say."""
    return pipeline.scale[0] if len(set(pipeline.scale)) == 1 else None


def beside(named: Any, config: Path) -> Path | None:
    """Return the file that a configuration names, as named or else beside it; None if it is nowhere."""
    if not named:
        return None
    path = Path(str(named))
    places = [path, config.parent / path, config.parent / path.name]
    return next((each for each in places if each.is_file()), None)
