"""An engine in a process of its own: what that process does, from loading to its last answer.

A process for each engine means that one that dies takes no other with it, that its memory is its own, and
that no library's threads or settings reach another's. The loops that are timed run in here, so that talking
to the parent is outside of every sample.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.devices.nvml import open_nvml
from osnet_edge.bench.devices.sysfs import kibibytes
from osnet_edge.bench.measure.latency import time_calls
from osnet_edge.bench.measure.subject import Boxes, Subject, SubjectFacts
from osnet_edge.bench.result.engine_result import BatchLatency
from osnet_edge.bench.result.measurements import Layers, Memory, Parts, StreamRate
from osnet_edge.runtime.embed_files import embed_files
from osnet_edge.runtime.errors import CheckError, InputError, OsnetEdgeError, UnavailableError, first_line
from osnet_edge.runtime.preprocessing import Picture

#: Calls whose parts are looked at.
_PART_CALLS = 20
#: Errors that mean the same to the parent as here; all others mean that this engine failed.
KINDS = {"input": InputError, "unavailable": UnavailableError, "check": CheckError}


class Worker:
    """Answers the parent's questions about one engine; each public method is one.

    Args:
        subject: the engine.
        tell: sends the share of a long job that is done, in [0, 1].
    """

    def __init__(self, subject: Subject, tell: Callable[[float], None]) -> None:
        self._subject, self._tell = subject, tell
        self._run: Callable[[], object] = lambda: None
        self._crop: Callable[[], object] | None = None

    def facts(self) -> SubjectFacts:
        """Return what the engine says of itself."""
        return self._subject.facts

    def set_batch(self, size: int, warmup_s: float) -> bool:
        """Make turns run a batch of so many pictures; false where the engine takes only frames."""
        if self._subject.infer is None:
            return False
        infer, batch = self._subject.infer, self._subject.example(size)
        self._run, self._crop = lambda: infer(batch), None
        self._warm_up(warmup_s)
        return True

    def set_frame(self, frame: Picture, boxes: Boxes, warmup_s: float) -> bool:
        """Make turns run a whole frame and its boxes; false where the engine takes none."""
        embed, crop = self._subject.embed_frame, self._subject.crop_frame
        if embed is None:
            return False
        self._run, self._crop = lambda: embed(frame, boxes), None
        if crop is not None:
            self._crop = lambda: crop(frame, boxes)
        self._warm_up(warmup_s)
        return True

    def read_batch(self, size: int, seconds: float) -> BatchLatency | None:
        """Return what another program says of a batch, or None where there is none."""
        return None if self._subject.read_batch is None else self._subject.read_batch(size, seconds)

    def turn(self, seconds: float, lead: bool = True) -> list[int]:
        """Call back to back for a turn; return how long each call took, in nanoseconds.

        Args:
            seconds: how long the turn lasts.
            lead: whether to make a call first that is not kept, since it finds the caches full of what ran
                before.
        """
        return time_calls(self._run, seconds, lead=lead)

    def crop_turn(self, seconds: float) -> list[int]:
        """Do the same with cutting out and resizing alone; empty where the engine does not say."""
        return [] if self._crop is None else time_calls(self._crop, seconds, lead=False)

    def parts(self, size: int) -> Parts | None:
        """Return the medians of the parts of a call, or None where there are none."""
        if self._subject.parts is None:
            return None
        batch = self._subject.example(size)
        seen: dict[str, list[float]] = defaultdict(list)
        for _ in range(_PART_CALLS):
            for name, ms in self._subject.parts(batch).items():
                seen[name].append(ms)
        return Parts(**{name: statistics.median(values) for name, values in seen.items()})

    def cuda_graph(self) -> bool | None:
        """Say whether calls replay a CUDA graph; None where there is no such thing."""
        return None if self._subject.cuda_graph is None else self._subject.cuda_graph()

    def streams(self, count: int, size: int, seconds: float) -> StreamRate | None:
        """Return the throughput of so many callers, each a thread with a batch of its own."""
        infer = self._subject.infer
        if infer is None:
            return None
        stop, ready = threading.Event(), threading.Barrier(count + 1)

        def call() -> int:
            batch, done = self._subject.example(size), 0
            try:
                infer(batch)
            finally:
                # Also where that failed: the others wait here.
                ready.wait()
            while not stop.is_set():
                infer(batch)
                done += 1
            return done

        with ThreadPoolExecutor(count) as pool:
            callers = [pool.submit(call) for _ in range(count)]
            ready.wait()
            began = time.perf_counter()
            stop.wait(seconds)
            stop.set()
            done = sum(caller.result() for caller in callers)
        # The last calls end after the time is up, and count with the time that they took.
        return StreamRate(count, size, done * size / (time.perf_counter() - began))

    def layers(self, size: int) -> Layers | None:
        """Return the times of the layers, or None where the backend does not tell."""
        return None if self._subject.layers is None else self._subject.layers(self._subject.example(size))

    def embed(self, paths: list[Path], batch: int) -> npt.NDArray[np.float32] | None:
        """Embed pictures through the engine's own preprocessing to (N, D); None where it only tells times."""
        embed, done = self._subject.embed, 0
        if embed is None:
            return None

        def progress(count: int) -> None:
            nonlocal done
            done += count
            self._tell(done / len(paths))

        return embed_files(embed, paths, batch=batch, progress=progress)

    def memory(self) -> Memory:
        """Return the most memory that this process had, and what it has of the GPU's where it has one."""
        # getrusage would tell the parent's on Linux, where that had more when it started this process.
        peak = kibibytes(Path("/proc/self/status"), "VmHWM")
        if peak is None:
            told = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            # macOS counts in bytes, others in KiB.
            peak = told if sys.platform == "darwin" else told * 1024
        device = None
        if self._subject.facts.accelerator:
            with open_nvml() as nvml:
                device = nvml.memory_of(os.getpid()) if nvml else None
        return Memory(peak, device)

    def resident(self) -> int | None:
        """Return the memory that this process has now, in bytes, or None where it cannot be read."""
        try:
            pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        except OSError:
            return None
        return int(pages) * resource.getpagesize()

    def _warm_up(self, seconds: float) -> None:
        time_calls(self._run, seconds, lead=False)


def serve(connection: Connection, load: Callable[[], Subject]) -> None:
    """Load an engine and answer questions until the parent hangs up.

    Each question is a method's name and arguments. Answers are `("done", value)`, `("told", share)`
    meanwhile, or `("failed", kind, message)`, after which the next question is waited for.
    """
    # Ctrl-C reaches every process of a terminal; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What libraries print must not get into the parent's JSON.
    os.dup2(2, 1)
    # A parent that was interrupted does not wait for the answer.
    with contextlib.suppress(EOFError, OSError):
        _answer_all(connection, load)


def _answer_all(connection: Connection, load: Callable[[], Subject]) -> None:
    try:
        worker = Worker(load(), lambda share: connection.send(("told", share)))
    except Exception as error:
        connection.send(_failure(error))
        return
    connection.send(("done", worker.facts()))
    while True:
        question, arguments = connection.recv()
        try:
            answer: tuple[Any, ...] = ("done", getattr(worker, question)(*arguments))
        except Exception as error:
            answer = _failure(error)
        connection.send(answer)


def _failure(error: Exception) -> tuple[str, str, str]:
    for kind, known in KINDS.items():
        if isinstance(error, known):
            return "failed", kind, str(error)
    if isinstance(error, OsnetEdgeError):
        return "failed", "other", str(error)
    if isinstance(error, ModuleNotFoundError):
        return "failed", "unavailable", f"needs {error.name}, which is not installed"
    return "failed", "other", f"{type(error).__name__}: {first_line(error)}"
