"""CUDA as an engine uses it: one small interface, with a package of `bindings` behind it.

Every call is CUDA's driver API on the first GPU, in its primary context, which CUDA's runtime API and so
TensorRT, torch and CuPy share. The context is pushed for a call and popped after it, in whatever thread, so
that a program's own contexts stay as they were and a call from any thread finds one.

CUDA's runtime API would not do: a newer one refuses an older driver, such as a Jetson's, which the driver API
works with.
"""

from __future__ import annotations

import ctypes
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from osnet_edge.runtime.cuda.probe import FORKED, RESET
from osnet_edge.runtime.errors import UnavailableError

#: CU_STREAM_NON_BLOCKING of cuda.h: no waiting for the default stream.
_NON_BLOCKING = 1
#: CU_EVENT_DISABLE_TIMING: an event that only orders streams.
_ORDER_ONLY = 2
#: CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: what other threads do meanwhile, such as allocating, is let be.
_THREAD_LOCAL = 1
#: CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL.
_ORDINAL = 9


@dataclass(frozen=True)
class DeviceMemory:
    """Memory of the GPU; it stays until `free` is called."""

    address: int
    nbytes: int
    free: Callable[[], None]


@dataclass(frozen=True)
class PinnedArray:
    """An array in page-locked memory, which the GPU copies from and to by itself; it stays until `free`."""

    array: NDArray[Any]
    free: Callable[[], None]


@dataclass(frozen=True)
class Stream:
    """A queue of work for the GPU; `handle` is the cudaStream_t as a number."""

    handle: int
    synchronize: Callable[[], None]
    destroy: Callable[[], None]


@dataclass(frozen=True)
class Graph:
    """Captured work, which `launch` queues as a whole on the stream that it was captured from."""

    launch: Callable[[], None]
    destroy: Callable[[], None]


@dataclass(frozen=True)
class Module:
    """Compiled kernels: `launch(name, blocks, threads, arguments, stream)`; arguments are numpy scalars."""

    launch: Callable[[str, tuple[int, int, int], int, tuple[np.generic, ...], Stream], None]
    unload: Callable[[], None]


def as_array(address: int, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """View memory at `address` as an array; the caller keeps that memory alive."""
    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    buffer = (ctypes.c_uint8 * nbytes).from_address(address)
    array: NDArray[Any] = np.frombuffer(memoryview(buffer), np.uint8).view(dtype).reshape(shape)
    return array


class Cuda(ABC):
    """CUDA on the first GPU; every call but `current` and `is_alive` is made inside `current`.

    Each raises `UnavailableError`, one line in CUDA's own words, where the driver says that it failed.

    Attributes:
        package: what is behind it.
    """

    package: str

    def __init__(self) -> None:
        self._process, self._is_lost = os.getpid(), False

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the primary context current in this thread, and restore what was current before.

        Raises:
            UnavailableError: the process forked since, or the context is gone.
        """
        if os.getpid() != self._process:
            raise UnavailableError(FORKED)
        if self._is_lost:
            raise UnavailableError(RESET)
        self.push()
        try:
            yield
        finally:
            self.pop()

    def is_alive(self) -> bool:
        """Return whether the context can still be used: the program may have reset the GPU, or forked."""
        try:
            with self.current():
                _, active = self.do("cuDevicePrimaryCtxGetState", 0)
                return bool(active)
        except UnavailableError:
            return False

    def give_up(self) -> None:
        """Refuse every further call: after a reset, an address of before may be another's memory."""
        self._is_lost = True

    def allocate(self, nbytes: int) -> DeviceMemory:
        """Allocate memory of the GPU."""
        address = self.do("cuMemAlloc", nbytes)
        return DeviceMemory(address, nbytes, lambda: self.do("cuMemFree", address))

    def pin(self, shape: tuple[int, ...], dtype: DTypeLike) -> PinnedArray:
        """Allocate a page-locked array."""
        address = self.do("cuMemHostAlloc", int(np.prod(shape)) * np.dtype(dtype).itemsize, 0)
        return PinnedArray(as_array(address, shape, dtype), lambda: self.do("cuMemFreeHost", address))

    def create_stream(self) -> Stream:
        """Create a stream that does not wait for the default one."""
        stream = self.do("cuStreamCreate", _NON_BLOCKING)
        return Stream(
            stream,
            lambda: self.do("cuStreamSynchronize", stream),
            lambda: self.do("cuStreamDestroy", stream),
        )

    def upload(self, source: NDArray[Any], target: int, stream: Stream) -> None:
        """Queue a copy of a contiguous pinned array to the GPU; `source` must stay as it is until then."""
        self.do("cuMemcpyHtoDAsync", target, source.ctypes.data, source.nbytes, stream.handle)

    def download(self, source: int, target: NDArray[Any], stream: Stream) -> None:
        """Queue a copy from the GPU that fills a contiguous pinned array."""
        self.do("cuMemcpyDtoHAsync", target.ctypes.data, source, target.nbytes, stream.handle)

    def copy(self, source: int, target: int, nbytes: int, stream: Stream) -> None:
        """Queue a copy within the GPU."""
        self.do("cuMemcpyDtoDAsync", target, source, nbytes, stream.handle)

    def wait_for(self, producer: int, stream: Stream) -> None:
        """Let what is queued on `stream` from now on wait for what is queued on another one by now.

        Args:
            producer: a cudaStream_t as a number; 1 and 2 are the legacy and the per-thread default stream.
            stream: ours.
        """
        event = self.do("cuEventCreate", _ORDER_ONLY)
        try:
            self.do("cuEventRecord", event, producer)
            self.do("cuStreamWaitEvent", stream.handle, event, 0)
        finally:
            # The driver keeps it until both streams have passed it.
            self.do("cuEventDestroy", event)

    def device_of(self, address: int) -> int:
        """Return the number of the GPU that memory belongs to."""
        return int(self.do("cuPointerGetAttribute", _ORDINAL, address))

    def capture(self, work: Callable[[], None], stream: Stream) -> Graph:
        """Record what `work` queues on a stream, which does not run, as a graph.

        Raises:
            UnavailableError: it cannot be captured; the stream is as before.
            Exception: what `work` raises; as above.
        """
        self.do("cuStreamBeginCapture", stream.handle, _THREAD_LOCAL)
        try:
            work()
        except BaseException:
            self._abandon_capture(stream)
            raise
        graph = self.do("cuStreamEndCapture", stream.handle)
        try:
            made = self.do("cuGraphInstantiate", graph, 0)
        finally:
            self.do("cuGraphDestroy", graph)
        return Graph(
            lambda: self.do("cuGraphLaunch", made, stream.handle),
            lambda: self.do("cuGraphExecDestroy", made),
        )

    def load(self, image: bytes) -> Module:
        """Load a cubin."""
        buffer = ctypes.create_string_buffer(image)
        module = self.do("cuModuleLoadData", ctypes.addressof(buffer))
        functions: dict[str, int] = {}

        def launch(
            name: str, blocks: tuple[int, int, int], threads: int, given: tuple[np.generic, ...], on: Stream
        ) -> None:
            if name not in functions:
                functions[name] = self.do("cuModuleGetFunction", module, name.encode())
            values = [np.array(value) for value in given]
            pointers = np.array([value.ctypes.data for value in values], np.uint64)
            shape = (*blocks, threads, 1, 1)
            self.do("cuLaunchKernel", functions[name], *shape, 0, on.handle, pointers.ctypes.data, 0)

        return Module(launch, lambda: self.do("cuModuleUnload", module))

    def _abandon_capture(self, stream: Stream) -> None:
        try:
            if graph := self.do("cuStreamEndCapture", stream.handle):
                self.do("cuGraphDestroy", graph)
        except UnavailableError:
            # So the driver says that the capture was broken, which is known.
            pass

    @abstractmethod
    def push(self) -> None:
        """Push the primary context in this thread."""

    @abstractmethod
    def pop(self) -> None:
        """Pop it."""

    @abstractmethod
    def do(self, function: str, *arguments: Any) -> Any:
        """Call a function of cuda.h, by its name there, with numbers for pointers and handles.

        Returns:
            What it gives back: a number, two in a tuple, or None.
        """
