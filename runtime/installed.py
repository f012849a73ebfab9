"""Versions of what is installed beside us."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed_version(*distributions: str) -> str | None:
    """Return the version of the first of some distributions that is installed; None where none is.

    Args:
        distributions: that bring the same library, the likeliest first.
    """
    for distribution in distributions:
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None
