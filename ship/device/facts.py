"""Facts about this device: model, processor, GPU, memory, and versions of the libraries that run engines."""

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
    """The facts by which a device chooses packages.

    Attributes:
        model: device model, as the fleet calls it.
        machine: the processor's instruction set, such as `aarch64`.
        compute_capability: of its first GPU, such as `8.7`; empty without one.
        memory_mb: memory in megabytes (10^6 bytes).
        backends: versions of the libraries that run engines, by backend.
        processors: the kinds of `osnet_edge.runtime.processor.PROCESSORS` that its processor belongs to.
    """

    model: str
    machine: str
    compute_capability: str
    memory_mb: int
    backends: dict[str, str]
    processors: tuple[str, ...] = ()


def find_facts(model: str) -> DeviceFacts:
    """Detect the facts about this device.

    Args:
        model: what the fleet calls this kind of device; it is taken as given.
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
    """Return the model that this device's board reports, as a plain name.

    `NVIDIA Jetson Orin Nano Developer Kit` becomes `jetson-orin-nano`.
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
    """Turn the model that a board reports into the name that `--for` takes.

    Example:
        >>> plain_model("NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super")
        'jetson-orin-nano'
    """
    words = re.sub("[^a-z0-9.]+", "-", text.lower()).strip("-.")
    words = re.split("-(?:engineering|developer|devkit|module|rev)", words.removeprefix("nvidia-"))[0]
    return words[:100] or platform.machine()
