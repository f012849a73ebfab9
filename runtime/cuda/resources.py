"""What CUDA gives and takes back: memory, streams, graphs and compiled kernels, as plain values."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


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
