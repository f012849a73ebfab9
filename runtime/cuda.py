"""The few CUDA calls that an engine needs, and the question whether there is a GPU at all.

`probe` asks the driver itself, through ctypes: it needs no CUDA package and survives a machine without a
driver, where TensorRT's own runtime object may crash the process. Memory, streams and copies go through
cuda-python or pycuda, whichever is installed; `osnet_edge.runtime.cuda_packages` has both.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from osnet_edge.runtime.errors import UnavailableError

#: CUdevice_attribute values of cuda.h.
_MAJOR, _MINOR = 75, 76


class CudaDevice(NamedTuple):
    """One GPU: what its maker calls it, and its compute capability such as `8.6`."""

    name: str
    compute_capability: str


@dataclass(frozen=True)
class CudaProbe:
    """Whether CUDA can be used here.

    Attributes:
        available: whether there is a driver and at least one GPU.
        reason: why not; empty when it can.
        devices: the GPUs, in the driver's order; engines run on the first.
        driver: CUDA version that the driver supports, such as `12.6`; empty without one.
    """

    available: bool
    reason: str
    devices: tuple[CudaDevice, ...] = ()
    driver: str = ""


def probe() -> CudaProbe:
    """Ask the CUDA driver what GPUs there are; without a driver the answer is why not, never a crash."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver: Any = ctypes.CDLL(name)
    except OSError:
        return CudaProbe(False, f"no NVIDIA driver is installed ({name} is not there)")
    try:
        _call(driver, "cuInit", 0)
        version, count = ctypes.c_int(), ctypes.c_int()
        _call(driver, "cuDriverGetVersion", ctypes.byref(version))
        _call(driver, "cuDeviceGetCount", ctypes.byref(count))
        devices = tuple(_describe(driver, index) for index in range(count.value))
    except UnavailableError as error:
        return CudaProbe(False, str(error))
    supported = f"{version.value // 1000}.{version.value % 1000 // 10}"
    if not devices:
        return CudaProbe(False, "the NVIDIA driver finds no GPU", driver=supported)
    return CudaProbe(True, "", devices, supported)


def require_device(purpose: str) -> CudaDevice:
    """Return the first GPU.

    Args:
        purpose: what it is for, such as `this engine`.

    Raises:
        UnavailableError: there is none; one line that says why.
    """
    found = probe()
    if not found.available:
        raise UnavailableError(
            f"{purpose} needs an NVIDIA GPU, and {found.reason}; use a machine that has one, or an engine "
            "built for cpu"
        )
    return found.devices[0]


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
    """A queue of work for the GPU; `handle` is the cudaStream_t as a number, `native` the package's own."""

    handle: int
    native: Any
    synchronize: Callable[[], None]
    destroy: Callable[[], None]


class Cuda(Protocol):
    """CUDA on the first GPU, in its primary context; every call but `current` is made inside `current`."""

    package: str

    def current(self) -> AbstractContextManager[None]:
        """Make the primary context current in this thread, and restore what was current before.

        Raises:
            UnavailableError: a CUDA call in the block failed; the message is CUDA's own.
        """

    def allocate(self, nbytes: int) -> DeviceMemory:
        """Allocate memory of the GPU."""

    def pin(self, shape: tuple[int, ...], dtype: DTypeLike) -> PinnedArray:
        """Allocate a page-locked array."""

    def create_stream(self) -> Stream:
        """Create a stream that does not wait for the default one."""

    def upload(self, source: NDArray[Any], target: DeviceMemory, stream: Stream) -> None:
        """Queue a copy of a contiguous pinned array to the GPU; `source` must stay as it is until then."""

    def download(self, source: DeviceMemory, target: NDArray[Any], stream: Stream) -> None:
        """Queue a copy from the GPU that fills a contiguous pinned array."""


_opened: list[Cuda] = []
_opening = threading.Lock()


def open_cuda() -> Cuda:
    """Return CUDA through the package that is installed: cuda-python, else pycuda; one for the whole process.

    Raises:
        UnavailableError: there is no GPU, or neither package.
    """
    require_device("CUDA")
    with _opening:
        if not _opened:
            _opened.append(_open())
        return _opened[0]


def find_package() -> str | None:
    """Return the CUDA package that `open_cuda` would use, without loading it; None if there is none."""
    for name, module in (
        ("cuda-python", "cuda.bindings"),
        ("cuda-python", "cuda.cuda"),
        ("pycuda", "pycuda"),
    ):
        try:
            found = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            # The parent is missing.
            continue
        if found is not None:
            return name
    return None


def _open() -> Cuda:
    from osnet_edge.runtime import cuda_packages

    for package in (cuda_packages.CudaPython, cuda_packages.PyCuda):
        try:
            return package()
        except ImportError:
            continue
    raise UnavailableError(
        "running a TensorRT engine needs cuda-python or pycuda, and neither is installed; "
        "install one with: pip install cuda-python"
    )


def as_array(address: int, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """View memory at `address` as an array; the caller keeps that memory alive."""
    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    buffer = (ctypes.c_uint8 * nbytes).from_address(address)
    array: NDArray[Any] = np.frombuffer(memoryview(buffer), np.uint8).view(dtype).reshape(shape)
    return array


def _describe(driver: Any, index: int) -> CudaDevice:
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name = ctypes.create_string_buffer(256)
    _call(driver, "cuDeviceGet", ctypes.byref(device), index)
    _call(driver, "cuDeviceGetName", name, len(name), device)
    _call(driver, "cuDeviceGetAttribute", ctypes.byref(major), _MAJOR, device)
    _call(driver, "cuDeviceGetAttribute", ctypes.byref(minor), _MINOR, device)
    return CudaDevice(name.value.decode(errors="replace"), f"{major.value}.{minor.value}")


def _call(driver: Any, function: str, *arguments: Any) -> None:
    """Call a function of the driver.

    Raises:
        UnavailableError: it is missing, or it says that it failed.
    """
    try:
        result = getattr(driver, function)(*arguments)
        if result == 0:
            return
        text = ctypes.c_char_p()
        driver.cuGetErrorString(result, ctypes.byref(text))
    except AttributeError:
        raise UnavailableError(f"the NVIDIA driver has no {function}") from None
    said = (text.value or b"unknown error").decode(errors="replace")
    raise UnavailableError(f"the NVIDIA driver says: {said} ({function}: error {result})")
