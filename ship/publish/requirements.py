"""What `--for` says: device models, library versions, GPU generations, memory, a processor."""

from __future__ import annotations

import re
from dataclasses import replace

from osnet_edge.runtime.backends.registry import BACKENDS, backend_named
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.processor import ANY, PROCESSORS, narrower
from osnet_edge.ship.channel import Needs
from osnet_edge.ship.device.config import check_name

#: How `--for` names libraries.
_LIBRARIES = "|".join(dict.fromkeys(backend.abbreviation for backend in BACKENDS.values()))
_MACHINES = ("x86_64", "armv7l", *(name for name in PROCESSORS if name != ANY))
SPELLING = (
    "device models, and of trt-10.3, rtx-1.7, ort-1.20, openvino-2025 one, sm87, mem-4g, aarch64, x86-64-vnni"
)


def narrow(needs: Needs, text: str) -> Needs:
    """Narrow what a package needs by its manifest to what `--for` says.

    Args:
        needs: by the manifest.
        text: names between commas.

    Raises:
        InputError: a name is spelt in no known way, or contradicts the manifest.

    Example:
        >>> narrow(Needs("tensorrt"), "jetson-orin-nano,trt-10.3").models
        ('jetson-orin-nano',)
    """
    models: list[str] = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        if version := re.fullmatch(rf"({_LIBRARIES})-(\d+(?:\.\d+)*)", word):
            needs = _narrow_version(needs, version[1], version[2])
        elif generation := re.fullmatch(r"sm_?(\d{1,2})(\d)", word):
            needs = _narrow_capability(needs, f"{generation[1]}.{generation[2]}")
        elif memory := re.fullmatch(r"mem-(\d{1,6})([gm])", word):
            needs = replace(needs, memory_mb=int(memory[1]) * (1000 if memory[2] == "g" else 1))
        elif word in _MACHINES:
            machine = narrower(needs.machine, word)
            if machine is None:
                raise InputError(f"the package was built for {needs.machine}, and --for says {word}")
            needs = replace(needs, machine=machine)
        elif re.fullmatch("any|(x86-64|aarch64).*", word):
            raise InputError(f"expected of processors {', '.join(_MACHINES)}, got {word!r}")
        else:
            models.append(check_name("device model", word))
    return replace(needs, models=tuple(dict.fromkeys(models)))


def _narrow_version(needs: Needs, library: str, version: str) -> Needs:
    backend = backend_named(needs.backend)
    if library != backend.abbreviation:
        raise InputError(f"the package is for {needs.backend}, and --for says {library}; expected {SPELLING}")
    known = needs.backend_version
    if known and not f"{known}.".startswith(f"{version}."):
        raise InputError(
            f"the package runs on {needs.backend} {known} alone, and --for says {version}; build it there"
        )
    return needs if known else replace(needs, backend_version=version)


def _narrow_capability(needs: Needs, capability: str) -> Needs:
    known = needs.compute_capabilities
    if known and capability not in known:
        raise InputError(
            f"the package was built for compute capability {', '.join(known)}, --for says {capability}"
        )
    return replace(needs, compute_capabilities=(capability,))
