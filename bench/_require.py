"""Checks of the fields of a stored result, each with an error of one line."""

from __future__ import annotations

from typing import Any

from osnet_edge.runtime.errors import InputError


def require(condition: bool, expected: str, value: Any) -> None:
    """Raise an `InputError` that names what was expected and what was found, unless `condition` holds."""
    if not condition:
        shown = str(value)[:80]
        raise InputError(f"expected {expected}, but got {shown}; was the file changed by hand?")
