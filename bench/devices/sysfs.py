"""Files under /proc and /sys: read if they are there and may be read, and never guessed."""

from __future__ import annotations

from pathlib import Path

NOT_AVAILABLE = "not available"


def text(path: Path) -> str:
    """Return a file's text without blanks and the zero byte that ends it, or "" where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n\t")
    except OSError:
        # A sensor that is switched off is there, and answers with an error.
        return ""


def number(path: Path) -> int | None:
    """Return the whole number that a file begins with, such as `32760` of `32760 ma`, or None."""
    words = text(path).split()
    try:
        return int(words[0]) if words else None
    except ValueError:
        return None


def first_line(path: Path) -> str:
    """Return a file's first line, or `NOT_AVAILABLE`."""
    lines = text(path).splitlines()
    return lines[0].strip() if lines else NOT_AVAILABLE


def kibibytes(path: Path, name: str) -> int | None:
    """Return the bytes of a `name: 1234 kB` line of a file, or None."""
    words = field(path, name).split()
    return int(words[0]) * 1024 if words[0].isdigit() and words[1:] == ["kB"] else None


def field(path: Path, name: str) -> str:
    """Return the value of the first `name : value` line of a file, or `NOT_AVAILABLE`."""
    for line in text(path).splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name and value.strip():
            return value.strip()
    return NOT_AVAILABLE
