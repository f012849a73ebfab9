"""The facts of the machine that a time depends on; never its owner or its name."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from osnet_edge.bench.devices.jetson import JetsonFacts, read_jetson
from osnet_edge.bench.devices.nvml import GpuFacts, open_nvml
from osnet_edge.bench.devices.sysfs import NOT_AVAILABLE, field, first_line, kibibytes
from osnet_edge.runtime.backends.onnxruntime import allowed_cores
from osnet_edge.runtime.installed import installed_version
from osnet_edge.runtime.processor import this_processor

_LIBRARIES = ("numpy", "onnxruntime")


@dataclass(frozen=True)
class MachineFacts:
    """Facts of a machine; a fact that could not be read is `NOT_AVAILABLE` (or None for a number).

    Attributes:
        cpu: model name of the processor.
        architecture: such as "x86_64" or "aarch64".
        logical_cores: how many logical cores this process may run on.
        governor: what sets the clock, such as "performance"; "powersave" makes times vary.
        memory_bytes: memory of the machine.
        os: name and release of the operating system.
        accelerator: name of the GPU or other device the engines ran on.
        versions: of Python and the libraries that ran.
        load: processes that wanted to run, on average over the minute before (the load average).
        jetson: further facts of a Jetson; None elsewhere.
        gpu: facts of an NVIDIA GPU from NVML; None where there is none.
        instruction_sets: those that INT8's and bf16's speed depend on, see `osnet_edge.runtime.processor`;
            empty in results from before they were stored.
    """

    cpu: str
    architecture: str
    logical_cores: int
    governor: str
    memory_bytes: int | None
    os: str
    accelerator: str
    versions: dict[str, str]
    load: float | None = None
    jetson: JetsonFacts | None = None
    gpu: GpuFacts | None = None
    instruction_sets: tuple[str, ...] = ()


def machine_facts(
    *,
    accelerator: str = NOT_AVAILABLE,
    versions: Mapping[str, str] | None = None,
    root: Path = Path("/"),
) -> MachineFacts:
    """Read the facts of this machine.

    Args:
        accelerator: name of the device the engines ran on, from the library that ran them.
        versions: of further libraries that ran, such as TensorRT.
        root: where `proc` and `sys` are.
    """
    return MachineFacts(
        cpu=_cpu_model(root),
        architecture=platform.machine() or NOT_AVAILABLE,
        logical_cores=allowed_cores(),
        governor=first_line(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        memory_bytes=kibibytes(root / "proc/meminfo", "MemTotal"),
        os=f"{platform.system()} {platform.release()}".strip() or NOT_AVAILABLE,
        accelerator=accelerator,
        versions={
            "python": platform.python_version(),
            **{name: version_of(name) for name in _LIBRARIES},
            **(versions or {}),
        },
        load=load_average(root),
        jetson=read_jetson(root),
        gpu=gpu_facts(),
        instruction_sets=this_processor().features,
    )


def _cpu_model(root: Path) -> str:
    # A Jetson's kernel has no "model name"; its device tree names the board instead.
    named = field(root / "proc/cpuinfo", "model name")
    return named if named != NOT_AVAILABLE else first_line(root / "proc/device-tree/model")


def gpu_facts() -> GpuFacts | None:
    """Return the facts of the first GPU; None where NVML finds none."""
    with open_nvml() as nvml:
        return nvml.facts() if nvml else None


def load_average(root: Path = Path("/")) -> float | None:
    """Return the load average of the last minute, in processes; None where it cannot be read."""
    words = first_line(root / "proc/loadavg").split()
    return float(words[0]) if words and words[0].replace(".", "", 1).isdigit() else None


def version_of(library: str) -> str:
    """Return the version of an installed distribution, or `NOT_AVAILABLE`."""
    return installed_version(library) or NOT_AVAILABLE
