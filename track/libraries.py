"""The libraries of the extra `tracking`, looked for before anything imports them."""

from __future__ import annotations

from importlib.util import find_spec

from osnet_edge.runtime.errors import UnavailableError

_NEEDED = ("filterpy", "scipy", "trackeval")


def missing_libraries() -> list[str]:
    """Return those that are not installed."""
    return [name for name in _NEEDED if find_spec(name) is None]


def require_libraries() -> None:
    """Ask for all of them.

    Raises:
        UnavailableError: one is not installed.
    """
    if missing := missing_libraries():
        raise UnavailableError(
            f"tracking needs {' and '.join(missing)}, not installed here: pip install 'osnet-edge[tracking]'"
        )
