"""Arrays of other libraries in the GPU's memory (torch, CuPy, Numba, ...), taken where they lie.

Sources: NumPy's array API for `__dlpack__` and the struct of dlpack.h (DLPack 0.8); Numba's specification of
`__cuda_array_interface__`, version 3.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from osnet_edge.runtime.cuda.driver_api import Cuda, Stream
from osnet_edge.runtime.errors import InputError, first_line

#: DLDeviceType: memory of the GPU, and memory that both sides may touch.
_CUDA, _MANAGED = 2, 13
#: CU_STREAM_LEGACY, which a library that names no stream is taken to have used.
_LEGACY_STREAM = 1


@dataclass(frozen=True)
class CudaArray:
    """A contiguous array in the GPU's memory, as long as whoever lent it keeps it."""

    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def is_on_gpu(value: object) -> bool:
    """Return whether something is an array in a GPU's memory, by either protocol.

    Example:
        >>> is_on_gpu(np.zeros(3))
        False
    """
    if isinstance(value, np.ndarray):
        return False
    try:
        if hasattr(value, "__dlpack_device__"):
            return int(value.__dlpack_device__()[0]) in (_CUDA, _MANAGED)
        # A torch tensor in ordinary memory raises AttributeError here, and one that needs gradients others.
        return hasattr(value, "__cuda_array_interface__")
    except (AttributeError, BufferError, RuntimeError, TypeError, ValueError):
        return False


def on_gpu(crops: object) -> list[object]:
    """Return crops as a list if they are in a GPU's memory, all of them; else none.

    Args:
        crops: a list of arrays, or one array (N, ...).
    """
    if isinstance(crops, np.ndarray) or not (isinstance(crops, list | tuple) or is_on_gpu(crops)):
        return []
    listed: list[object] = list(crops)  # type: ignore[call-overload]
    return listed if listed and all(is_on_gpu(crop) for crop in listed) else []


def shape_on_gpu(value: Any) -> tuple[int, ...]:
    """Return the shape of an array in a GPU's memory, which stays where it is."""
    shape = value.shape if hasattr(value, "shape") else value.__cuda_array_interface__["shape"]
    return tuple(int(size) for size in shape)


@contextmanager
def borrow(value: Any, cuda: Cuda, stream: Stream) -> Iterator[CudaArray]:
    """Use an array of another library in the GPU's memory, without a copy.

    What is queued on `stream` in the block comes after what its owner queued before; the stream must be idle
    again when the block ends.

    Args:
        value: an array with `__dlpack__` or `__cuda_array_interface__`.
        cuda: whose context is current.
        stream: ours.

    Raises:
        InputError: it is not contiguous, on another GPU, or masked.
    """
    if hasattr(value, "__dlpack__"):
        _, device = value.__dlpack_device__()
        try:
            # Its owner makes our stream wait for what it has queued.
            capsule = value.__dlpack__(stream=stream.handle)
        except Exception as error:
            raise InputError(f"this array cannot be used where it is: {first_line(error)}") from None
        array, release = read_capsule(capsule)
        try:
            _require_first(int(device))
            yield array
        finally:
            release()
        return
    array, producer = read_interface(value.__cuda_array_interface__)
    _require_first(cuda.device_of(array.address))
    if producer is not None:
        cuda.wait_for(producer, stream)
    yield array


def read_interface(interface: dict[str, Any]) -> tuple[CudaArray, int | None]:
    """Read `__cuda_array_interface__`.

    Returns:
        The array, and the stream whose work must come before its use; None where nothing must.

    Raises:
        InputError: it is masked, empty or not contiguous.
    """
    dtype = np.dtype(interface["typestr"])
    shape = tuple(int(size) for size in interface["shape"])
    if interface.get("mask") is not None:
        raise InputError("expected an array without a mask; fill it first")
    strides = interface.get("strides")
    _require_contiguous(shape, strides and tuple(int(step) // dtype.itemsize for step in strides))
    # Version 2 has no stream, and says nothing of who must wait.
    stream = interface.get("stream", _LEGACY_STREAM) if interface.get("version", 0) >= 2 else _LEGACY_STREAM
    return CudaArray(int(interface["data"][0]), shape, dtype), stream


class _Tensor(ctypes.Structure):
    """DLManagedTensor of dlpack.h."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
    )


_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
_rename = ctypes.pythonapi.PyCapsule_SetName
_rename.argtypes = (ctypes.py_object, ctypes.c_char_p)
#: DLDataTypeCode to numpy's kinds; others, such as bfloat16, are no input of an engine.
_KINDS = {0: "i", 1: "u", 2: "f"}
_USED = b"used_dltensor"


def read_capsule(capsule: object) -> tuple[CudaArray, Callable[[], None]]:
    """Take over the tensor in a capsule that `__dlpack__` returned.

    Returns:
        The array, and what must be called once it is no longer used.

    Raises:
        InputError: it is not contiguous, or of a type that numpy lacks.
    """
    address = _pointer(capsule, b"dltensor")
    tensor = _Tensor.from_address(address)
    # So its owner's destructor knows that it is ours to release.
    _rename(capsule, _USED)

    def release() -> None:
        if tensor.deleter:
            tensor.deleter(address)

    try:
        shape = tuple(tensor.shape[index] for index in range(tensor.ndim))
        strides = tuple(tensor.strides[index] for index in range(tensor.ndim)) if tensor.strides else None
        if tensor.code not in _KINDS or tensor.lanes != 1:
            raise InputError(
                f"expected uint8 or float32, got DLPack's type {tensor.code} of {tensor.bits} bits"
            )
        _require_contiguous(shape, strides)
        dtype = np.dtype(f"{_KINDS[tensor.code]}{tensor.bits // 8}")
        return CudaArray((tensor.data or 0) + tensor.byte_offset, shape, dtype), release
    except InputError:
        release()
        raise


def _require_contiguous(shape: tuple[int, ...], strides: tuple[int, ...] | None) -> None:
    """Hold strides, in items, to those of a C-contiguous array."""
    if strides is None or 0 in shape:
        return
    for axis, (size, step) in enumerate(zip(shape, strides, strict=True)):
        if size > 1 and step != math.prod(shape[axis + 1 :]):
            raise InputError(
                f"expected a contiguous array, got shape {shape} with strides {strides}; copy it first, in "
                "torch with .contiguous()"
            )


def _require_first(device: int) -> None:
    if device != 0:
        raise InputError(f"engines run on GPU 0, and this array is on GPU {device}; copy it there first")
