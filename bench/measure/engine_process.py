"""The parent's side of an engine's process: a typed client of its `Worker`."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from osnet_edge.bench.measure.runners import Runner, RunnerFacts
from osnet_edge.bench.measure.worker import KINDS, Worker, serve
from osnet_edge.bench.result.measurements import Role
from osnet_edge.runtime.errors import OsnetEdgeError, UnavailableError

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds that a process has to end by itself.
_PATIENCE = 5.0
#: Seconds that loading may take: some compile kernels, or have another tool export, before they run.
_LOAD_S = 600.0
#: Variables that libraries with their own threads read when they are loaded.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)


class EngineFailedError(OsnetEdgeError):
    """An engine failed; the others continue."""

    exit_code = 1


@dataclass(frozen=True)
class BenchTarget:
    """Something to measure, not loaded yet.

    Attributes:
        name: unique among those measured together.
        load: makes its runner, in a process of its own; a function or class that can be imported by its name,
            or a `functools.partial` of one.
        role: what kind of engine it is.
        package: its folder, where it has one.
        refused: why it cannot run; then `load` is never called.
    """

    name: str
    load: Callable[[], Runner]
    role: Role = "package"
    package: str | None = None
    refused: str | None = None


class EngineProcess:
    """An engine in a process of its own.

    Args:
        target: what to load.
        threads: threads for libraries that read their number from the environment.
        limit_s: seconds without a message after which a loaded engine counts as hanging.
        load_s: the same while it loads.

    Attributes:
        facts: what the engine reports about itself.
        progress: called with the share of a long job that is done, in [0, 1].

    Raises:
        InputError, UnavailableError, CheckError: as its loading raised them.
        EngineFailedError: it died or hangs, or raised something else.
    """

    def __init__(
        self,
        target: BenchTarget,
        threads: int | None = None,
        *,
        limit_s: float = 300.0,
        load_s: float = _LOAD_S,
    ) -> None:
        self._limit_s = limit_s
        self.progress: Callable[[float], None] = lambda share: None
        # A fresh interpreter: a fork of one with threads may hang, and CUDA does not survive one.
        context = multiprocessing.get_context("spawn")
        self._connection, child = context.Pipe()
        self._process = context.Process(
            target=serve, args=(child, target.load), name=target.name, daemon=True
        )
        with threads_in_environment(threads):
            self._process.start()
        child.close()
        self.facts: RunnerFacts = self._answer("load", load_s)

    def ask(self, method: Callable[Concatenate[Worker, P], T], *arguments: P.args, **options: P.kwargs) -> T:
        """Call a method of the process's `Worker` and wait for what it returns.

        Example: `process.ask(Worker.streams, 2, 8, 1.0)`.

        Raises:
            NotSupportedError: the engine does not support it.
            EngineFailedError: the process died or hangs, or its engine raised an unexpected error.
            InputError, UnavailableError, CheckError: the engine raised it.
        """
        try:
            self._connection.send((method, arguments, options))
        except OSError:
            raise EngineFailedError(self._how_it_ended()) from None
        answer: T = self._answer(method.__name__, self._limit_s)
        return answer

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join(_PATIENCE)
        if self._process.is_alive():
            self._kill()

    def _answer(self, question: str, limit_s: float) -> Any:
        while True:
            try:
                if not self._connection.poll(limit_s):
                    self._kill()
                    raise EngineFailedError(
                        f"its process hangs: no answer within {limit_s:.0f} s to {question!r}"
                    )
                kind, *rest = self._connection.recv()
            except (EOFError, OSError):
                raise EngineFailedError(self._how_it_ended()) from None
            if kind == "done":
                return rest[0]
            if kind == "failed":
                raise KINDS.get(rest[0], EngineFailedError)(rest[1])
            self.progress(rest[0])

    def _kill(self) -> None:
        self._process.kill()
        # With a time limit: a process inside a driver that hangs cannot be killed.
        self._process.join(_PATIENCE)

    def _how_it_ended(self) -> str:
        self._process.join(_PATIENCE)
        code = self._process.exitcode
        if code is None:
            return "its process hangs"
        if code < 0:
            return f"its process died of {signal.Signals(-code).name}"
        return f"its process ended with exit code {code}"


def start(target: BenchTarget, threads: int | None, limit_s: float) -> EngineProcess:
    """Start a target; the rest is as in `EngineProcess`.

    Raises:
        UnavailableError: it was refused before it was tried, or this machine lacks what it needs.
        InputError, CheckError, EngineFailedError: as `EngineProcess`.
    """
    if target.refused is not None:
        raise UnavailableError(target.refused)
    return EngineProcess(target, threads, limit_s=limit_s)


@contextmanager
def threads_in_environment(threads: int | None) -> Iterator[None]:
    """Set the number of threads for a process that is started meanwhile, then restore the old value."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    if threads is not None:
        os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
