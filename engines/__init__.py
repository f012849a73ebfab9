"""From ONNX to an engine package for one target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from osnet_edge.runtime.lazy import hand_on

if TYPE_CHECKING:
    from osnet_edge.engines.build import build_package
    from osnet_edge.engines.graph.reading import read_graph
    from osnet_edge.engines.tuning.request import TuneRequest
    from osnet_edge.engines.tuning.tune import tune

_HOMES = {
    "TuneRequest": "tuning.request",
    "build_package": "build",
    "read_graph": "graph.reading",
    "tune": "tuning.tune",
}

__all__ = [
    "TuneRequest",
    "build_package",
    "read_graph",
    "tune",
]

__getattr__, __dir__ = hand_on(__name__, _HOMES)
