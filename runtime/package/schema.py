"""JSON to frozen dataclasses and back: the dataclass is the schema, and every mismatch names its place."""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
import types
import typing
from typing import Any, TypeVar

from osnet_edge.runtime.errors import InputError

T = TypeVar("T")


def from_json(kind: type[T], value: Any, where: str) -> T:
    """Build the dataclass `kind` from parsed JSON, checking every field's type.

    Args:
        kind: a dataclass whose fields are str, int, float, bool, `Literal`, `X | None`, `tuple[X, ...]`,
            `tuple[X, Y]`, `dict[str, X]` or further such dataclasses.
        value: what `json.loads` gave.
        where: how the user knows the document, for the message, such as `manifest.json`.

    Raises:
        InputError: a field is missing, unknown or of another type; the message names it.
    """
    result: T = _parse(kind, value, where)
    return result


def parse_json(text: str | bytes, where: str, advice: str) -> Any:
    """Parse JSON of whatever origin.

    Args:
        text: the document.
        where: as for `from_json`.
        advice: what to do where it is none, for the message.

    Raises:
        InputError: it is no JSON.
    """
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        # No text at all, bad UTF-8 or bad JSON, and depth without end.
        raise InputError(f"{where} is not JSON ({error}); {advice}") from None


def parse_document(kind: type[T], text: str | bytes, where: str, version: int | None, advice: str) -> T:
    """Parse one of our documents.

    Args:
        kind: as for `from_json`.
        text: the document.
        where: as for `from_json`.
        version: the `schema_version` that `kind` is; None where the document has no such field.
        advice: what to do where it is another or none, for the message.

    Raises:
        InputError: it is no JSON, of another version, or does not fit `kind`.
    """
    document = parse_json(text, where, advice)
    found = document.get("schema_version") if isinstance(document, dict) else None
    # Told before its fields are looked at: another version has others.
    if version is not None and found != version:
        raise InputError(
            f"{where}: expected schema_version {version}, got {found!r}; {advice}, or install the osnet-edge "
            "that wrote it"
        )
    return from_json(kind, document, where)


def to_json(value: Any) -> Any:
    """Turn a dataclass into what `json.dumps` takes; tuples become lists, and fields keep their order."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return value


def _parse(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _parse_dataclass(kind, value, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise _mismatch(where, " or ".join(repr(choice) for choice in arguments), value)
        return value
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        return _parse(next(choice for choice in arguments if choice is not type(None)), value, where)
    if origin is tuple:
        return _parse_tuple(arguments, value, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise _mismatch(where, "an object", value)
        return {
            _parse_scalar(str, key, where): _parse(arguments[1], item, f"{where}.{key}")
            for key, item in value.items()
        }
    return _parse_scalar(kind, value, where)


def _parse_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _mismatch(where, "an object", value)
    hints = _hints(kind)
    if unknown := sorted(set(value) - set(hints)):
        raise InputError(f"{where}: unknown field {unknown[0]!r}; expected only {', '.join(hints)}")
    parsed = {}
    for field in dataclasses.fields(kind):
        if field.name in value:
            parsed[field.name] = _parse(hints[field.name], value[field.name], f"{where}.{field.name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise InputError(f"{where}: the field {field.name!r} is missing")
    try:
        return kind(**parsed)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    """Return the types of a dataclass's fields; they are texts until they are looked up, which takes time."""
    return typing.get_type_hints(kind)


def _parse_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _mismatch(where, "a list", value)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    if len(value) != len(arguments):
        raise _mismatch(where, f"a list of {len(arguments)}", value)
    return tuple(
        _parse(item_kind, item, f"{where}[{index}]")
        for index, (item_kind, item) in enumerate(zip(arguments, value, strict=True))
    )


_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def _parse_scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        # JSON writes whole numbers without a point; Python reads NaN and Infinity, which JSON does not have.
        if not abs(value) <= sys.float_info.max:
            raise _mismatch(where, "a finite number", value)
        return float(value)
    # bool is an int in Python, but not in JSON.
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise _mismatch(where, _NAMES[kind], value)
    if kind is str and not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
        # JSON can spell half a character, which no file can be written with again.
        raise _mismatch(where, "text of whole characters", value)
    return value


def _mismatch(where: str, expected: str, value: Any) -> InputError:
    try:
        shown = repr(value)
    except (RecursionError, ValueError):
        # Nested deeper, or a number longer, than Python shows.
        shown = type(value).__name__
    return InputError(f"{where}: expected {expected}, got {shown if len(shown) < 60 else shown[:57] + '...'}")
