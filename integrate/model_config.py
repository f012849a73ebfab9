"""Triton's `config.pbtxt`, in protobuf's text format.

Protobuf's own parser needs Triton's schema, and without it stops at lists of messages that it does not know;
Triton's client has the schema, and wants a protobuf that onnx does not. The format itself is small, and a
field that knows where it stands can be changed with all else left as it was written, comments too.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from osnet_edge.runtime.errors import InputError

_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<token>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|-\s*[\w.+-]+|[\w.+-]+|[{}<>\[\]:,;])"""
)
_CLOSES = {"{": "}", "<": ">"}
#: A mark behind a field, and what else may stand there if a line ends.
_BEHIND = re.compile(r"(?P<mark>(?:[ \t]*[,;])?)(?P<end>[ \t]*(?:#[^\n]*)?(?:\n|\Z))?")


@dataclass(frozen=True)
class Field:
    """One field of a message.

    Attributes:
        name: of the field.
        value: a scalar as it is written, a text with its quotes; a message; or a list of either.
        start: where it begins in the text.
        end: where it ends, and a mark that separates it from the next may stand.
    """

    name: str
    value: Any
    start: int
    end: int


@dataclass(frozen=True)
class Message:
    """Fields in their order; one that repeats stands several times.

    Attributes:
        fields: of the message.
        end: where no more can follow in the text: its closing bracket, or the text's end.
    """

    fields: list[Field]
    end: int

    def named(self, name: str) -> list[Field]:
        """Return the fields of a name."""
        return [each for each in self.fields if each.name == name]

    def messages(self, name: str) -> list[Message]:
        """Return the messages of a field, of which a list holds several."""
        values = [each.value for each in self.named(name)]
        held = [each for value in values for each in (value if isinstance(value, list) else [value])]
        return [each for each in held if isinstance(each, Message)]


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
        text: as it was read.
        message: what it says.
    """

    text: str
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
                dims=_numbers(next(iter(each.messages("reshape")), Message([], 0)), "shape")
                or _numbers(each, "dims"),
            )
            for each in self.message.messages(name)
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
            self.message.messages("ensemble_scheduling")
        )

    def replace(self, changes: Mapping[str, Any]) -> str:
        """Return the text with values replaced, by keys such as `input.dims`, of the first input."""
        text = self.text
        for key, value in changes.items():
            written = f"[ {', '.join(map(str, value))} ]" if isinstance(value, list) else str(value)
            if key.endswith("name"):
                written = json.dumps(value, ensure_ascii=False)
            # Read again for each, since it moves what stands behind it.
            edits = sorted(_edits(text, _Reader(text).message(""), key.split("."), written), reverse=True)
            for start, end, new in edits:
                text = text[:start] + new + text[end:]
        return text


def parse_model_config(text: str, where: str) -> ModelConfig:
    """Read a `config.pbtxt`.

    Raises:
        InputError: it is no such text.
    """
    try:
        return ModelConfig(text, _Reader(text).message(""))
    except RecursionError:
        reason = "its brackets are too deep"
    except ValueError as error:
        reason = str(error)
    raise InputError(f"{where} is no configuration of Triton: {reason}; correct that first")


class _Reader:
    """The tokens of a text, read one by one, and where the last one stood."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._start = self._end = 0

    def _next(self) -> str:
        """Return the next token, or nothing at the end."""
        while self._end < len(self._text):
            self._start = self._end
            found = _TOKEN.match(self._text, self._start)
            if found is None:
                line = self._text.count("\n", 0, self._start) + 1
                raise ValueError(f"line {line} has {self._text[self._start]!r}, which means nothing there")
            self._end = found.end()
            if found["token"]:
                return re.sub(r"^-\s+", "-", found["token"])
        return ""

    def _more(self) -> str:
        token = self._next()
        if not token:
            raise ValueError("it ends in the middle")
        return token

    def message(self, closing: str) -> Message:
        """Read fields up to the bracket that closes them, or to the end of the text where that is empty."""
        fields = list[Field]()
        while name := self._more() if closing else self._next():
            start = self._start
            if name == closing:
                return Message(fields, start)
            if name in ",;":
                continue
            if name[0] in "\"'" and fields and _is_text(fields[-1].value):
                # Texts that follow each other are one.
                joined = f"{fields[-1].value} {name}"
                fields[-1] = replace(fields[-1], value=joined, end=self._end)
                continue
            if not re.fullmatch(r"[A-Za-z_]\w*", name):
                raise ValueError(f"expected the name of a field, got {name}")
            mark = self._more()
            if mark != ":" and mark not in _CLOSES and mark != "[":
                raise ValueError(f"expected a colon or a bracket behind {name}, got {mark}")
            value = self._value(self._more() if mark == ":" else mark)
            fields.append(Field(name, value, start, self._end))
        return Message(fields, len(self._text))

    def _value(self, mark: str) -> Any:
        if mark in _CLOSES:
            return self.message(_CLOSES[mark])
        if mark == "[":
            values = []
            while (each := self._more()) != "]":
                if each != ",":
                    values.append(self._value(each))
            return values
        if mark in "}>]:,;":
            raise ValueError(f"expected a value, got {mark}")
        return mark


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value[:1] in ("'", '"')


def _text(message: Message, name: str) -> str:
    """Return a text, or the name of a value; empty if there is none."""
    value = next((each.value for each in message.named(name)), "")
    if not _is_text(value):
        return value if isinstance(value, str) else ""
    try:
        return str(ast.literal_eval(value))
    except (SyntaxError, ValueError):
        raise InputError(f"expected a text in {name}, got {value[:60]}") from None


def _numbers(message: Message, name: str) -> tuple[int, ...]:
    found: list[Any] = []
    for value in (each.value for each in message.named(name)):
        found += value if isinstance(value, list) else [value]
    try:
        # Octal is spelled 010 there, and 0o10 in Python.
        return tuple(int(re.sub(r"^(-?)\s*0(?=\d)", r"\g<1>0o", each), 0) for each in found)
    except (TypeError, ValueError):
        raise InputError(f"expected whole numbers in {name}, got {found!r:.60}") from None


def _edits(text: str, message: Message, names: list[str], value: str) -> Iterator[tuple[int, int, str]]:
    """Yield what is replaced in a text, from where to where and by what, for one value to be another.

    It is that of the first message of each name on the way to it.
    """
    name, *deeper = names
    if not deeper:
        there, field = message.named(name), f"{name}: {value}"
        yield (there[0].start, there[0].end, field) if there else _added(text, message, field)
        # Of a field that repeats, the first is the list of all now.
        yield from (_cut(text, each) for each in there[1:])
        return
    inner = next(iter(message.messages(name)), None)
    if inner is None:
        yield _added(text, message, f"{name} {{ {deeper[0]}: {value} }}")
        return
    yield from _edits(text, inner, deeper, value)
    if deeper == ["dims"]:
        # New dimensions are the graph's own, and need no reshape.
        yield from (_cut(text, each) for each in inner.named("reshape"))


def _added(text: str, message: Message, field: str) -> tuple[int, int, str]:
    """Return where a new field goes: behind the last one, in a line of its own if that ends one."""
    if not message.fields:
        return message.end, message.end, f" {field} " if message.end < len(text) else f"\n{field}\n"
    last = message.fields[-1]
    behind = _behind(text, last)
    if behind["end"] is None:
        return behind.end(), behind.end(), f" {field}"
    line = text[text.rfind("\n", 0, last.start) + 1 : last.start]
    indent = line[: len(line) - len(line.lstrip())]
    before = "" if behind["end"].endswith("\n") else "\n"
    return behind.end(), behind.end(), f"{before}{indent}{field}\n"


def _cut(text: str, field: Field) -> tuple[int, int, str]:
    """Return from where to where a field is taken out, with the line that it leaves empty."""
    start, end = len(text[: field.start].rstrip(" \t")), _behind(text, field).end("mark")
    alone = text[start - 1 : start] == "\n" and text[end : end + 1] == "\n"
    return start, end + alone, ""


def _behind(text: str, field: Field) -> re.Match[str]:
    found = _BEHIND.match(text, field.end)
    assert found is not None, "it matches nothing too"
    return found
