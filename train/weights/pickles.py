"""Reads a pickle without running code: everything that it would call becomes a stand-in.

Python's own unpickler calls functions that a file names. This interpreter of the same opcodes calls nothing:
it builds numbers, texts, containers and `Object`s. Its caller decides which of them are tensors.

Source: the opcodes of `pickletools`, protocols 0 to 5.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

#: What a dictionary of a pickle may have as a key: hashing a nest of tuples could exhaust C's stack.
_KEYS = (str, int, float, bytes, type(None))
#: More than any checkpoint needs. One byte of a pickle can ask for a dictionary, which takes 64.
_MOST_STEPS = 2_000_000


@dataclass(frozen=True)
class Name:
    """A class or function that a pickle names; it was neither looked up nor imported."""

    module: str
    name: str

    def __str__(self) -> str:
        """As Python would import it."""
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Object:
    """A stand-in for the result of a call.

    Attributes:
        of: the function or class that would have been called.
        arguments: its arguments.
        state: the state that the result would have been given.
    """

    of: Any
    arguments: Any
    state: Any = None


def _keep(of: Any, arguments: Any) -> Any:
    return Object(of, arguments)


def read_pickle(
    file: IO[bytes],
    make: Callable[[Any, Any], Any] = _keep,
    stored: Callable[[Any], Any] = lambda key: Object("stored", key),
) -> Any:
    """Read one pickle from where a file stands, and leave the file standing behind it.

    Args:
        file: open for reading bytes.
        make: returns what stands for a call of its first argument, which is most often a `Name`, with its
            second. Both are the file's choice.
        stored: returns what stands for what the pickle keeps elsewhere, by its key.

    Raises:
        Exception: of nearly any kind, as the bytes have it: the file is damaged.
    """
    machine = _Machine(make, stored)
    for step, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if step > _MOST_STEPS:
            raise ValueError("it has more steps than any checkpoint")
        machine.step(opcode.name, argument)
    return machine.stack.pop()


@dataclass
class _Machine:
    """The stack, the marks in it, and the memo."""

    make: Callable[[Any, Any], Any]
    stored: Callable[[Any], Any]
    stack: list[Any] = field(default_factory=list)
    marked: list[list[Any]] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def step(self, name: str, argument: Any) -> None:
        """Do what one opcode asks for."""
        if name in _CONSTANTS:
            self.push(_CONSTANTS[name])
        elif name in _VALUES:
            self.push(argument)
        elif name not in _IGNORED:
            _STEPS[name](self, argument)

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def name(self, module: Any, name: Any) -> None:
        """Put the name of a class or function on the stack."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("a name is no text")
        self.push(Name(module, name))

    def mark(self) -> None:
        """Begin a group of values."""
        self.marked.append(self.stack)
        self.stack = []

    def group(self) -> list[Any]:
        """End the group of values that was begun last, and take it off."""
        values, self.stack = self.stack, self.marked.pop()
        return values

    def pop(self, count: int) -> tuple[Any, ...]:
        """Take the topmost values off, lowest first."""
        if len(self.stack) < count:
            raise ValueError("the stack is empty")
        values = tuple(self.stack[-count:])
        del self.stack[-count:]
        return values

    def drop(self) -> None:
        """Take the topmost value off, or the mark where there is none above it."""
        if self.stack:
            self.stack.pop()
        else:
            self.stack = self.marked.pop()

    def discard(self) -> None:
        """Take off all that is above the last mark, and the mark."""
        self.stack = self.marked.pop()

    def call(self, of: Any, arguments: Any) -> None:
        """Put what stands for a call on the stack."""
        self.push(self.make(of, arguments))

    def call_first(self, values: list[Any]) -> None:
        """Put what stands for a call of the first value, with the others, on the stack."""
        self.call(values[0], tuple(values[1:]))

    def extend(self, values: list[Any] | tuple[Any, ...]) -> None:
        """Add to the list or set on top. What else stands there, such as a deque, goes without."""
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(values)

    def update(self, values: list[Any] | tuple[Any, ...]) -> None:
        """Add keys and values, in turns, to the dictionary on top."""
        if isinstance(self.stack[-1], dict):
            pairs = zip(values[::2], values[1::2], strict=True)
            self.stack[-1].update((key, value) for key, value in pairs if isinstance(key, _KEYS))

    def build(self) -> None:
        """Give the object on top its state. A dictionary or tensor has none that weights depend on."""
        (state,) = self.pop(1)
        if isinstance(self.stack[-1], Object):
            self.stack[-1].state = state

    def new(self, values: list[Any] | tuple[Any, ...]) -> None:
        """Put a dictionary of keys and values, in turns, on the stack."""
        self.push({})
        self.update(values)


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
#: A protocol and the length of what follows tell nothing that the opcodes do not.
_IGNORED = {"PROTO", "FRAME", "STOP"}
#: Without NEXT_BUFFER and READONLY_BUFFER, whose bytes are not in the file.
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": lambda m, _: m.mark(),
    "POP": lambda m, _: m.drop(),
    "POP_MARK": lambda m, _: m.discard(),
    "DUP": lambda m, _: m.push(m.stack[-1]),
    "PUT": lambda m, at: m.memo.update({at: m.stack[-1]}),
    "BINPUT": lambda m, at: m.memo.update({at: m.stack[-1]}),
    "LONG_BINPUT": lambda m, at: m.memo.update({at: m.stack[-1]}),
    "MEMOIZE": lambda m, _: m.memo.update({len(m.memo): m.stack[-1]}),
    "GET": lambda m, at: m.push(m.memo[at]),
    "BINGET": lambda m, at: m.push(m.memo[at]),
    "LONG_BINGET": lambda m, at: m.push(m.memo[at]),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_SET": lambda m, _: m.push([]),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "LIST": lambda m, _: m.push(m.group()),
    # A set and a frozen one are lists here: what is in them need not be hashed.
    "FROZENSET": lambda m, _: m.push(m.group()),
    "TUPLE": lambda m, _: m.push(tuple(m.group())),
    "TUPLE1": lambda m, _: m.push(m.pop(1)),
    "TUPLE2": lambda m, _: m.push(m.pop(2)),
    "TUPLE3": lambda m, _: m.push(m.pop(3)),
    "DICT": lambda m, _: m.new(m.group()),
    "APPEND": lambda m, _: m.extend(m.pop(1)),
    "APPENDS": lambda m, _: m.extend(m.group()),
    "ADDITEMS": lambda m, _: m.extend(m.group()),
    "SETITEM": lambda m, _: m.update(m.pop(2)),
    "SETITEMS": lambda m, _: m.update(m.group()),
    "GLOBAL": lambda m, text: m.name(*text.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m.name(*m.pop(2)),
    # By numbers of a registry in the process that wrote the file.
    "EXT1": lambda m, code: m.name("copyreg", str(code)),
    "EXT2": lambda m, code: m.name("copyreg", str(code)),
    "EXT4": lambda m, code: m.name("copyreg", str(code)),
    "PERSID": lambda m, key: m.push(m.stored(key)),
    "BINPERSID": lambda m, _: m.push(m.stored(m.pop(1)[0])),
    "REDUCE": lambda m, _: m.call(*m.pop(2)),
    "NEWOBJ": lambda m, _: m.call(*m.pop(2)),
    # Arguments by name do not matter for a stand-in.
    "NEWOBJ_EX": lambda m, _: m.call(*m.pop(3)[:2]),
    "INST": lambda m, text: m.call(Name(*text.split(" ", 1)), tuple(m.group())),
    "OBJ": lambda m, _: m.call_first(m.group()),
    "BUILD": lambda m, _: m.build(),
}
