"""Values of configurations, as people write them: quoted or not, `0` or `false`, a list or `3;256;128`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from osnet_edge.integrate.pipeline import Layout, Triple
from osnet_edge.runtime.errors import InputError, printable

_FLAGS = {
    **dict.fromkeys(("0", "false", "no", "off"), False),
    **dict.fromkeys(("1", "true", "yes", "on"), True),
}
#: No network for re-identification takes larger images, and one of them is computed to say what it costs.
LARGEST_SIDE = 4096
#: Characters of a wrong value that a message shows.
_SHOWN = 60


def number(value: Any, where: str) -> float:
    """Return a number.

    Raises:
        InputError: it is none, or not finite.
    """
    try:
        read = float(value)
    except (TypeError, ValueError, OverflowError):
        read = math.nan
    if not math.isfinite(read):
        raise _unlike("a number", where, value)
    return read


def whole(value: Any, where: str) -> int:
    """Return a whole number; of a text, what stands before a blank, as GLib reads `1 # a comment`.

    Raises:
        InputError: it is none.
    """
    read = number(_word(value), where)
    if not read.is_integer():
        raise _unlike("a whole number", where, value)
    return int(read)


def flag(value: Any, where: str) -> bool:
    """Return whether something is switched on.

    Raises:
        InputError: it is neither a word for it nor a number.
    """
    word = str(_word(value)).lower()
    return _FLAGS[word] if word in _FLAGS else whole(value, where) != 0


def choice(value: Any, known: Mapping[int, Any], where: str) -> Any:
    """Return what one of a key's numbers stands for.

    Raises:
        InputError: it stands for nothing that a re-ID network takes.
    """
    place = whole(value, where)
    if place not in known:
        choices = " or ".join(f"{each} ({what})" for each, what in known.items())
        raise InputError(f"expected {where} as {choices}, got {place}")
    return known[place]


def triple(value: Any, where: str) -> Triple:
    """Return three numbers.

    Raises:
        InputError: there are not three, or one is no number.
    """
    parts = value.strip("; \t").split(";") if isinstance(value, str) else value
    if not isinstance(parts, Sequence) or len(parts) != 3:
        raise _unlike("three numbers", where, value)
    one, two, three = (number(each, where) for each in parts)
    return one, two, three


def image_size(value: Any, layout: Layout, where: str) -> tuple[int, int]:
    """Return height and width of three dimensions, in the order of a layout.

    Raises:
        InputError: they are those of no image.
    """
    dims = [whole(each, where) for each in triple(value, where)]
    height, width = dims[1:] if layout == "NCHW" else dims[:2]
    if not 1 <= min(height, width) <= max(height, width) <= LARGEST_SIDE:
        raise _unlike(f"sides from 1 to {LARGEST_SIDE}", where, value)
    return height, width


def section(document: Mapping[Any, Any], name: str) -> Mapping[str, Any]:
    """Return the keys and values under a key; none where it is left out or empty.

    Raises:
        InputError: something else stands there.
    """
    found = document.get(name)
    if found is not None and not isinstance(found, Mapping):
        raise _unlike("keys and values", name, found)
    return found or {}


def _word(value: Any) -> Any:
    return value.split()[0] if isinstance(value, str) and value.strip() else value


def _unlike(wanted: str, where: str, value: Any) -> InputError:
    return InputError(f"expected {wanted} in {where}, got {printable(repr(value)[:_SHOWN])}")
