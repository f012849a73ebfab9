"""From a checkpoint to ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING

from osnet_edge.runtime.lazy import hand_on

if TYPE_CHECKING:
    from osnet_edge.export.to_onnx import export_onnx

_HOMES = {
    "export_onnx": "to_onnx",
}

__all__ = [
    "export_onnx",
]

__getattr__, __dir__ = hand_on(__name__, _HOMES)
