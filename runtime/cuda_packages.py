"""CUDA through cuda-python and through pycuda, behind `osnet_edge.runtime.cuda.Cuda`.

Both use the driver API and the GPU's primary context, which CUDA's runtime API and so TensorRT, torch and
other libraries share. The context is pushed for a call and popped after it, so that a program's own contexts
stay as they were. cuda-python's `runtime` module would not do: a newer one refuses an older driver, such as a
Jetson's, which the `driver` module works with.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from osnet_edge.runtime.cuda import DeviceMemory, PinnedArray, Stream, as_array
from osnet_edge.runtime.errors import UnavailableError

#: CU_STREAM_NON_BLOCKING of cuda.h: no waiting for the default stream.
NON_BLOCKING = 1


class CudaPython:
    """NVIDIA's cuda-python.

    Raises:
        ImportError: it is not installed.
    """

    package = "cuda-python"

    def __init__(self) -> None:
        try:
            from cuda.bindings import driver
        except ImportError:
            # Its name until cuda-python 12.6.
            from cuda import cuda as driver
        self._driver: Any = driver
        self._do("cuInit", 0)
        # Retained once and for good: the process has one such object, and CUDA frees it at exit.
        self._context = self._do("cuDevicePrimaryCtxRetain", self._do("cuDeviceGet", 0))

    @contextmanager
    def current(self) -> Iterator[None]:
        """Push the primary context, and pop it after."""
        self._do("cuCtxPushCurrent", self._context)
        try:
            yield
        finally:
            self._do("cuCtxPopCurrent")

    def allocate(self, nbytes: int) -> DeviceMemory:
        """Allocate memory of the GPU."""
        pointer = self._do("cuMemAlloc", nbytes)
        return DeviceMemory(int(pointer), nbytes, lambda: self._do("cuMemFree", pointer))

    def pin(self, shape: tuple[int, ...], dtype: DTypeLike) -> PinnedArray:
        """Allocate a page-locked array."""
        pointer = self._do("cuMemHostAlloc", int(np.prod(shape)) * np.dtype(dtype).itemsize, 0)
        return PinnedArray(as_array(int(pointer), shape, dtype), lambda: self._do("cuMemFreeHost", pointer))

    def create_stream(self) -> Stream:
        """Create a stream that does not wait for the default one."""
        stream = self._do("cuStreamCreate", NON_BLOCKING)
        return Stream(
            int(stream),
            stream,
            lambda: self._do("cuStreamSynchronize", stream),
            lambda: self._do("cuStreamDestroy", stream),
        )

    def upload(self, source: NDArray[Any], target: DeviceMemory, stream: Stream) -> None:
        """Queue a copy to the GPU."""
        self._do("cuMemcpyHtoDAsync", target.address, source.ctypes.data, source.nbytes, stream.native)

    def download(self, source: DeviceMemory, target: NDArray[Any], stream: Stream) -> None:
        """Queue a copy from the GPU."""
        self._do("cuMemcpyDtoHAsync", target.ctypes.data, source.address, target.nbytes, stream.native)

    def _do(self, function: str, *arguments: Any) -> Any:
        """Call a function of the driver API, which returns its error code and then what it made."""
        error, *made = getattr(self._driver, function)(*arguments)
        if int(error) != 0:
            _, said = self._driver.cuGetErrorString(error)
            text = said.decode(errors="replace") if isinstance(said, bytes) else str(error)
            raise UnavailableError(f"CUDA says: {text} ({function})")
        return made[0] if made else None


class PyCuda:
    """pycuda, which many Jetson images have.

    Raises:
        ImportError: it is not installed.
    """

    package = "pycuda"

    def __init__(self) -> None:
        from pycuda import driver

        self._driver: Any = driver
        driver.init()
        self._context = driver.Device(0).retain_primary_context()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Push the primary context, and pop it after."""
        try:
            self._context.push()
            try:
                yield
            finally:
                self._driver.Context.pop()
        except self._driver.Error as error:
            raise UnavailableError(f"CUDA says: {error}") from None

    def allocate(self, nbytes: int) -> DeviceMemory:
        """Allocate memory of the GPU."""
        memory = self._driver.mem_alloc(nbytes)
        return DeviceMemory(int(memory), nbytes, memory.free)

    def pin(self, shape: tuple[int, ...], dtype: DTypeLike) -> PinnedArray:
        """Allocate a page-locked array."""
        array = self._driver.pagelocked_empty(shape, np.dtype(dtype))
        return PinnedArray(array, array.base.free)

    def create_stream(self) -> Stream:
        """Create a stream that does not wait for the default one."""
        stream = self._driver.Stream(NON_BLOCKING)
        # pycuda destroys a stream with its last reference.
        return Stream(stream.handle, stream, stream.synchronize, lambda: None)

    def upload(self, source: NDArray[Any], target: DeviceMemory, stream: Stream) -> None:
        """Queue a copy to the GPU."""
        self._driver.memcpy_htod_async(target.address, source, stream.native)

    def download(self, source: DeviceMemory, target: NDArray[Any], stream: Stream) -> None:
        """Queue a copy from the GPU."""
        self._driver.memcpy_dtoh_async(target, source.address, stream.native)
