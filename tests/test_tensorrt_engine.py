"""An engine's threads and memory, with stand-ins for the GPU: where none is, this is what can be run.

The stand-in for CUDA keeps everything in ordinary memory and counts what is alive; the one for TensorRT's
engine works on addresses, as the real one does. On a GPU, `test_tensorrt_build.py` runs the real ones.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from osnet_edge.runtime.backends.tensorrt import TensorRTEngine, _Session
from osnet_edge.runtime.backends.tensorrt_library import ErrorCollector, Library
from osnet_edge.runtime.cuda import DeviceMemory, PinnedArray, Stream, as_array
from osnet_edge.runtime.errors import InputError, UnavailableError

LARGEST, PICTURE, SIZE = 4, (2, 3, 3), 5


class Memory:
    """CUDA in ordinary memory."""

    package = "memory"

    def __init__(self, room: int = 1 << 20) -> None:
        self.alive: dict[int, np.ndarray] = {}
        self.streams = 0
        self.outside = 0
        self._room = room
        self._inside = threading.local()

    @contextmanager
    def current(self) -> Iterator[None]:
        self._inside.depth = getattr(self._inside, "depth", 0) + 1
        try:
            yield
        finally:
            self._inside.depth -= 1

    def _enter(self) -> None:
        self.outside += not getattr(self._inside, "depth", 0)

    def _new(self, nbytes: int) -> int:
        self._enter()
        if sum(item.nbytes for item in self.alive.values()) + nbytes > self._room:
            raise UnavailableError("CUDA says: out of memory (cuMemAlloc)")
        block = np.zeros(nbytes, np.uint8)
        self.alive[block.ctypes.data] = block
        return int(block.ctypes.data)

    def _free(self, address: int) -> None:
        self._enter()
        del self.alive[address]

    def allocate(self, nbytes: int) -> DeviceMemory:
        address = self._new(nbytes)
        return DeviceMemory(address, nbytes, lambda: self._free(address))

    def pin(self, shape: tuple[int, ...], dtype: Any) -> PinnedArray:
        address = self._new(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        return PinnedArray(as_array(address, shape, dtype), lambda: self._free(address))

    def create_stream(self) -> Stream:
        self._enter()
        self.streams += 1

        def destroy() -> None:
            self._enter()
            self.streams -= 1

        return Stream(7, None, self._enter, destroy)

    def upload(self, source: np.ndarray, target: DeviceMemory, stream: Stream) -> None:
        self._enter()
        as_array(target.address, source.shape, source.dtype)[:] = source

    def download(self, source: DeviceMemory, target: np.ndarray, stream: Stream) -> None:
        self._enter()
        target[:] = as_array(source.address, target.shape, target.dtype)


class Plan:
    """TensorRT's engine, whose embedding of a picture is its sum in every column."""

    def __init__(self) -> None:
        self.contexts = 0
        self.errors = ErrorCollector()
        self.fails = False

    def create_execution_context(self) -> Context:
        self.contexts += 1
        return Context(self)


class Context:
    """TensorRT's execution context; it refuses shapes past the profile, as the real one does."""

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
        self.shape = shape
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == 7
        if self.plan.fails:
            self.plan.errors.record("ERROR", "Error Code 1: Cuda Runtime (an illegal memory access)")
            return False
        pictures = as_array(self.addresses["images"], self.shape, np.uint8)
        rows = as_array(self.addresses["embeddings"], (len(pictures), SIZE), np.float32)
        rows[:] = pictures.reshape(len(pictures), -1).sum(1, dtype=np.float32)[:, None]
        return True


def engine_on(cuda: Memory, plan: Plan) -> TensorRTEngine:
    """An engine as its constructor leaves it, which needs a real plan."""
    engine = TensorRTEngine.__new__(TensorRTEngine)
    engine._library = Library("tensorrt", "10.3.0", SimpleNamespace(), None, plan.errors)
    engine._cuda, engine._engine, engine._largest = cuda, plan, LARGEST
    engine._item_shape, engine._dtype, engine._embedding_size = PICTURE, np.dtype(np.uint8), SIZE
    engine._local = threading.local()
    return engine


def batch_of(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (count, *PICTURE), dtype=np.uint8)


def sums(batch: np.ndarray) -> np.ndarray:
    return np.repeat(batch.reshape(len(batch), -1).sum(1, dtype=np.float32)[:, None], SIZE, axis=1)


def test_batches_of_all_sizes_go_through_the_same_memory() -> None:
    cuda, plan = Memory(), Plan()
    engine = engine_on(cuda, plan)
    results = [(batch, engine.infer(batch)) for batch in map(batch_of, (4, 1, 3, 3, 4), range(5))]
    # Compared at the end: a later call must not change what an earlier one returned.
    for batch, rows in results:
        assert rows.dtype == np.float32
        assert np.array_equal(rows, sums(batch))
    assert (len(cuda.alive), cuda.streams, plan.contexts) == (4, 1, 1)


def test_a_batch_that_is_not_contiguous_is_copied_as_it_reads() -> None:
    batch = batch_of(4)[::-1]
    assert np.array_equal(engine_on(Memory(), Plan()).infer(batch), sums(batch))


def test_threads_have_contexts_of_their_own_and_leave_nothing() -> None:
    cuda, plan = Memory(), Plan()
    engine = engine_on(cuda, plan)
    start, wrong = threading.Barrier(4), []

    def work(seed: int) -> None:
        start.wait()
        for step in range(50):
            batch = batch_of(step % LARGEST + 1, seed * 100 + step)
            if not np.array_equal(engine.infer(batch), sums(batch)):
                wrong.append(seed)
        start.wait()
        # All four are at work, each in its own.
        seen.append(plan.contexts)
        start.wait()

    seen: list[int] = []
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    assert (wrong, seen) == ([], [4] * 4)
    assert (len(cuda.alive), cuda.streams, plan.contexts, cuda.outside) == (0, 0, 0, 0)


def test_an_engine_that_goes_leaves_nothing() -> None:
    cuda, plan = Memory(), Plan()
    engine = engine_on(cuda, plan)
    engine.infer(batch_of(2))
    assert cuda.alive
    del engine
    gc.collect()
    assert (len(cuda.alive), cuda.streams, plan.contexts, cuda.outside) == (0, 0, 0, 0)


def test_running_out_of_memory_leaves_nothing_and_is_one_line() -> None:
    # Room for the pictures' two buffers, and not for the embeddings.
    pictures = LARGEST * int(np.prod(PICTURE))
    cuda, plan = Memory(room=2 * pictures + 10), Plan()
    engine = engine_on(cuda, plan)
    for _ in range(2):
        with pytest.raises(UnavailableError, match="out of memory"):
            engine.infer(batch_of(1))
    gc.collect()
    assert (len(cuda.alive), cuda.streams, plan.contexts, cuda.outside) == (0, 0, 0, 0)


def test_a_failure_says_tensorrts_own_reason_and_the_next_call_may_work() -> None:
    plan = Plan()
    engine = engine_on(Memory(), plan)
    plan.fails = True
    with pytest.raises(
        UnavailableError, match=r"TensorRT 10\.3\.0 could not run the engine: .*illegal memory"
    ):
        engine.infer(batch_of(2))
    plan.fails = False
    assert np.array_equal(engine.infer(batch_of(2)), sums(batch_of(2)))


def test_no_context_is_an_error_with_a_reason() -> None:
    plan, cuda = Plan(), Memory()

    def fail() -> None:
        plan.errors.record("ERROR", "Error Code 2: OutOfMemory")

    engine = SimpleNamespace(create_execution_context=fail)
    library = Library("tensorrt", "10.3.0", SimpleNamespace(), None, plan.errors)
    with pytest.raises(UnavailableError, match="OutOfMemory"), cuda.current():
        _Session(cuda, library, engine, ((LARGEST, *PICTURE), np.dtype(np.uint8)), (LARGEST, SIZE))
    gc.collect()
    assert not cuda.alive


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        # Larger than the plan's memory.
        (batch_of(5), "expected at most 4 pictures, got 5"),
        # Floats for an engine that takes bytes would be cut to them without a word.
        (batch_of(2).astype(np.float32), "expected a batch of uint8"),
        (batch_of(2)[..., :2], "expected a batch of uint8"),
        (batch_of(0), "expected a batch of uint8"),
    ],
)
def test_batches_that_do_not_fit_are_refused(batch: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=said):
        engine_on(Memory(), Plan()).infer(batch)
