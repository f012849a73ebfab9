"""The OSNet family, its training, and re-ID data. Data and the synthetic set need no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from osnet_edge.runtime.lazy import hand_on

if TYPE_CHECKING:
    from osnet_edge.train.checkpoint import load_osnet, save_osnet
    from osnet_edge.train.data import training_pictures
    from osnet_edge.train.recipe import read_recipe
    from osnet_edge.train.trainer import train

_HOMES = {
    "load_osnet": "checkpoint",
    "read_recipe": "recipe",
    "save_osnet": "checkpoint",
    "train": "trainer",
    "training_pictures": "data",
}

__all__ = [
    "load_osnet",
    "read_recipe",
    "save_osnet",
    "train",
    "training_pictures",
]

__getattr__, __dir__ = hand_on(__name__, _HOMES)
