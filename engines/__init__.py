"""From ONNX to an engine package for one target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from osnet_edge.runtime.lazy import hand_on

if TYPE_CHECKING:
    from osnet_edge.engines.build import build_package

_HOMES = {
    "build_package": "build",
}

__all__ = [
    "build_package",
]

__getattr__, __dir__ = hand_on(__name__, _HOMES)
