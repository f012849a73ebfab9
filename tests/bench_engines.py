"""Engines to measure that need nothing: they wait, hang, or end their process. Others find them by name."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np

from osnet_edge.bench.measure.engine_process import BenchTarget, EngineFailedError
from osnet_edge.bench.measure.runners import Runner, RunnerFacts
from osnet_edge.bench.result.measurements import BatchLatency, Role
from osnet_edge.runtime.errors import UnavailableError


class Waiting(Runner):
    """An engine that waits.

    Args:
        seconds: for each call.
        dies_after: calls after which its process dies of a segmentation fault.
        hangs_at: a batch that it takes once, to warm up, and never again.
        grows: bytes that it keeps of each call.
    """

    def __init__(
        self,
        seconds: float = 0.001,
        dies_after: int | None = None,
        hangs_at: int | None = None,
        grows: int = 0,
    ) -> None:
        super().__init__(RunnerFacts("osnet_x0_25", "fp32", "waiting", 1, None, 0.0))
        self.seconds, self.dies_after, self.hangs_at, self.grows = seconds, dies_after, hangs_at, grows
        self.calls, self.hoard, self.seen = 0, list[np.ndarray](), set[int]()

    def infer(self, batch: np.ndarray) -> np.ndarray:
        self.calls += 1
        if self.dies_after is not None and self.calls > self.dies_after:
            os.kill(os.getpid(), signal.SIGSEGV)
        if len(batch) == self.hangs_at and self.hangs_at in self.seen:
            sleep_for_ever()
        self.seen.add(len(batch))
        if self.grows:
            self.hoard.append(np.ones(self.grows, np.uint8))
        time.sleep(self.seconds)
        return np.ones((len(batch), 4), np.float32)

    def embed(self, crops: list[np.ndarray]) -> np.ndarray:
        return self.infer(np.stack([crop[:1, :1] for crop in crops]))

    def embed_frame(self, frame: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        return self.infer(boxes)

    def crop_frame(self, frame: np.ndarray, boxes: np.ndarray) -> None:
        time.sleep(self.seconds / 4)


class Scripted(Runner):
    """An engine that notes each call in a file that several engines share.

    Args:
        name: one letter, to note.
        log: the file.
        seconds: for a call.
        after_another_s: for a call where the last in the file is another engine's.
        first_calls: how many calls take `first_calls_s`.
        first_calls_s: for each of them.
    """

    def __init__(
        self,
        name: str,
        log: str,
        seconds: float = 0.001,
        after_another_s: float = 0.0,
        first_calls: int = 0,
        first_calls_s: float = 0.0,
    ) -> None:
        super().__init__(RunnerFacts("osnet_x0_25", "fp32", "scripted", 1, None, 0.0))
        self.name, self.log, self.seconds, self.after_another_s = name, Path(log), seconds, after_another_s
        self.calls, self.first_calls, self.first_calls_s = 0, first_calls, first_calls_s

    def infer(self, batch: np.ndarray) -> np.ndarray:
        self.calls += 1
        before = self.log.read_text()[-1:] if self.log.exists() else ""
        with self.log.open("a") as file:
            file.write(self.name)
        slow = self.after_another_s if before != self.name else 0.0
        time.sleep(max(self.seconds, self.first_calls_s if self.calls <= self.first_calls else slow))
        return np.ones((len(batch), 4), np.float32)


class ForOneThread(Runner):
    """An engine that answers its process's first thread alone, as some libraries do."""

    def __init__(self) -> None:
        super().__init__(RunnerFacts("osnet_x0_25", "fp32", "one thread", 1, None, 0.0))

    def infer(self, batch: np.ndarray) -> np.ndarray:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("wrong thread")
        return np.ones((len(batch), 4), np.float32)


class HostBound(Runner):
    """An engine on a device, whose host keeps it waiting, and whose calls vary."""

    def __init__(self) -> None:
        super().__init__(RunnerFacts("osnet_x0_25", "fp16", "device", 1, None, 0.0, transfers=True))
        self.calls = 0

    def infer(self, batch: np.ndarray) -> np.ndarray:
        self.calls += 1
        time.sleep(0.004 * (self.calls % 2))
        return np.ones((len(batch), 4), np.float32)

    def parts(self, batch: np.ndarray) -> dict[str, float]:
        return {"enqueue_ms": 0.81, "compute_ms": 1.0, "without_graph_ms": 2.0}

    def cuda_graph(self) -> bool:
        # It turns out only when it runs.
        return self.calls > 0


class OtherProgram(Runner):
    """An engine that is another program's, which fails."""

    def __init__(self) -> None:
        super().__init__(RunnerFacts("osnet_x0_25", "fp16", "trtexec", 1, None, 0.0))

    def read_batch(self, size: int, seconds: float) -> BatchLatency:
        raise EngineFailedError("trtexec ended with exit code 1: out of memory")


class OnlyFrames(Runner):
    """An engine that takes whole frames alone, as a tracker's own re-ID does."""

    def __init__(self) -> None:
        super().__init__(RunnerFacts("osnet_x0_25", "fp32", "frames", 1, None, 0.0))

    def embed_frame(self, frame: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        time.sleep(0.001)
        return np.ones((len(boxes), 4), np.float32)


def sleep_for_ever() -> Runner:
    while True:
        time.sleep(3600)


def missing() -> Runner:
    raise UnavailableError("its library is not installed")


def broken() -> Runner:
    raise RuntimeError("bad magic number\nand a trace")


def bench_target(name: str, role: Role = "package", **options: float) -> BenchTarget:
    return BenchTarget(name, partial(Waiting, **options), role=role)
