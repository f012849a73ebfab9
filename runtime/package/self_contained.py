"""Whether an ONNX graph is all in its own file, told from its bytes on cameras that lack onnx and protobuf.

A tensor may name another file, or even an address in memory, and some versions of ONNX Runtime follow a path
out of the package (`../../secret`). No graph of ours has such a tensor, so any is refused.

Only the shape of protobuf's messages is read here, https://protobuf.dev/programming-guides/encoding/, with
the numbers of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. What two readers of protobuf could
take in two ways, such as a number longer than its type, is refused too.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from osnet_edge.runtime.errors import InputError, printable

#: For each message that leads to tensors, the fields that lead on, by their numbers.
_LEADS: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse tensor",
        23: "sparse tensor",
    },
    "function": {7: "node", 11: "attribute"},
    "training": {1: "graph", 2: "graph"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
}
#: Of a tensor: its name, the pairs that say where it is, and whether they count.
_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14
#: An ONNX file begins with its version as a number. OpenVINO tells XML by its content, under any name.
_FIRST_BYTE = 0x08
_VARINT, _LENGTH = 0, 2
_FIXED: Final = {1: 8, 5: 4}
#: A graph of ours has some ten thousand fields; a file of nothing else would keep a camera for minutes.
_MOST_FIELDS = 1_000_000
_LONGEST_NAME = 80


class _MalformedError(Exception):
    """What the file has in place of a field."""


def require_self_contained(graph: Path) -> None:
    """Hold that no tensor of a graph is in another file.

    Raises:
        InputError: one is, or the file is no ONNX graph.
    """
    with ExitStack() as opened:
        file = opened.enter_context(graph.open("rb"))
        content: bytes | mmap.mmap = b""
        if size := graph.stat().st_size:
            # Weights are most of the file, and are stepped over.
            content = opened.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        try:
            outside = _find_outside(content, size)
        except _MalformedError as error:
            raise InputError(
                f"{graph} is no ONNX graph, or not a whole one ({error}); export it again, or build "
                "its package again"
            ) from None
    if outside:
        raise InputError(
            f"expected a graph in one file, and {graph} keeps {outside} in another file; export it into one "
            "file with osnet-edge export"
        )


def _find_outside(content: bytes | mmap.mmap, size: int) -> str:
    """Return the name of a tensor that is not in the file; empty where all are.

    Raises:
        _MalformedError: it is no such file.
    """
    if not size or content[0] != _FIRST_BYTE:
        raise _MalformedError("it does not begin as one")
    wire = _Wire(content)
    # Messages within messages wait here: their depth is the file's to choose.
    waiting = [("model", 0, size)]
    while waiting:
        message, at, end = waiting.pop()
        if message == "tensor":
            if outside := _outside_name(wire, at, end):
                return outside
            continue
        leads = _LEADS[message]
        for number, kind, start, after in wire.fields(at, end):
            if number in leads:
                _require(kind == _LENGTH, start)
                waiting.append((leads[number], start, after))
    return ""


def _outside_name(wire: _Wire, at: int, end: int) -> str:
    """Return what a tensor is called, where it is not in the file; empty where it is."""
    name, outside = "", False
    for number, kind, start, after in wire.fields(at, end):
        if number == _NAME:
            name = wire.content[start : min(after, start + _LONGEST_NAME)].decode(errors="replace")
        elif number == _EXTERNAL_DATA:
            outside = True
        elif number == _DATA_LOCATION:
            _require(kind == _VARINT, start)
            outside = outside or wire.varint(start, end)[0] != 0
    return printable(name) or "a tensor" if outside else ""


class _Wire:
    """A file as protobuf's fields, which are counted.

    Args:
        content: of the file.
    """

    def __init__(self, content: bytes | mmap.mmap) -> None:
        self.content = content
        self._left = _MOST_FIELDS

    def fields(self, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield the number of each field of a message, its kind, and where its content starts and ends."""
        while at < end:
            if not self._left:
                raise _MalformedError(f"over {_MOST_FIELDS} fields")
            self._left -= 1
            tag, start = self.varint(at, end)
            number, kind = tag >> 3, tag & 7
            # Longer tags are cut to 32 bits by some readers.
            _require(0 < number < 1 << 29, at)
            if kind == _LENGTH:
                length, start = self.varint(start, end)
                after = start + length
            elif kind == _VARINT:
                _, after = self.varint(start, end)
            else:
                _require(kind in _FIXED, at)
                after = start + _FIXED[kind]
            _require(after <= end, at)
            yield number, kind, start, after
            at = after

    def varint(self, at: int, end: int) -> tuple[int, int]:
        """Read a number of up to 64 bits, the lowest seven first; return it and where it ends."""
        value = 0
        for shift in range(0, 70, 7):
            _require(at < end, at)
            byte = self.content[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
        raise _MalformedError(f"a number without an end at byte {at}")


def _require(held: bool, at: int) -> None:
    if not held:
        raise _MalformedError(f"no field of one at byte {at}")
