"""What `--target` says: `cpu`, `rtx`, `rtx:sm86,sm89`, `rtx:current`, `tensorrt`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.manifest import Backend

#: The name of each backend's target.
TARGET_NAMES: dict[Backend, str] = {"onnxruntime": "cpu", "tensorrt_rtx": "rtx", "tensorrt": "tensorrt"}
_BACKENDS = {name: backend for backend, name in TARGET_NAMES.items()}
SPELLING = "cpu, rtx, rtx:sm86,sm89 (GPU generations), rtx:current (the GPU here) or tensorrt"


@dataclass(frozen=True)
class TargetSpec:
    """A parsed target: the backend, and the compute capabilities asked for, such as `8.6` or `current`."""

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
        if item.strip().lower() == "current":
            capabilities.append("current")
            continue
        match = re.fullmatch(r"sm_?([0-9]{1,2})([0-9])", item.strip().lower())
        if not match:
            raise InputError(f"expected GPU generations such as sm86 or sm120 after rtx:, got {item!r}")
        capabilities.append(f"{match[1]}.{match[2]}")
    return TargetSpec(_BACKENDS[name], tuple(dict.fromkeys(capabilities)))
