"""An `Embedder` in the form in which each tracker takes embeddings: docs/TRACKERS.md.

One file for each consumer. None of them imports its consumer, except where BoxMOT asks for an object of its
own.
"""

from __future__ import annotations

from osnet_edge.runtime.trackers.boxmot import BoxmotEncoder
from osnet_edge.runtime.trackers.deep_sort_realtime import with_embeds
from osnet_edge.runtime.trackers.norfair import add_embeddings, cosine_distance
from osnet_edge.runtime.trackers.plain import PlainEncoder
from osnet_edge.runtime.trackers.roboflow import RoboflowEncoder
from osnet_edge.runtime.trackers.ultralytics import UltralyticsEncoder

__all__ = [
    "BoxmotEncoder",
    "PlainEncoder",
    "RoboflowEncoder",
    "UltralyticsEncoder",
    "add_embeddings",
    "cosine_distance",
    "with_embeds",
]
