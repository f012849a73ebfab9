"""The package's CUDA C to a cubin, by NVRTC through cuda-python or CuPy, or by pycuda's nvcc."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from osnet_edge.runtime.errors import UnavailableError, first_line

SOURCE = Path(__file__).with_name("crops.cu")
#: Multiplying and adding in one rounding would differ from the CPU in the last bit.
_OPTIONS = ("--fmad=false",)


@functools.lru_cache(maxsize=4)
def compile_crops(capability: str) -> bytes:
    """Compile `crops.cu` for a GPU, once in a process; it takes some 0.2 s.

    Args:
        capability: compute capability, such as `8.6`.

    Returns:
        A cubin.

    Raises:
        UnavailableError: nothing is installed that compiles it; the message says what to install.
    """
    source, architecture = SOURCE.read_text(), "sm_" + capability.replace(".", "")
    reasons = []
    for name, compiler in _COMPILERS.items():
        try:
            return compiler(source, architecture)
        except ImportError:
            continue
        # Each package raises errors of its own, which have no common base.
        except Exception as error:
            reasons.append(f"{name}: {first_line(error)}")
    raise UnavailableError(
        f"no CUDA compiler was found ({'; '.join(reasons) or 'neither cuda-python nor CuPy nor pycuda'}); "
        "install NVRTC with: pip install 'nvidia-cuda-nvrtc', or nvidia-cuda-nvrtc-cu12 for CUDA 12"
    )


def _with_cuda_python(source: str, architecture: str) -> bytes:
    try:
        nvrtc: Any = importlib.import_module("cuda.bindings.nvrtc")
    except ImportError:
        # Its name until cuda-python 12.6.
        nvrtc = importlib.import_module("cuda.nvrtc")

    def do(function: str, *arguments: Any) -> Any:
        error, *made = getattr(nvrtc, function)(*arguments)
        if int(error) != 0:
            raise UnavailableError(f"{function} says {error}")
        return made[0] if made else None

    program = do("nvrtcCreateProgram", source.encode(), b"crops.cu", 0, [], [])
    try:
        options = [f"--gpu-architecture={architecture}".encode(), *(item.encode() for item in _OPTIONS)]
        do("nvrtcCompileProgram", program, len(options), options)
        # Filled in place, as cuda-python wants it.
        cubin = b" " * int(do("nvrtcGetCUBINSize", program))
        do("nvrtcGetCUBIN", program, cubin)
        return cubin
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _with_cupy(source: str, architecture: str) -> bytes:
    compiler: Any = importlib.import_module("cupy.cuda.compiler")
    made, _ = compiler.compile_using_nvrtc(source, _OPTIONS, architecture.removeprefix("sm_"), "crops.cu")
    return made if isinstance(made, bytes) else bytes(made, "utf-8")


def _with_pycuda(source: str, architecture: str) -> bytes:
    compiler: Any = importlib.import_module("pycuda.compiler")
    return bytes(compiler.compile(source, arch=architecture, options=list(_OPTIONS), no_extern_c=True))


_COMPILERS: dict[str, Callable[[str, str], bytes]] = {
    "cuda-python": _with_cuda_python,
    "CuPy": _with_cupy,
    "pycuda": _with_pycuda,
}
