"""The packages behind `Cuda` of driver_api: cuda-python, or pycuda as on many Jetsons; whichever is there."""

from __future__ import annotations

import ctypes
import importlib.util
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any

from osnet_edge.runtime.cuda.driver_api import Cuda
from osnet_edge.runtime.cuda.probe import call, cuda_error, open_driver, require_device
from osnet_edge.runtime.errors import UnavailableError


class CudaPython(Cuda):
    """NVIDIA's cuda-python.

    Raises:
        ImportError: it is not installed.
    """

    package = "cuda-python"

    def __init__(self) -> None:
        super().__init__()
        try:
            from cuda.bindings import driver
        except ImportError:
            # Its name until cuda-python 12.6.
            from cuda import cuda as driver
        self._driver: Any = driver
        #: The arguments, by function and position, that must be members of its enumerations.
        self._enums: dict[tuple[str, int], Callable[[int], Any]] = {
            ("cuStreamBeginCapture", 1): driver.CUstreamCaptureMode,
            ("cuPointerGetAttribute", 0): driver.CUpointer_attribute,
        }
        self.do("cuInit", 0)
        # Retained once and for good: the process has one such object, and CUDA frees it at exit.
        self._context = self.do("cuDevicePrimaryCtxRetain", self.do("cuDeviceGet", 0))

    def push(self) -> None:
        """Push the primary context in this thread."""
        self.do("cuCtxPushCurrent", self._context)

    def pop(self) -> None:
        """Pop it."""
        self.do("cuCtxPopCurrent")

    def do(self, function: str, *arguments: Any) -> Any:
        """Call a function of cuda.h; cuda-python returns its error code, and then what it gives back."""
        wrapped = [
            self._enums[function, index](value) if (function, index) in self._enums else value
            for index, value in enumerate(arguments)
        ]
        error, *made = getattr(self._driver, function)(*wrapped)
        if int(error) != 0:
            _, said = self._driver.cuGetErrorString(error)
            raise cuda_error(said.decode(errors="replace") if said else str(error), function)
        if len(made) > 1:
            return tuple(int(item) for item in made)
        # A context must go back as the object that it is.
        return None if not made else made[0] if function.endswith("Retain") else int(made[0])


_OUT, _IN = ctypes.POINTER(c_void_p), c_void_p
#: Each function's name in the driver, and its parameters; pointers to a type are what it gives back.
_SIGNATURES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "cuMemAlloc": ("cuMemAlloc_v2", (_OUT, c_size_t)),
    "cuMemFree": ("cuMemFree_v2", (_IN,)),
    "cuMemHostAlloc": ("cuMemHostAlloc", (_OUT, c_size_t, c_uint)),
    "cuMemFreeHost": ("cuMemFreeHost", (_IN,)),
    "cuMemcpyHtoDAsync": ("cuMemcpyHtoDAsync_v2", (_IN, _IN, c_size_t, _IN)),
    "cuMemcpyDtoHAsync": ("cuMemcpyDtoHAsync_v2", (_IN, _IN, c_size_t, _IN)),
    "cuMemcpyDtoDAsync": ("cuMemcpyDtoDAsync_v2", (_IN, _IN, c_size_t, _IN)),
    "cuStreamCreate": ("cuStreamCreate", (_OUT, c_uint)),
    "cuStreamSynchronize": ("cuStreamSynchronize", (_IN,)),
    "cuStreamDestroy": ("cuStreamDestroy_v2", (_IN,)),
    "cuStreamWaitEvent": ("cuStreamWaitEvent", (_IN, _IN, c_uint)),
    "cuStreamBeginCapture": ("cuStreamBeginCapture_v2", (_IN, c_int)),
    "cuStreamEndCapture": ("cuStreamEndCapture", (_IN, _OUT)),
    "cuEventCreate": ("cuEventCreate", (_OUT, c_uint)),
    "cuEventRecord": ("cuEventRecord", (_IN, _IN)),
    "cuEventDestroy": ("cuEventDestroy_v2", (_IN,)),
    "cuGraphInstantiate": ("cuGraphInstantiateWithFlags", (_OUT, _IN, c_uint64)),
    "cuGraphDestroy": ("cuGraphDestroy", (_IN,)),
    "cuGraphLaunch": ("cuGraphLaunch", (_IN, _IN)),
    "cuGraphExecDestroy": ("cuGraphExecDestroy", (_IN,)),
    "cuModuleLoadData": ("cuModuleLoadData", (_OUT, _IN)),
    "cuModuleGetFunction": ("cuModuleGetFunction", (_OUT, _IN, ctypes.c_char_p)),
    "cuModuleUnload": ("cuModuleUnload", (_IN,)),
    "cuLaunchKernel": ("cuLaunchKernel", (_IN, *[c_uint] * 7, _IN, _IN, _IN)),
    "cuPointerGetAttribute": ("cuPointerGetAttribute", (ctypes.POINTER(c_int), c_int, _IN)),
    "cuDevicePrimaryCtxGetState": (
        "cuDevicePrimaryCtxGetState",
        (c_int, ctypes.POINTER(c_uint), ctypes.POINTER(c_int)),
    ),
}


class PyCuda(Cuda):
    """pycuda for the context, of which it keeps a stack of its own, and the driver itself for the rest.

    pycuda has no graphs and no streams of others, and what it has is the same functions of the driver.

    Raises:
        ImportError: it is not installed.
    """

    package = "pycuda"

    def __init__(self) -> None:
        super().__init__()
        from pycuda import driver

        self._pycuda: Any = driver
        self._driver = open_driver()
        with self._errors("cuDevicePrimaryCtxRetain"):
            driver.init()
            self._context = driver.Device(0).retain_primary_context()

    def push(self) -> None:
        """Push the primary context in this thread."""
        with self._errors("cuCtxPushCurrent"):
            self._context.push()

    def pop(self) -> None:
        """Pop it."""
        with self._errors("cuCtxPopCurrent"):
            self._pycuda.Context.pop()

    def do(self, function: str, *arguments: Any) -> Any:
        """Call a function of cuda.h in the driver."""
        symbol, parameters = _SIGNATURES[function]
        given, passed, made = iter(arguments), list[Any](), list[Any]()
        for parameter in parameters:
            if isinstance(parameter, type(_OUT)):
                made.append(parameter._type_())
                passed.append(ctypes.byref(made[-1]))
            else:
                passed.append(parameter(next(given)))
        call(self._driver, symbol, *passed)
        values = tuple(item.value or 0 for item in made)
        return values if len(values) > 1 else values[0] if values else None

    @contextmanager
    def _errors(self, function: str) -> Iterator[None]:
        try:
            yield
        except self._pycuda.Error as error:
            raise cuda_error(str(error), function) from None


_opened: list[Cuda] = []
_opening = threading.Lock()


def open_cuda() -> Cuda:
    """Return CUDA through the package that is installed: cuda-python, else pycuda; one for the whole process.

    Raises:
        UnavailableError: there is no GPU, or neither package, or the process forked after using CUDA.
    """
    require_device("CUDA")
    with _opening:
        if _opened and not _opened[-1].is_alive():
            _opened.pop().give_up()
        if not _opened:
            _opened.append(_open())
        return _opened[-1]


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
    for package in (CudaPython, PyCuda):
        try:
            return package()
        except ImportError:
            continue
    raise UnavailableError(
        "running a TensorRT engine needs cuda-python or pycuda, and neither is installed; "
        "install one with: pip install cuda-python"
    )
