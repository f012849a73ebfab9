"""A stand-in for TensorRT's engine, which works on addresses as the real one does, and engines of ours on it.

CUDA's stand-in, `cuda_in_memory.py`, keeps everything in ordinary memory and counts what is alive. On a GPU,
`test_tensorrt_build.py` runs the real ones.
"""

from __future__ import annotations

import gc
import threading
from types import SimpleNamespace

import numpy as np
from cuda_in_memory import Memory

from osnet_edge.runtime.backends.tensorrt.engine import TensorRTEngine
from osnet_edge.runtime.backends.tensorrt.library import ErrorCollector, Library
from osnet_edge.runtime.backends.tensorrt.loading import LoadedPlan
from osnet_edge.runtime.cuda.driver_api import as_array
from osnet_edge.runtime.preprocessing import Preprocessing

HOW = Preprocessing(32, 48)
LARGEST, SIZE = 20, 5


class Plan:
    """TensorRT's engine, whose embedding of an image is its sum in every column."""

    def __init__(self, cuda: Memory) -> None:
        self.cuda = cuda
        self.contexts = self.executed = 0
        self.errors = ErrorCollector()
        self.fails = self.spoils_graphs = False

    def create_execution_context(self) -> Context:
        self.contexts += 1
        return Context(self)


class Context:
    """TensorRT's execution context."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.addresses: dict[str, int] = {}
        self.shape: tuple[int, ...] = ()

    def __del__(self) -> None:
        self.plan.contexts -= 1

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert shape[0] <= LARGEST
        self.shape = shape
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert stream in self.plan.cuda.handles
        if self.plan.fails:
            self.plan.errors.record("ERROR", "Error Code 1: Cuda Runtime (an illegal memory access)")
            return False
        # What is captured keeps the shape of then.
        shape, more = self.shape, self.plan.spoils_graphs and self.plan.cuda.captured is not None

        def work() -> None:
            self.plan.executed += 1
            pictures = as_array(self.addresses["images"], shape, np.uint8)
            rows = as_array(self.addresses["embeddings"], (len(pictures), SIZE), np.float32)
            rows[:] = pictures.reshape(len(pictures), -1).sum(1, dtype=np.float32)[:, None] * (1 + more)

        self.plan.cuda.queue(work)
        return True


def engine_on(cuda: Memory, plan: Plan, **facts: object) -> TensorRTEngine:
    """An engine as its constructor leaves it, which needs a real plan."""
    engine = TensorRTEngine.__new__(TensorRTEngine)
    library = Library("tensorrt", "10.3.0", SimpleNamespace(), None, plan.errors)
    least = facts.pop("least", 1)
    engine._plan = LoadedPlan(library, cuda, None, plan, HOW, SIZE, least, LARGEST, **facts)  # type: ignore
    engine._local = threading.local()
    return engine


def fresh(**facts: object) -> tuple[Memory, Plan, TensorRTEngine]:
    cuda = Memory()
    plan = Plan(cuda)
    return cuda, plan, engine_on(cuda, plan, **facts)


def batch_of(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (count, *HOW.input_shape), dtype=np.uint8)


def sums(batch: np.ndarray) -> np.ndarray:
    return np.repeat(batch.reshape(len(batch), -1).sum(1, dtype=np.float32)[:, None], SIZE, axis=1)


def assert_nothing_is_left(cuda: Memory, plan: Plan) -> None:
    gc.collect()
    assert (*cuda.leftovers(), plan.contexts) == (0, 0, 0, 0)
