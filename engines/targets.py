"""What `--target` says: `cpu`, `rtx`, `rtx:sm86,sm89`, `tensorrt`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.manifest import Backend

_BACKENDS: dict[str, Backend] = {"cpu": "onnxruntime", "rtx": "tensorrt_rtx", "tensorrt": "tensorrt"}
SPELLING = "cpu, rtx, rtx:sm86,sm89 (one or more GPU generations), or tensorrt"


@dataclass(frozen=True)
class TargetSpec:
    """A parsed target: the backend, and the CUDA compute capabilities asked for, such as `8.6`."""

    backend: Backend
    capabilities: tuple[str, ...] = ()


def parse_target(text: str) -> TargetSpec:
    """Parse a target.

    Raises:
        InputError: it is spelt in no known way.

    Example:
        >>> parse_target("rtx:sm86,sm120")
        TargetSpec(backend='tensorrt_rtx', capabilities=('8.6', '12.0'))
    """
    name, colon, rest = text.partition(":")
    if name not in _BACKENDS or (colon and name != "rtx"):
        raise InputError(f"expected a target of {SPELLING}; got {text!r}")
    if not colon:
        return TargetSpec(_BACKENDS[name])
    capabilities = []
    for item in rest.split(","):
        match = re.fullmatch(r"sm_?([0-9]{1,2})([0-9])", item.strip().lower())
        if not match:
            raise InputError(f"expected GPU generations such as sm86 or sm120 after rtx:, got {item!r}")
        capabilities.append(f"{match[1]}.{match[2]}")
    return TargetSpec(_BACKENDS[name], tuple(dict.fromkeys(capabilities)))
