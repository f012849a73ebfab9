"""Roboflow's trackers: `extract_features` of detections of supervision.

Source: how `DeepSORTTracker` of trackers 2.0.2rc0 calls its `reid_model` (core/deepsort/tracker.py), the last
release with such a hook; pull request 511 of roboflow/trackers brings one back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from numpy.typing import ArrayLike

from osnet_edge.runtime.embedder import Embeddings
from osnet_edge.runtime.trackers.rows import BoxEmbedder, check_embedder, zeros_for_none


class HasBoxes(Protocol):
    """`sv.Detections`, of which only the boxes are read."""

    @property
    def xyxy(self) -> ArrayLike:
        """(N, 4) of x1, y1, x2, y2 in pixels."""


@dataclass(frozen=True)
class RoboflowEncoder:
    """An embedder as the `reid_model` of Roboflow's trackers.

    A detection without a pixel in the frame gets a row of zeros, which is like no other.

    Attributes:
        embedder: an `Embedder` or a `FollowingEmbedder`.

    Raises:
        InputError: it is no embedder.

    Example:
        tracker = DeepSORTTracker(reid_model=RoboflowEncoder(Embedder.load("osnet-cpu")))
        detections = tracker.update(detections, frame)
    """

    embedder: BoxEmbedder

    def __post_init__(self) -> None:
        check_embedder(self.embedder)

    def extract_features(self, detections: HasBoxes, frame: object) -> Embeddings:
        """Embed the detections of a frame.

        Args:
            detections: `sv.Detections`, with `xyxy` in pixels.
            frame: H x W x 3 uint8, BGR, as OpenCV reads it.

        Returns:
            (N, D) float32, one row a detection, of length 1; (0, D) for none.

        Raises:
            InputError: the frame is no such array, or the boxes are not numbers (N, 4) of pixels.
        """
        return zeros_for_none(self.embedder.embed_boxes(frame, detections.xyxy, bgr=True))
