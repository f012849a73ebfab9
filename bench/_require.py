"""What the fields of a stored result must be, said in one line where they are not."""

from __future__ import annotations

from typing import Any

from osnet_edge.runtime.errors import InputError


def require(condition: bool, wanted: str, value: Any) -> None:
    """Raise an `InputError` that names what was wanted and what came, unless `condition` holds."""
    if not condition:
        shown = str(value)[:80]
        raise InputError(f"expected {wanted}, but got {shown}; was the file changed by hand?")
