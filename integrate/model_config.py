"""Triton's `config.pbtxt`, in protobuf's text format.

Protobuf's own parser needs Triton's schema, and without it stops at lists of messages that it does not know;
Triton's client has the schema, and wants a protobuf that onnx does not. The format itself is small.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from osnet_edge.runtime.errors import InputError

#: Fields in their order; a field that repeats stands several times, and a list is a list.
Message = list[tuple[str, Any]]

_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<token>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|-\s*[\w.+-]+|[\w.+-]+|[{}<>\[\]:,;])"""
)
_CLOSES = {"{": "}", "<": ">"}


@dataclass(frozen=True)
class TensorConfig:
    """A message `input` or `output`; empty where it says nothing, and the server asks the graph.

    Attributes:
        name: of the tensor.
        data_type: name of its type, such as TYPE_UINT8.
        dims: as the graph has them, which is behind a `reshape`, if there is one.
    """

    name: str
    data_type: str
    dims: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ModelConfig:
    """What stands in a `config.pbtxt`.

    Attributes:
        message: its fields; scalars as they are written, with the quotes of texts.
    """

    message: Message

    def tensors(self, name: str) -> list[TensorConfig]:
        """Return the messages `input` or `output`.

        Raises:
            InputError: a number or text in one is none.
        """
        return [
            TensorConfig(
                name=_text(each, "name"),
                data_type=_text(each, "data_type"),
                dims=_numbers(next(iter(_messages(each, "reshape")), []), "shape") or _numbers(each, "dims"),
            )
            for each in _messages(self.message, name)
        ]

    @property
    def max_batch_size(self) -> int:
        """Images at once; 0 where dims hold the batch."""
        return (*_numbers(self.message, "max_batch_size"), 0)[0]

    @property
    def file(self) -> str:
        """Name of the model's file in the folder of its version; empty where the backend's default holds."""
        return _text(self.message, "default_model_filename")

    @property
    def is_ensemble(self) -> bool:
        """Whether it joins other models, and has no graph of its own."""
        return _text(self.message, "platform") == "ensemble" or bool(
            _messages(self.message, "ensemble_scheduling")
        )

    def replace(self, changes: Mapping[str, Any]) -> str:
        """Return the text with values replaced, by keys such as `input.dims`, of the first input."""
        message = self.message
        for key, value in changes.items():
            written = [str(each) for each in value] if isinstance(value, list) else str(value)
            if key.endswith("name"):
                written = json.dumps(value, ensure_ascii=False)
            message = _set(message, key.split("."), written)
        return "\n".join(_lines(message)) + "\n"


def parse_model_config(text: str, where: str) -> ModelConfig:
    """Read a `config.pbtxt`.

    Raises:
        InputError: it is no such text.
    """
    try:
        return ModelConfig(_message(_tokens(text), ""))
    except RecursionError:
        reason = "its brackets are too deep"
    except ValueError as error:
        reason = str(error)
    raise InputError(f"{where} is no configuration of Triton: {reason}; mend that first")


def _tokens(text: str) -> Iterator[str]:
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            line = text.count("\n", 0, place) + 1
            raise ValueError(f"line {line} has {text[place]!r}, which means nothing there")
        place = found.end()
        if found["token"]:
            yield re.sub(r"^-\s+", "-", found["token"])


def _next(tokens: Iterator[str]) -> str:
    for token in tokens:
        return token
    raise ValueError("it ends in the middle")


def _message(tokens: Iterator[str], end: str) -> Message:
    """Read fields up to the token that ends them, or to the end of the text where that is empty."""
    fields: Message = []
    for name in tokens:
        if name == end:
            return fields
        if name in ",;":
            continue
        if name[0] in "\"'" and fields and _is_text(fields[-1][1]):
            # Texts that follow each other are one.
            fields[-1] = (fields[-1][0], f"{fields[-1][1]} {name}")
            continue
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ValueError(f"expected the name of a field, got {name}")
        mark = _next(tokens)
        if mark != ":" and mark not in _CLOSES and mark != "[":
            raise ValueError(f"expected a colon or a bracket behind {name}, got {mark}")
        fields.append((name, _value(_next(tokens) if mark == ":" else mark, tokens)))
    if end:
        raise ValueError("it ends in the middle")
    return fields


def _value(mark: str, tokens: Iterator[str]) -> Any:
    if mark in _CLOSES:
        return _message(tokens, _CLOSES[mark])
    if mark == "[":
        values = []
        while (each := _next(tokens)) != "]":
            if each != ",":
                values.append(_value(each, tokens))
        return values
    if mark in "}>]:,;":
        raise ValueError(f"expected a value, got {mark}")
    return mark


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value[:1] in ("'", '"')


def _messages(message: Message, name: str) -> list[Message]:
    """Return the messages of a field, of which a list holds several."""
    found: list[Message] = []
    for value in (value for key, value in message if key == name and isinstance(value, list)):
        # A message is a list of pairs, and a list one of messages.
        is_message = all(isinstance(each, tuple) for each in value)
        found += [value] if is_message else [each for each in value if isinstance(each, list)]
    return found


def _text(message: Message, name: str) -> str:
    """Return a text, or the name of a value; empty if there is none."""
    value = next((value for key, value in message if key == name), "")
    if not _is_text(value):
        return value if isinstance(value, str) else ""
    try:
        return str(ast.literal_eval(value))
    except (SyntaxError, ValueError):
        raise InputError(f"expected a text in {name}, got {value[:60]}") from None


def _numbers(message: Message, name: str) -> tuple[int, ...]:
    found: list[Any] = []
    for value in (value for key, value in message if key == name):
        found += value if isinstance(value, list) else [value]
    try:
        # Octal is spelled 010 there, and 0o10 in Python.
        return tuple(int(re.sub(r"^(-?)\s*0(?=\d)", r"\g<1>0o", each), 0) for each in found)
    except (TypeError, ValueError):
        raise InputError(f"expected whole numbers in {name}, got {found!r:.60}") from None


def _set(message: Message, names: list[str], value: Any) -> Message:
    """Return a message with one value replaced, in the first message of each name on the way to it."""
    name, *deeper = names
    if deeper:
        first, *others = _messages(message, name) or [[]]
        # New dimensions are the graph's own, and need no reshape.
        first = [pair for pair in first if deeper != ["dims"] or pair[0] != "reshape"]
        value = [_set(first, deeper, value), *others]
    fields = [(name, value) if key == name else (key, old) for key, old in message]
    if (name, value) not in fields:
        return [*fields, (name, value)]
    # A field that repeats is one list now.
    place = fields.index((name, value))
    return [each for number, each in enumerate(fields) if each[0] != name or number == place]


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
