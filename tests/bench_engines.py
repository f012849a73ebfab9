"""Engines to measure that need nothing: they wait, hang, or end their process. Others find them by name."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np

from osnet_edge.bench.measure.engine_process import Contender, EngineFailedError
from osnet_edge.bench.measure.subject import Subject, SubjectFacts
from osnet_edge.bench.result.engine_result import BatchLatency, Role
from osnet_edge.runtime.errors import UnavailableError


def waiting(
    seconds: float = 0.001,
    dies_after: int | None = None,
    hangs_at: int | None = None,
    grows: int = 0,
) -> Subject:
    """An engine that waits.

    Args:
        seconds: for each call.
        dies_after: calls after which its process dies of a segmentation fault.
        hangs_at: a batch that it takes once, to warm up, and never again.
        grows: bytes that it keeps of each call.
    """
    calls, hoard, seen = 0, [], set()

    def infer(batch: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        if dies_after is not None and calls > dies_after:
            os.kill(os.getpid(), signal.SIGSEGV)
        if len(batch) == hangs_at and hangs_at in seen:
            sleep_for_ever()
        seen.add(len(batch))
        if grows:
            hoard.append(np.ones(grows, np.uint8))
        time.sleep(seconds)
        return np.ones((len(batch), 4), np.float32)

    def embed_frame(frame: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        return infer(boxes)

    return Subject(
        SubjectFacts("osnet_x0_25", "fp32", "waiting", 1, None, 0.0),
        embed=lambda crops: infer(np.stack([crop[:1, :1] for crop in crops])),
        embed_frame=embed_frame,
        infer=infer,
        crop_frame=lambda frame, boxes: time.sleep(seconds / 4),
    )


def scripted(
    name: str,
    log: str,
    seconds: float = 0.001,
    after_another_s: float = 0.0,
    first_calls: int = 0,
    first_calls_s: float = 0.0,
) -> Subject:
    """An engine that notes each call in a file that several engines share.

    Args:
        name: one letter, to note.
        log: the file.
        seconds: for a call.
        after_another_s: for a call where the last in the file is another engine's.
        first_calls: how many calls take `first_calls_s`.
        first_calls_s: for each of them.
    """
    path, calls = Path(log), 0

    def infer(batch: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        before = path.read_text()[-1:] if path.exists() else ""
        with path.open("a") as file:
            file.write(name)
        slow = first_calls_s if calls <= first_calls else after_another_s if before != name else 0.0
        time.sleep(max(seconds, slow))
        return np.ones((len(batch), 4), np.float32)

    return Subject(SubjectFacts("osnet_x0_25", "fp32", "scripted", 1, None, 0.0), infer=infer)


def sleep_for_ever() -> Subject:
    while True:
        time.sleep(3600)


def for_one_thread() -> Subject:
    """An engine that answers its process's first thread alone, as some libraries do."""

    def infer(batch: np.ndarray) -> np.ndarray:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("wrong thread")
        return np.ones((len(batch), 4), np.float32)

    return Subject(SubjectFacts("osnet_x0_25", "fp32", "one thread", 1, None, 0.0), infer=infer)


def host_bound() -> Subject:
    """An engine on a device, whose host keeps it waiting, and whose calls vary."""
    calls = 0

    def infer(batch: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        time.sleep(0.004 * (calls % 2))
        return np.ones((len(batch), 4), np.float32)

    return Subject(
        SubjectFacts("osnet_x0_25", "fp16", "device", 1, None, 0.0, transfers=True),
        infer=infer,
        parts=lambda batch: {"enqueue_ms": 0.81, "compute_ms": 1.0, "without_graph_ms": 2.0},
        # It turns out only when it runs.
        cuda_graph=lambda: calls > 0,
    )


def untold() -> Subject:
    """An engine that is another program's, which fails."""

    def read_batch(size: int, seconds: float) -> BatchLatency:
        raise EngineFailedError("trtexec ended with exit code 1: out of memory")

    return Subject(SubjectFacts("osnet_x0_25", "fp16", "trtexec", 1, None, 0.0), read_batch=read_batch)


def missing() -> Subject:
    raise UnavailableError("its library is not installed")


def broken() -> Subject:
    raise RuntimeError("bad magic number\nand a trace")


def contender(name: str, role: Role = "package", **options: float) -> Contender:
    return Contender(name, partial(waiting, **options), role=role)
