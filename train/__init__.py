"""The OSNet family, its training, and re-ID data. Data and the synthetic set need no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from osnet_edge.runtime.lazy import hand_on

if TYPE_CHECKING:
    from osnet_edge.train.checkpoint import load_osnet, save_osnet

_HOMES = {
    "load_osnet": "checkpoint",
    "save_osnet": "checkpoint",
}

__all__ = [
    "load_osnet",
    "save_osnet",
]

__getattr__, __dir__ = hand_on(__name__, _HOMES)
