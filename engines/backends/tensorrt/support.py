"""What this machine can build and run with TensorRT, for `osnet-edge doctor`: cheap, and never an error."""

from __future__ import annotations

from dataclasses import dataclass

from osnet_edge.engines.backends.tensorrt.capabilities import known_capabilities
from osnet_edge.runtime.backends.tensorrt.library import load_library
from osnet_edge.runtime.backends.tensorrt.plan_file import TensorRTName
from osnet_edge.runtime.cuda.bindings import find_package
from osnet_edge.runtime.cuda.probe import CudaProbe, probe
from osnet_edge.runtime.errors import UnavailableError


@dataclass(frozen=True)
class LibrarySupport:
    """What one of the two libraries can do on this machine.

    Attributes:
        library: which one.
        version: of what is installed; None when it is not, or cannot be loaded.
        builds: compute capabilities that engines can be built for here, such as `8.6`.
        runs: whether engines can be run here.
        problems: a line for each thing that is missing.
    """

    library: TensorRTName
    version: str | None
    builds: tuple[str, ...]
    runs: bool
    problems: tuple[str, ...]


def find_support() -> tuple[CudaProbe, tuple[LibrarySupport, ...]]:
    """Import each library, ask the CUDA driver for its GPUs, and say what follows from it.

    No TensorRT runtime or builder is made, since that may crash where there is no driver.
    """
    cuda = probe()
    return cuda, (_support("tensorrt", cuda), _support("tensorrt_rtx", cuda))


def _support(name: TensorRTName, cuda: CudaProbe) -> LibrarySupport:
    missing = [] if cuda.available else [f"no GPU to run engines on: {cuda.reason}"]
    if find_package() is None:
        missing.append("neither cuda-python nor pycuda, which running engines needs: pip install cuda-python")
    try:
        library = load_library(name)
    except UnavailableError as error:
        return LibrarySupport(name, None, (), False, (str(error), *missing))
    present = tuple(device.compute_capability for device in cuda.devices[:1])
    builds = known_capabilities(library) or present
    return LibrarySupport(name, library.version, builds, not missing, tuple(missing))
