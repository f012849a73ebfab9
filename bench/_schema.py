"""Dataclasses to JSON and back, checked field by field against their own type hints."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from osnet_edge.runtime.errors import InputError

T = TypeVar("T")
_SCALARS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}


def encode(value: Any) -> Any:
    """Return `value`, made of dataclasses, mappings, tuples and scalars, as plain JSON values."""
    if is_dataclass(value):
        return {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    return value


def decode(kind: type[T], value: Any, where: str) -> T:
    """Return `value`, plain JSON values, as the dataclass `kind`.

    Args:
        kind: a dataclass whose fields are scalars, `X | None`, tuples of one type, mappings from text, or
            such dataclasses. Every field must be there, and no other.
        value: what `json.loads` gave.
        where: how to call this value in a message.

    Raises:
        InputError: the value is not of that type; the message gives its place.
    """
    if not isinstance(value, dict):
        raise _unexpected(where, "an object", value)
    hints = typing.get_type_hints(kind)
    if set(value) != set(hints):
        missing, unknown = sorted(set(hints) - set(value)), sorted(set(value) - set(hints))
        raise InputError(
            f"expected {where} to have its fields, but {', '.join(missing) or 'none'} are missing and "
            f"{', '.join(unknown) or 'none'} are unknown; write the file anew with this version"
        )
    return kind(**{name: _decode_any(hint, value[name], f"{where}.{name}") for name, hint in hints.items()})


def _decode_any(hint: Any, value: Any, where: str) -> Any:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        (present,) = (each for each in inner if each is not type(None))
        return None if value is None else _decode_any(present, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise _unexpected(where, "a list", value)
        return tuple(_decode_any(inner[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise _unexpected(where, "an object", value)
        return {key: _decode_any(inner[1], item, f"{where}.{key}") for key, item in value.items()}
    if is_dataclass(hint):
        return decode(typing.cast(type, hint), value, where)
    return _decode_scalar(hint, value, where)


def _decode_scalar(hint: type, value: Any, where: str) -> Any:
    # JSON writes 1.0 as 1 in many hands, and Python counts True as an integer.
    if hint is float and type(value) is int:
        value = float(value) if abs(value) < 2**1023 else math.inf
    if type(value) is not hint:
        raise _unexpected(where, _SCALARS[hint], value)
    if isinstance(value, float) and not math.isfinite(value):
        raise _unexpected(where, "a finite number", value)
    return value


def _unexpected(where: str, wanted: str, value: Any) -> InputError:
    shown = repr(value)[:60]
    return InputError(f"expected {where} to be {wanted}, but it is {shown}; was the file changed by hand?")
