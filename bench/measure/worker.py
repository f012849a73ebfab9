"""An engine in a process of its own: what that process does, from loading to its last answer.

With a process for each engine, a crash does not end other engines, memory can be measured for each engine,
and libraries do not share threads or settings. The timed loops run here, so that communication with the
parent is in no sample.
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
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.devices.nvml import open_nvml
from osnet_edge.bench.devices.sysfs import kibibytes
from osnet_edge.bench.measure.latency import time_calls
from osnet_edge.bench.measure.runners import Boxes, NotSupportedError, Runner
from osnet_edge.bench.measure.tracking import TimedFrames, embed_frames
from osnet_edge.bench.result.measurements import BatchLatency, Layers, Memory, Parts, StreamRate
from osnet_edge.runtime.embed_files import embed_files
from osnet_edge.runtime.errors import CheckError, InputError, OsnetEdgeError, UnavailableError, first_line
from osnet_edge.runtime.preprocessing import Picture

#: Calls whose parts are measured.
_PART_CALLS = 20
#: Errors that mean the same to the parent as here; all others mean that this engine failed.
KINDS: dict[str, type[OsnetEdgeError]] = {
    "not supported": NotSupportedError,
    "input": InputError,
    "unavailable": UnavailableError,
    "check": CheckError,
}


class Worker:
    """Measures one engine for the parent, which calls its methods through `EngineProcess.ask`.

    A method raises `NotSupportedError` if the engine does not support it.

    Args:
        runner: the engine.
        progress: called with the share of a long job that is done, in [0, 1].
    """

    def __init__(self, runner: Runner, progress: Callable[[float], None]) -> None:
        self._runner, self._progress = runner, progress
        self._run: Callable[[], object] = lambda: None
        self._crop: Callable[[], object] = lambda: None

    def set_batch(self, size: int, warmup_s: float) -> None:
        """Make rounds run a batch of so many crops, and warm up."""
        batch = self._runner.example(size)
        self._run = partial(self._runner.infer, batch)
        time_calls(self._run, warmup_s, lead=False)

    def set_frame(self, frame: Picture, boxes: Boxes, warmup_s: float) -> None:
        """Make rounds run a whole frame and its boxes, and warm up."""
        self._run = partial(self._runner.embed_frame, frame, boxes)
        self._crop = partial(self._runner.crop_frame, frame, boxes)
        time_calls(self._run, warmup_s, lead=False)

    def read_batch(self, size: int, seconds: float) -> BatchLatency:
        """Return what another program says of a batch."""
        return self._runner.read_batch(size, seconds)

    def round(self, seconds: float, lead: bool = True) -> list[int]:
        """Call back to back for so many seconds; see `time_calls` for the rest."""
        return time_calls(self._run, seconds, lead=lead)

    def crop_round(self, seconds: float) -> list[int]:
        """Do the same with cropping and resizing alone."""
        return time_calls(self._crop, seconds, lead=False)

    def parts(self, size: int) -> Parts | None:
        """Return the medians of the parts of a call, or None where there are none."""
        batch = self._runner.example(size)
        calls = [self._runner.parts(batch) for _ in range(_PART_CALLS)]
        medians = {name: statistics.median(call[name] for call in calls) for name in calls[0]}
        return Parts(**medians) if medians else None

    def cuda_graph(self) -> bool | None:
        """Say whether calls replay a CUDA graph; None where there is no such thing."""
        return self._runner.cuda_graph()

    def streams(self, count: int, size: int, seconds: float) -> StreamRate:
        """Return the throughput of so many callers, each a thread with a batch of its own."""
        infer = self._runner.infer
        # One that takes no batch says so here, before others wait for it.
        infer(self._runner.example(size))
        stop, ready = threading.Event(), threading.Barrier(count + 1)

        def call() -> int:
            batch, done = self._runner.example(size), 0
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

    def layers(self, size: int) -> Layers:
        """Return the times of the layers."""
        return self._runner.layers(self._runner.example(size))

    def embed(self, paths: Sequence[Path | str], batch: int) -> npt.NDArray[np.float32]:
        """Embed N images through the engine's own preprocessing to (N, D)."""
        done = 0

        def progress(count: int) -> None:
            nonlocal done
            done += count
            self._progress(done / len(paths))

        return embed_files(self._runner.embed, paths, batch=batch, progress=progress)

    def embed_frames(self, frames: Sequence[Path], boxes: Sequence[Boxes]) -> TimedFrames:
        """Embed the boxes of a sequence's frames, (N, 4) of each, one frame after another."""
        return embed_frames(self._runner, frames, boxes, self._progress)

    def memory(self) -> Memory:
        """Return the most memory that this process had, and what it has of the GPU's where it has one."""
        # On Linux, getrusage reports the parent's memory if that was larger when it started this process.
        peak = kibibytes(Path("/proc/self/status"), "VmHWM")
        if peak is None:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            # macOS counts in bytes, others in KiB.
            if sys.platform != "darwin":
                peak *= 1024
        device = None
        if self._runner.facts.accelerator:
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


def serve(connection: Connection, load: Callable[[], Runner]) -> None:
    """Load an engine and call the methods of its `Worker` that are asked for until the parent hangs up.

    Each request is a method and its arguments. Answers are `("done", value)`, `("progress", share)`
    meanwhile, or `("failed", kind, message)`, after which the next question is waited for.
    """
    # Ctrl-C reaches every process of a terminal; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What libraries print must not get into the parent's JSON.
    os.dup2(2, 1)
    # A parent that was interrupted does not wait for the answer.
    with contextlib.suppress(EOFError, OSError):
        _answer_all(connection, load)


def _answer_all(connection: Connection, load: Callable[[], Runner]) -> None:
    try:
        runner = load()
    except Exception as error:
        connection.send(_failure(error))
        return
    worker = Worker(runner, lambda share: connection.send(("progress", share)))
    connection.send(("done", runner.facts))
    while True:
        method, arguments, options = connection.recv()
        try:
            answer: tuple[Any, ...] = ("done", method(worker, *arguments, **options))
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
