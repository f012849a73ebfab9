"""Whether there is a GPU at all: the driver itself, asked through ctypes.

It needs no CUDA package and survives a machine without a driver, where TensorRT's own runtime object may
crash the process.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from typing import Any, NamedTuple

from osnet_edge.runtime.errors import UnavailableError

#: CUdevice_attribute values of cuda.h.
_MAJOR, _MINOR = 75, 76
#: What to do in a process that cannot use CUDA any more.
FORKED = (
    "CUDA was used before this process forked, and does not work in the child; start workers with "
    "multiprocessing's spawn, or load no engine before the fork"
)
#: What to do where the context is gone.
RESET = "the program has reset the GPU since this was loaded; load the engine again"
#: What to do about some of CUDA's errors, by what it calls them.
_ADVICE = {
    "out of memory": "free memory of the GPU, or use smaller batches",
    "initialization error": FORKED,
    "context is destroyed": RESET,
    "invalid device context": RESET,
    "invalid resource handle": RESET,
}


class CudaDevice(NamedTuple):
    """One GPU: what its maker calls it, and its compute capability such as `8.6`."""

    name: str
    compute_capability: str


def open_driver() -> Any:
    """Load the driver's own library.

    Raises:
        UnavailableError: there is none.
    """
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        return ctypes.CDLL(name)
    except OSError:
        raise UnavailableError(f"no NVIDIA driver is installed ({name} is not there)") from None


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
    try:
        driver = open_driver()
        call(driver, "cuInit", 0)
        version, count = ctypes.c_int(), ctypes.c_int()
        call(driver, "cuDriverGetVersion", ctypes.byref(version))
        call(driver, "cuDeviceGetCount", ctypes.byref(count))
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


def _describe(driver: Any, index: int) -> CudaDevice:
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name = ctypes.create_string_buffer(256)
    call(driver, "cuDeviceGet", ctypes.byref(device), index)
    call(driver, "cuDeviceGetName", name, len(name), device)
    call(driver, "cuDeviceGetAttribute", ctypes.byref(major), _MAJOR, device)
    call(driver, "cuDeviceGetAttribute", ctypes.byref(minor), _MINOR, device)
    return CudaDevice(name.value.decode(errors="replace"), f"{major.value}.{minor.value}")


def call(driver: Any, function: str, *arguments: Any) -> None:
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
        raise UnavailableError(f"the NVIDIA driver has no {function}; it is too old, update it") from None
    said = (text.value or b"unknown error").decode(errors="replace")
    raise cuda_error(said, f"{function}: error {result}")


def cuda_error(said: str, where: str) -> UnavailableError:
    """Return CUDA's error as one line, with what to do about it where that is known.

    Example:
        >>> print(cuda_error("out of memory", "cuMemAlloc"))
        CUDA says: out of memory (cuMemAlloc); free memory of the GPU, or use smaller batches
    """
    advice = [f"; {what}" for phrase, what in _ADVICE.items() if phrase in said.lower()]
    return UnavailableError(f"CUDA says: {said} ({where}){''.join(advice[:1])}")
