"""Names that a package hands on, each imported when it is asked for.

So `import osnet_edge` costs milliseconds, and a library that is missing is missed only by what needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def hand_on(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package.

    Args:
        package: its name, as its `__name__`.
        homes: the module of each public name, from the package on: `embedder` for
            `osnet_edge.runtime.embedder`.

    Example:
        >>> find, names = hand_on("json", {"JSONDecoder": "decoder"})
        >>> find("JSONDecoder").__module__, "JSONDecoder" in names()
        ('json.decoder', True)
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    def names() -> list[str]:
        return sorted({*vars(import_module(package)), *homes})

    return find, names
