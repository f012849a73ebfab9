"""Recipes as TOML: the shipped ones by name, a user's by path; changed field by field, and written back."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.schema import from_json, to_json
from osnet_edge.train.recipe import Recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_SUFFIX = ".toml"


def shipped_recipes() -> dict[str, Recipe]:
    """Return the recipes that come with osnet-edge, by name."""
    folder = files("osnet_edge.train") / "recipes"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(_SUFFIX))
    return {name.removesuffix(_SUFFIX): read_recipe(name.removesuffix(_SUFFIX)) for name in names}


def read_recipe(name: str, changes: Iterable[str] = ()) -> Recipe:
    """Read a recipe and change it.

    Args:
        name: of a shipped recipe, or path of a `.toml` file.
        changes: texts such as `optimizer.learning_rate=0.001`, the value spelt as in TOML; quotes around text
            may be left out.

    Raises:
        InputError: there is no such recipe, it is no TOML, or a field is unknown or of another type.

    Example:
        >>> read_recipe("finetune_x0_25", ["batches.epochs=5"]).batches.epochs
        5
    """
    document, where = _read(name)
    for change in changes:
        _apply(document, change)
    return from_json(Recipe, document, where)


def dump_recipe(recipe: Recipe) -> str:
    """Return the TOML text from which `read_recipe` gives the same recipe."""
    import tomli_w

    return tomli_w.dumps(to_json(recipe))


def _read(name: str) -> tuple[dict[str, Any], str]:
    shipped = files("osnet_edge.train") / "recipes"
    if name.endswith(_SUFFIX):
        path = Path(name)
        if not path.is_file():
            raise InputError(f"expected a recipe file, found nothing at {name}; {_choices()}")
        content = path.read_bytes()
    elif (shipped / f"{name}{_SUFFIX}").is_file() and name.isidentifier():
        content = (shipped / f"{name}{_SUFFIX}").read_bytes()
    else:
        raise InputError(f"there is no recipe {name!r}; {_choices()}")
    try:
        return tomllib.loads(content.decode("utf-8")), name
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{name} is not TOML ({error}); see the shipped recipes for how one looks") from None


def _choices() -> str:
    folder = files("osnet_edge.train") / "recipes"
    names = sorted(
        item.name.removesuffix(_SUFFIX) for item in folder.iterdir() if item.name.endswith(_SUFFIX)
    )
    return f"give a .toml file or one of {', '.join(names)}"


def _apply(document: dict[str, Any], change: str) -> None:
    """Set one field; text that is no TOML value is taken as text, so that quotes may be left out."""
    key, equals, text = change.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(part.isidentifier() for part in parts):
        raise InputError(f"expected a change such as optimizer.learning_rate=0.001, got {change!r}")
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        value = text.strip()
    table = document
    for part in parts[:-1]:
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            raise InputError(
                f"expected a change such as optimizer.learning_rate=0.001, but {part} is no section"
            )
        table = inner
    table[parts[-1]] = value
