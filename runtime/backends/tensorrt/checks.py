"""Checks before a plan is given to TensorRT: its header, the GPU, the library and the driver."""

from __future__ import annotations

from pathlib import Path

from osnet_edge.runtime.backends.registry import BACKENDS
from osnet_edge.runtime.backends.tensorrt.library import Library, same_version
from osnet_edge.runtime.backends.tensorrt.plan_file import PlanHeader, read_plan_header
from osnet_edge.runtime.cuda.probe import CudaDevice
from osnet_edge.runtime.errors import InputError, UnavailableError
from osnet_edge.runtime.installed import installed_version
from osnet_edge.runtime.package.manifest import Manifest

#: Names of NVIDIA's wheels, by CUDA's major version.
_WHEELS = {"tensorrt": "tensorrt-cu{}-bindings", "tensorrt_rtx": "tensorrt-rtx-cu{}-bindings"}
_CUDA_MAJORS = range(11, 20)


def check_header(model: Path, manifest: Manifest) -> PlanHeader:
    """Compare a plan's header with its manifest; needs neither TensorRT nor a GPU.

    Raises:
        InputError: it is no plan, or not the one of the manifest.
    """
    header = read_plan_header(model)
    target = manifest.target
    if header.library != target.backend or not same_version(header.version, target.backend_version):
        raise InputError(
            f"{model} is a plan of {header}, and its manifest says {BACKENDS[target.backend].title} "
            f"{target.backend_version}; build the package again"
        )
    return header


def check_device(header: PlanHeader, manifest: Manifest, device: CudaDevice) -> None:
    """Check that a plan was built for the GPU of this machine.

    Raises:
        InputError: it was built for other GPUs.
    """
    built_for = header.compute_capabilities or manifest.target.compute_capabilities
    if built_for and not header.open_ended and device.compute_capability not in built_for:
        raise InputError(
            f"this engine was built for compute capability {', '.join(built_for)} and {device.name} has "
            f"{device.compute_capability}; build it for this GPU"
        )


def check_version(header: PlanHeader, manifest: Manifest, library: Library) -> None:
    """Check that the installed library can run a plan.

    Raises:
        InputError: another version built it, and it runs on no other.
    """
    if manifest.target.exact_version and not same_version(header.version, library.version):
        title = BACKENDS[header.library].title
        raise InputError(
            f"this engine was built by {title} {header.version} and {title} {library.version} is installed; "
            "build it again with the installed version, or install the other"
        )


def check_driver(library: Library, supported: str) -> None:
    """Check that the driver supports the library's CUDA version, if its wheel's name contains that version.

    Args:
        library: TensorRT, or TensorRT-RTX.
        supported: CUDA version that the driver supports, such as `12.6`.

    Raises:
        UnavailableError: the driver is older; TensorRT may crash on it.
    """
    needed = [major for major in _CUDA_MAJORS if _is_installed(_WHEELS[library.name].format(major))]
    driver = int(supported.partition(".")[0])
    if needed and driver < min(needed):
        wheel = _WHEELS[library.name].format(driver).removesuffix("-bindings")
        raise UnavailableError(
            f"{library} was built for CUDA {min(needed)}, and the driver supports CUDA {supported}; update "
            f"the driver, or install {wheel} in its place"
        )


def _is_installed(distribution: str) -> bool:
    return installed_version(distribution) is not None
