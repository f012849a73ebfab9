"""CUDA in ordinary memory, in this process: what an engine does with it can be watched and made to fail.

The calls themselves are tried through the real packages in `test_cuda.py`, on a driver that is a stand-in.
"""

# ruff: noqa: N802, N815 - functions are named as in cuda.h.

from __future__ import annotations

import ctypes
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osnet_edge.runtime.cuda.compile import SOURCE
from osnet_edge.runtime.cuda.driver_api import Cuda
from osnet_edge.runtime.cuda.probe import cuda_error


class Memory(Cuda):
    """Counts what is alive, and what is called outside the context; a capture keeps what it is given."""

    package = "memory"

    def __init__(self, room: int = 1 << 24) -> None:
        super().__init__()
        self.alive: dict[int, np.ndarray] = {}
        self.handles: set[int] = set()
        self.outside = 0
        self.waited: list[tuple[int, int]] = []
        self.moved = {"HtoD": 0, "DtoH": 0, "DtoD": 0}
        self.launched = 0
        self.fails: dict[str, str] = {}
        self._room, self._next = room, 100
        self._thread = threading.local()
        self._graphs: dict[int, list[Callable[[], None]]] = {}
        self._functions: dict[int, Any] = {}
        self._events: dict[int, int] = {}

    @property
    def captured(self) -> list[Callable[[], None]] | None:
        return getattr(self._thread, "captured", None)

    def queue(self, work: Callable[[], None]) -> None:
        """Do it, or keep it while this thread captures."""
        if self.captured is None:
            work()
        else:
            self.captured.append(work)

    def push(self) -> None:
        self._fail("push")
        self._thread.depth = getattr(self._thread, "depth", 0) + 1

    def pop(self) -> None:
        self._thread.depth -= 1

    def do(self, function: str, *arguments: Any) -> Any:
        self.outside += not getattr(self._thread, "depth", 0)
        self._fail(function)
        return getattr(self, f"_{function}")(*arguments)

    def leftovers(self) -> tuple[int, int, int]:
        """What is not given back, and what was called outside: all 0 where all is well."""
        return len(self.alive), len(self.handles), self.outside

    def _fail(self, function: str) -> None:
        if function in self.fails:
            raise cuda_error(self.fails[function], function)

    def _handle(self) -> int:
        self._next += 1
        self.handles.add(self._next)
        return self._next

    def _cuMemAlloc(self, nbytes: int) -> int:
        if sum(item.nbytes for item in self.alive.values()) + nbytes > self._room:
            raise cuda_error("out of memory", "cuMemAlloc")
        # As uninitialised memory may be: not zero, which would hide a read of it.
        block = np.full(nbytes, 0xFF, np.uint8)
        self.alive[block.ctypes.data] = block
        return int(block.ctypes.data)

    def _cuMemHostAlloc(self, nbytes: int, flags: int) -> int:
        return self._cuMemAlloc(nbytes)

    def _cuMemFree(self, address: int) -> None:
        del self.alive[address]

    _cuMemFreeHost = _cuMemFree

    def _move(self, kind: str, target: int, source: int, nbytes: int) -> None:
        self.moved[kind] += nbytes
        self.queue(lambda: ctypes.memmove(target, source, nbytes) and None)

    def _cuMemcpyHtoDAsync(self, target: int, source: int, nbytes: int, stream: int) -> None:
        self._move("HtoD", target, source, nbytes)

    def _cuMemcpyDtoHAsync(self, target: int, source: int, nbytes: int, stream: int) -> None:
        self._move("DtoH", target, source, nbytes)

    def _cuMemcpyDtoDAsync(self, target: int, source: int, nbytes: int, stream: int) -> None:
        self._move("DtoD", target, source, nbytes)

    def _cuStreamCreate(self, flags: int) -> int:
        return self._handle()

    def _cuStreamSynchronize(self, stream: int) -> None:
        assert self.captured is None, "waited for a stream that is being captured"

    def _cuStreamDestroy(self, handle: int) -> None:
        self.handles.remove(handle)

    _cuEventDestroy = _cuModuleUnload = _cuStreamDestroy

    def _cuGraphDestroy(self, handle: int) -> None:
        self.handles.remove(handle)
        del self._graphs[handle]

    _cuGraphExecDestroy = _cuGraphDestroy

    def _cuEventCreate(self, flags: int) -> int:
        return self._handle()

    def _cuEventRecord(self, event: int, stream: int) -> None:
        self._events[event] = stream

    def _cuStreamWaitEvent(self, stream: int, event: int, flags: int) -> None:
        self.waited.append((self._events[event], stream))

    def _cuPointerGetAttribute(self, attribute: int, address: int) -> int:
        return 0

    def _cuDevicePrimaryCtxGetState(self, device: int) -> tuple[int, int]:
        return 0, int("push" not in self.fails)

    def _cuStreamBeginCapture(self, stream: int, mode: int) -> None:
        self._thread.captured = []

    def _cuStreamEndCapture(self, stream: int) -> int:
        handle = self._handle()
        self._graphs[handle], self._thread.captured = self.captured or [], None
        return handle

    def _cuGraphInstantiate(self, graph: int, flags: int) -> int:
        handle = self._handle()
        self._graphs[handle] = self._graphs[graph]
        return handle

    def _cuGraphLaunch(self, made: int, stream: int) -> None:
        self.launched += 1
        for work in self._graphs[made]:
            work()

    def _cuModuleLoadData(self, address: int) -> int:
        handle = self._handle()
        self._functions[handle] = ctypes.CDLL(ctypes.string_at(address).decode())
        return handle

    def _cuModuleGetFunction(self, module: int, name: bytes) -> int:
        self._next += 1
        self._functions[self._next] = getattr(self._functions[module], f"launch_{name.decode()}")
        return self._next

    def _cuLaunchKernel(self, function: int, *given: int) -> None:
        x, y, z, threads, threads_y, threads_z, shared, _stream, arguments, extra = given
        assert (z, threads_y, threads_z, shared, extra) == (1, 1, 1, 0, 0)
        self._functions[function](x, y, threads, ctypes.c_void_p(arguments))


class OnDevice:
    """An array of another library, as its protocols show it: memory of the GPU that is a numpy array here."""

    def __init__(self, array: np.ndarray, **changed: object) -> None:
        self.array, self.shape = array, array.shape
        self.__cuda_array_interface__ = {
            "data": (array.ctypes.data, False),
            "shape": array.shape,
            "typestr": array.dtype.str,
            "strides": None if array.flags.c_contiguous else array.strides,
            "stream": 7,
            "version": 3,
            **changed,
        }


class Exchanged:
    """Likewise by DLPack, whose owner is called with which stream must wait."""

    def __init__(self, array: np.ndarray, device: int = 0) -> None:
        self.array, self.shape, self.device, self.streams = array, array.shape, device, list[int]()

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self.device

    def __dlpack__(self, *, stream: int) -> object:
        self.streams.append(stream)
        return self.array.__dlpack__()


def kernels_on_host(folder: Path) -> Path:
    """Compile the package's CUDA kernels for this machine's processor."""
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("needs a C++ compiler")
    source, made = Path(__file__).with_name("crops_on_host.cpp"), folder / "crops.so"
    # As on the GPU: a * b + c is two roundings.
    options = ["-shared", "-fPIC", "-O2", "-ffp-contract=off", f"-I{SOURCE.resolve().parent}"]
    subprocess.run([compiler, *options, "-o", str(made), str(source)], check=True)
    return made
