"""Triton's `config.pbtxt`, in protobuf's text format.

Protobuf's own parser needs Triton's schema, and without it stops at lists of messages that it does not know;
Triton's client has the schema, and wants a protobuf that onnx does not. The format itself is small.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from osnet_edge.runtime.errors import InputError

#: Fields in their order; a field that repeats stands several times, and a list is a list.
Message = list[tuple[str, Any]]

_TOKEN = re.compile(r"""\s+|\#[^\n]*|(?P<token>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[\w.+-]+|[{}<>\[\]:,;])""")
_CLOSES = {"{": "}", "<": ">"}


@dataclass(frozen=True, eq=False)
class ModelConfig:
    """What stands in a `config.pbtxt`.

    Attributes:
        message: its fields; scalars as they are written, with the quotes of texts.
    """

    message: Message

    @property
    def input_name(self) -> str:
        """Of the first input; empty if there is none."""
        return _text(_first(self.message, "input"), "name")

    @property
    def output_name(self) -> str:
        """Of the first output; empty if there is none."""
        return _text(_first(self.message, "output"), "name")

    @property
    def input_dims(self) -> tuple[int, ...]:
        """Of one image."""
        return _numbers(_first(self.message, "input"), "dims")

    @property
    def output_dims(self) -> tuple[int, ...]:
        """Of one embedding."""
        return _numbers(_first(self.message, "output"), "dims")

    @property
    def input_type(self) -> str:
        """Name of the input's type, such as TYPE_UINT8."""
        return _text(_first(self.message, "input"), "data_type")

    @property
    def max_batch_size(self) -> int:
        """Images at once; 0 where dims hold the batch."""
        return (*_numbers(self.message, "max_batch_size"), 0)[0]

    @property
    def file(self) -> str:
        """Name of the model's file in the folder of its version; empty where the backend's default holds."""
        return _text(self.message, "default_model_filename")

    def replace(self, changes: Mapping[str, Any]) -> str:
        """Return the text with values replaced, by keys such as `input.dims`, of the first input."""
        message = self.message
        for key, value in changes.items():
            written = [str(each) for each in value] if isinstance(value, list) else str(value)
            if key.endswith("name"):
                written = f'"{value}"'
            message = _set(message, key.split("."), written)
        return "\n".join(_lines(message)) + "\n"


def parse_model_config(text: str, where: str) -> ModelConfig:
    """Read a `config.pbtxt`.

    Raises:
        InputError: it is no such text.
    """
    try:
        return ModelConfig(_message(_tokens(text), ""))
    except (StopIteration, RuntimeError, ValueError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it ends in the middle"
        raise InputError(f"{where} is no configuration of Triton: {reason}; mend that first") from None


def _tokens(text: str) -> Iterator[str]:
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            line = text.count("\n", 0, place) + 1
            raise ValueError(f"line {line} has {text[place]!r}, which means nothing there")
        place = found.end()
        if found["token"]:
            yield found["token"]


def _message(tokens: Iterator[str], end: str) -> Message:
    """Read fields up to the token that ends them, or to the end of the text where that is empty."""
    fields: Message = []
    for name in tokens:
        if name == end:
            return fields
        if name in ",;":
            continue
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ValueError(f"expected the name of a field, got {name}")
        mark = next(tokens)
        if mark != ":" and mark not in _CLOSES and mark != "[":
            raise ValueError(f"expected a colon or a bracket behind {name}, got {mark}")
        fields.append((name, _value(next(tokens) if mark == ":" else mark, tokens)))
    if end:
        raise StopIteration
    return fields


def _value(mark: str, tokens: Iterator[str]) -> Any:
    if mark in _CLOSES:
        return _message(tokens, _CLOSES[mark])
    if mark == "[":
        return [_value(each, tokens) for each in iter(lambda: next(tokens), "]") if each != ","]
    if mark in "}>]:,;":
        raise ValueError(f"expected a value, got {mark}")
    return mark


def _first(message: Message, name: str) -> Message:
    """Return the first message of a field; empty if there is none."""
    values = [value for key, value in message if key == name]
    # A list of messages is a list of lists, and a message one of pairs.
    for value in values:
        if isinstance(value, list) and value:
            return value[0] if isinstance(value[0], list) else value
    return []


def _text(message: Message, name: str) -> str:
    return next((str(value).strip("\"'") for key, value in message if key == name), "")


def _numbers(message: Message, name: str) -> tuple[int, ...]:
    found: list[str] = []
    for key, value in message:
        if key == name:
            found += value if isinstance(value, list) else [value]
    return tuple(int(each) for each in found)


def _set(message: Message, names: list[str], value: Any) -> Message:
    """Return a message with one value replaced, in the first message of each name on the way to it."""
    name, *deeper = names
    if deeper:
        value = _set(_first(message, name), deeper, value)
        others = [each for key, each in message if key == name]
        rest = others[0][1:] if others and others[0] and isinstance(others[0][0], list) else []
        value = [value, *rest]
    places = [place for place, (key, _) in enumerate(message) if key == name]
    if not places:
        return [*message, (name, value)]
    kept = [each for place, each in enumerate(message) if place not in places[1:] or deeper]
    return [(key, value) if place == places[0] else (key, old) for place, (key, old) in enumerate(kept)]


def _lines(message: Message, indent: str = "") -> Iterator[str]:
    """Write fields, one a line."""
    for name, value in message:
        if not isinstance(value, list):
            yield f"{indent}{name}: {value}"
        elif value and isinstance(value[0], str):
            yield f"{indent}{name}: [ {', '.join(value)} ]"
        elif value and isinstance(value[0], list):
            yield f"{indent}{name} ["
            for place, each in enumerate(value):
                yield f"{indent}  {{"
                yield from _lines(each, f"{indent}    ")
                yield f"{indent}  }}{',' if place + 1 < len(value) else ''}"
            yield f"{indent}]"
        else:
            yield f"{indent}{name} {{"
            yield from _lines(value, f"{indent}  ")
            yield f"{indent}}}"
