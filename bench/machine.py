"""What a reader must know of the machine to judge a time; never who owns it or what it is called."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from osnet_edge.runtime.backends.onnxruntime_cpu import allowed_cores

NOT_AVAILABLE = "not available"

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
    """

    cpu: str
    architecture: str
    logical_cores: int
    governor: str
    memory_bytes: int | None
    os: str
    accelerator: str
    versions: dict[str, str]


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
        governor=_first_line(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        memory_bytes=_memory_bytes(root),
        os=f"{platform.system()} {platform.release()}".strip() or NOT_AVAILABLE,
        accelerator=accelerator,
        versions={
            "python": platform.python_version(),
            **{name: installed_version(name) for name in _LIBRARIES},
            **(versions or {}),
        },
    )


def _cpu_model(root: Path) -> str:
    # A Jetson's kernel has no "model name"; its device tree names the board instead.
    named = _field(root / "proc/cpuinfo", "model name")
    return named if named != NOT_AVAILABLE else _first_line(root / "proc/device-tree/model")


def _memory_bytes(root: Path) -> int | None:
    amount = _field(root / "proc/meminfo", "MemTotal").split()
    return int(amount[0]) * 1024 if amount[0].isdigit() and amount[1:] == ["kB"] else None


def _field(path: Path, name: str) -> str:
    """Return the value of the first `name : value` line of a file under /proc."""
    for line in _text(path).splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name and value.strip():
            return value.strip()
    return NOT_AVAILABLE


def _first_line(path: Path) -> str:
    lines = _text(path).splitlines()
    return lines[0].strip("\0 ") if lines and lines[0].strip("\0 ") else NOT_AVAILABLE


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def installed_version(library: str) -> str:
    """Return the version of an installed distribution, or `NOT_AVAILABLE`."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return NOT_AVAILABLE
