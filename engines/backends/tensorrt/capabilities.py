"""Which GPUs a TensorRT library builds for here: by its own list, or the one that is present."""

from __future__ import annotations

import re
from typing import Any

from osnet_edge.runtime.backends.registry import BACKENDS
from osnet_edge.runtime.backends.tensorrt.library import Library
from osnet_edge.runtime.cuda.probe import probe
from osnet_edge.runtime.errors import InputError, UnavailableError


def resolve_capabilities(library: Library, capabilities: tuple[str, ...]) -> tuple[str, ...]:
    """Hold compute capabilities to what the library can build here.

    Returns:
        Those to build for, each once; none where the library has a default that needs no GPU.

    Raises:
        InputError: one is no compute capability, or one that the library cannot build for.
        UnavailableError: a GPU is needed, and there is none.
    """
    for capability in capabilities:
        if capability != "current" and not re.fullmatch(r"[1-9][0-9]?\.[0-9]", capability):
            raise InputError(f"expected a compute capability such as 8.6, or current; got {capability!r}")
    known = library.known_capabilities
    if not known:
        present = _present(f"building with {BACKENDS[library.name].title}")
        others = sorted(set(capabilities) - {present, "current"})
        if others:
            raise InputError(
                f"{library} builds for the GPU that is here, of compute capability {present}, and was asked "
                f"for {', '.join(others)}; build on that device"
            )
        return (present,)
    if "current" in capabilities:
        present = _present("building for the current GPU")
        capabilities = tuple(present if item == "current" else item for item in capabilities)
    for capability in capabilities:
        if capability not in known:
            raise InputError(
                f"{library} cannot build for compute capability {capability}, only for {', '.join(known)}; "
                "build with TensorRT on the device itself"
            )
    return tuple(dict.fromkeys(capabilities))


def set_capabilities(library: Library, config: Any, capabilities: tuple[str, ...]) -> None:
    """Tell the builder's configuration which GPUs to build for, where it can be told.

    Raises:
        InputError: the library refuses them together.
    """
    if not library.known_capabilities or not capabilities:
        return
    config.num_compute_capabilities = len(capabilities)
    for index, capability in enumerate(capabilities):
        member = library.trt.ComputeCapability.__members__["SM" + capability.replace(".", "")]
        if not config.set_compute_capability(member, index):
            raise InputError(f"{library} refuses to build for {', '.join(capabilities)} together; name fewer")


def _present(purpose: str) -> str:
    found = probe()
    if not found.available:
        raise UnavailableError(
            f"{purpose} needs the GPU it is for, and {found.reason}; build it there, or for rtx"
        )
    return found.devices[0].compute_capability
