"""As much of `pycuda.driver` as the package uses, the context, on whatever driver is there."""

from __future__ import annotations

import ctypes


class Error(Exception):
    """What pycuda raises."""


def _call(function: str, *arguments: object) -> None:
    if getattr(ctypes.CDLL("libcuda.so.1"), function)(*arguments):
        raise Error(f"{function} failed: initialization error")


def init() -> None:
    _call("cuInit", 0)


class Context:
    def __init__(self) -> None:
        self._handle = ctypes.c_void_p()
        _call("cuDevicePrimaryCtxRetain", ctypes.byref(self._handle), 0)

    def push(self) -> None:
        _call("cuCtxPushCurrent_v2", self._handle)

    @staticmethod
    def pop() -> None:
        _call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))


class Device:
    def __init__(self, index: int) -> None:
        assert index == 0

    def retain_primary_context(self) -> Context:
        return Context()
