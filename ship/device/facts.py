"""What this device is: its model, processor, GPU, memory, and the versions of what runs engines."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from osnet_edge.runtime.backends.registry import BACKENDS
from osnet_edge.runtime.cuda.probe import probe
from osnet_edge.runtime.processor import PROCESSORS, this_processor

#: Where a board says what it is: the device tree of ARM boards, then the firmware tables of PCs.
_MODEL_FILES = ("/proc/device-tree/model", "/sys/class/dmi/id/product_name")


@dataclass(frozen=True)
class DeviceFacts:
    """What packages are chosen by.

    Attributes:
        model: what kind of device it is, as the fleet calls it.
        machine: the processor's instruction set.
        compute_capability: of its first GPU; empty without one.
        memory_mb: its memory.
        backends: versions of the libraries that run engines, by backend.
        processors: the kinds of `osnet_edge.runtime.processor.PROCESSORS` that its processor is.
    """

    model: str
    machine: str
    compute_capability: str
    memory_mb: int
    backends: dict[str, str]
    processors: tuple[str, ...] = ()


def find_facts(model: str) -> DeviceFacts:
    """Look at this device.

    Args:
        model: what the fleet calls this kind of device; it is not looked for.
    """
    gpus = probe().devices
    return DeviceFacts(
        model=model,
        machine=platform.machine(),
        compute_capability=gpus[0].compute_capability if gpus else "",
        memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000,
        backends={name: found for name, backend in BACKENDS.items() if (found := backend.version_here)},
        processors=tuple(name for name in PROCESSORS if this_processor().is_a(name)),
    )


def find_model() -> str:
    """Return what this device's board says that it is, as a plain name.

    A board of NVIDIA's that says `NVIDIA Jetson Orin Nano Developer Kit` is `jetson-orin-nano`.
    """
    for file in _MODEL_FILES:
        try:
            text = Path(file).read_text(encoding="utf-8", errors="replace").strip("\0 \n")
        except OSError:
            continue
        if text:
            return plain_model(text)
    return platform.machine()


def plain_model(text: str) -> str:
    """Turn what a board says into the name that `--for` takes.

    Example:
        >>> plain_model("NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super")
        'jetson-orin-nano'
    """
    words = re.sub("[^a-z0-9.]+", "-", text.lower()).strip("-.")
    words = re.split("-(?:engineering|developer|devkit|module|rev)", words.removeprefix("nvidia-"))[0]
    return words[:100] or platform.machine()
