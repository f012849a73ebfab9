"""What a fork must not break: its child has one thread, and every lock as it was at that moment.

Engines on the CPU answer in a forked child as long as no call was under way when it forked (tried with ONNX
Runtime 1.32 and OpenVINO 2026.4; otherwise a child of either may hang, and OpenVINO's finds its request busy
for ever). The threads that they share a call among are not there in the child; the caller's own does it all.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class HelperThreads(Executor):
    """A pool of threads that is there in a forked child too: each process makes its own when it needs it.

    Args:
        count: threads.
        name: what their names begin with.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count, self._name = count, name
        self._made: tuple[int, ThreadPoolExecutor] | None = None

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a function in one of this process's threads."""
        made = self._made
        if made is None or made[0] != os.getpid():
            # Of two made at once one is dropped, and ends when its work is done.
            made = self._made = os.getpid(), ThreadPoolExecutor(self._count, self._name)
        return made[1].submit(fn, *args, **kwargs)


class _Gate:
    """Lets calls in together, and a fork only while none is under way."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._callers: list[int] = []
        self._forks = 0

    def enter(self) -> None:
        """Begin a call, once no fork waits; the thread of a call under way may begin another within it."""
        caller = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: not self._forks or caller in self._callers)
            self._callers.append(caller)

    def leave(self) -> None:
        """End a call."""
        with self._changed:
            self._callers.remove(threading.get_ident())
            self._changed.notify_all()

    def close(self) -> None:
        """Wait for the calls of other threads, and hold back new ones; a call's signal handler may fork."""
        caller = threading.get_ident()
        self._changed.acquire()
        self._forks += 1
        self._changed.wait_for(lambda: all(each == caller for each in self._callers))
        self._forks -= 1

    def open(self) -> None:
        """Let calls in again, in the parent and in the child."""
        self._changed.notify_all()
        self._changed.release()


_gate = _Gate()


@contextmanager
def fork_waits() -> Iterator[None]:
    """Let no fork happen within the block, or the function that it decorates: forks wait until it ends."""
    _gate.enter()
    try:
        yield
    finally:
        _gate.leave()


_kept: weakref.WeakSet[object] = weakref.WeakSet()


def keep_in_children(value: object) -> None:
    """Never let forked children destroy an object: one that would wait for its threads hangs there.

    It may also join another's: glibc gives the stack of a thread that a child has not, and with it what
    identifies the thread, to the next one that the child starts.
    """
    _kept.add(value)


def keep_for_good(value: object) -> None:
    """Never let an object go, not even when the process ends."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_gate.close, after_in_parent=_gate.open, after_in_child=_gate.open)
    os.register_at_fork(after_in_child=lambda: keep_for_good(list(_kept)))
