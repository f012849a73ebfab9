"""What each thread needs to run a plan: a context, a stream, memory, and a CUDA graph for each batch size."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osnet_edge.runtime.backends.tensorrt.buckets import bucket_of
from osnet_edge.runtime.backends.tensorrt.library import first_line, log
from osnet_edge.runtime.backends.tensorrt.loading import LoadedPlan, give_back
from osnet_edge.runtime.cuda.crops import CropCutter, CropTable, GrowingBuffer
from osnet_edge.runtime.cuda.driver_api import Graph
from osnet_edge.runtime.errors import UnavailableError
from osnet_edge.runtime.package.graph_info import INPUT_NAME as INPUT
from osnet_edge.runtime.package.graph_info import OUTPUT_NAME as OUTPUT
from osnet_edge.runtime.preprocessing import Picture

#: Runs of a batch size after which compiled kernels are kept: TensorRT-RTX goes on compiling after the first.
_SAVED_AFTER = (1, 10, 100, 1000)


class Session:
    """One thread's objects for a plan; made and called while the plan's CUDA context is current."""

    def __init__(self, plan: LoadedPlan) -> None:
        self._plan, cuda = plan, plan.cuda
        self._shape = 0
        self._graphs: dict[int, Graph] = {}
        self._runs: Counter[int] = Counter()
        self._closers: list[Callable[[], None]] = []
        # Runs when the thread ends, when the engine goes, or before the interpreter shuts down.
        weakref.finalize(self, give_back, cuda, self._closers)
        self.stream = cuda.create_stream()
        self._closers.append(self.stream.destroy)
        images = (plan.most, *plan.preprocessing.input_shape)
        self._images, self._input = self._reserve(images, plan.preprocessing.dtype)
        self._rows, self._output = self._reserve((plan.most, plan.embedding_size), np.dtype(np.float32))
        self._frame = GrowingBuffer(cuda)
        self._closers.append(self._frame.free)
        if plan.kernels:
            self._cutter = CropCutter(cuda, plan.kernels, plan.preprocessing)
            self._closers.append(self._cutter.free)
        with plan.library.errors.listen() as errors:
            # Referenced only by this list, so that closing deletes the last reference before the memory is
            # freed.
            self._context = [context for context in [plan.create_context()] if context is not None]
            self._closers.append(self._context.clear)
            self._check(bool(self._context), errors)
            self._check(self._context[0].set_tensor_address(INPUT, self._input), errors)
            self._check(self._context[0].set_tensor_address(OUTPUT, self._output), errors)

    def run_host(self, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        """Run a batch that is in the host's memory: copy in, run, copy out, wait."""
        images = self._images[: len(batch)]
        np.copyto(images, batch)
        return self._run(len(batch), lambda: self._plan.cuda.upload(images, self._input, self.stream))

    def time_parts(self, batch: NDArray[np.generic], *, replay: bool) -> dict[str, float]:
        """Run a batch as `run_host` does, waiting after each part, and return how long each took, in ms.

        Args:
            batch: with at most as many images as the plan accepts.
            replay: whether a graph is launched, if there is one.
        """
        images, rows = self._images[: len(batch)], self._rows[: len(batch)]
        np.copyto(images, batch)
        bucket = bucket_of(len(batch), self._plan.least, self._plan.most)
        cuda, watch = self._plan.cuda, _Watch(self.stream.synchronize)
        with self._plan.library.errors.listen() as errors:
            try:
                cuda.upload(images, self._input, self.stream)
                watch.wait("input_ms")
                self._enqueue(bucket, errors, replay=replay)
                watch.note("enqueue_ms")
                watch.wait("compute_ms")
                cuda.download(self._output, rows, self.stream)
                watch.wait("output_ms")
            finally:
                self.stream.synchronize()
        return watch.ms

    def run_device(self, address: int, size: int) -> NDArray[np.float32]:
        """Run a batch that is in the GPU's memory, after a copy to the address that graphs expect."""
        nbytes = self._images[:size].nbytes
        return self._run(size, lambda: self._plan.cuda.copy(address, self._input, nbytes, self.stream))

    def run_crops(self, crops: CropTable, *, bgr: bool) -> NDArray[np.float32]:
        """Run crops that are in the GPU's memory, at most a batch."""
        return self._run(len(crops), lambda: self._cutter.cut(crops, self._input, self.stream, bgr=bgr))

    def upload_frame(self, rows: Picture) -> int:
        """Enqueue a copy of an image to the GPU, and return its address; the next call overwrites it."""
        return self._frame.upload(rows, self.stream)

    def _run(self, size: int, fill: Callable[[], None]) -> NDArray[np.float32]:
        """Enqueue the input, the engine and the copy back, and wait."""
        cuda, rows = self._plan.cuda, self._rows[:size]
        bucket = bucket_of(size, self._plan.least, self._plan.most)
        with self._plan.library.errors.listen() as errors:
            try:
                fill()
                self._enqueue(bucket, errors, replay=True)
                # Rows past `size` are of older images, and no row depends on another.
                cuda.download(self._output, rows, self.stream)
            finally:
                # Also after a failure: the next call overwrites memory that an enqueued copy may still read.
                self.stream.synchronize()
        result: NDArray[np.float32] = rows.copy()
        self._runs[bucket] += 1
        if self._runs[bucket] == 1:
            self._capture(bucket, result)
        if self._plan.cache and self._runs[bucket] in _SAVED_AFTER:
            self._plan.cache.save()
        return result

    def _enqueue(self, bucket: int, errors: list[str], *, replay: bool) -> None:
        graph = self._graphs.get(bucket) if replay else None
        if graph:
            graph.launch()
        else:
            self._execute(bucket, errors)

    def _execute(self, bucket: int, errors: list[str]) -> None:
        if bucket != self._shape:
            # If a shape is refused, none is set.
            self._shape = 0
            shape = (bucket, *self._plan.preprocessing.input_shape)
            self._check(self._context[0].set_input_shape(INPUT, shape), errors)
            self._shape = bucket
        self._check(self._context[0].execute_async_v3(self.stream.handle), errors)

    def _capture(self, bucket: int, expected: NDArray[np.float32]) -> None:
        """Capture a graph, now that the batch size has run once, which TensorRT requires before a capture."""
        if not self._plan.can_capture:
            return
        try:
            with self._plan.lock, self._plan.library.errors.listen() as errors:
                graph = self._plan.cuda.capture(lambda: self._execute(bucket, errors), self.stream)
            # Graphs are deleted before the context and the memory that they use.
            self._closers.append(graph.destroy)
            self._replay(graph, expected)
        except UnavailableError as error:
            self._plan.can_capture = False
            self._plan.graphs = f"no CUDA graphs: {error}"
            log.warning("%s", self._plan.graphs)
            return
        self._graphs[bucket] = graph

    def _replay(self, graph: Graph, expected: NDArray[np.float32]) -> None:
        """Compare a graph with the run before it: the same input is still in place."""
        rows = self._rows[: len(expected)]
        rows[:] = np.nan
        try:
            graph.launch()
            self._plan.cuda.download(self._output, rows, self.stream)
        finally:
            self.stream.synchronize()
        if not np.allclose(rows, expected, rtol=1e-2, atol=1e-3 * np.abs(expected).max()):
            raise UnavailableError("a captured graph gave other embeddings than the engine")

    def _reserve(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[NDArray[Any], int]:
        """Return a pinned array, and the address of GPU memory of the same size."""
        pinned = self._plan.cuda.pin(shape, dtype)
        self._closers.append(pinned.free)
        memory = self._plan.cuda.allocate(pinned.array.nbytes)
        self._closers.append(memory.free)
        return pinned.array, memory.address

    def _check(self, succeeded: bool, errors: list[str]) -> None:
        if not succeeded:
            raise UnavailableError(f"{self._plan.library} could not run the engine: {first_line(errors)}")


class _Watch:
    """Milliseconds between two moments at which the stream is empty."""

    def __init__(self, empty: Callable[[], None]) -> None:
        self._empty, self.ms = empty, dict[str, float]()
        empty()
        self._began = perf_counter()

    def note(self, part: str) -> None:
        self.ms[part] = 1000 * (perf_counter() - self._began)

    def wait(self, part: str) -> None:
        self._empty()
        self.note(part)
        self._began = perf_counter()
