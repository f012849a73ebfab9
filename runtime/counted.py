"""Counts in words: `1 image`, `2,000 images`."""

from __future__ import annotations

_PLURALS = {
    "box": "boxes",
    "person": "people",
    "identity": "identities",
    "query": "queries",
    "launch": "launches",
    "identity switch": "identity switches",
}


def counted(count: int, what: str) -> str:
    """Return a number with what it counts, which is named in the singular.

    Example:
        >>> counted(1, "image"), counted(2000, "image"), counted(0, "gallery image"), counted(3, "person")
        ('1 image', '2,000 images', '0 gallery images', '3 people')
    """
    return f"{count:,} {what if count == 1 else _PLURALS.get(what, f'{what}s')}"
