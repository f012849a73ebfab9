"""Trackers that take any callable of a frame and its boxes, as LibreYOLO's Deep OC-SORT.

Source: pull request 580 of LibreYOLO/libreyolo, `(image, boxes) -> (N, D)`.
"""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from osnet_edge.runtime.embedder import Embeddings
from osnet_edge.runtime.trackers.rows import BoxEmbedder, check_embedder, zeros_for_none


@dataclass(frozen=True)
class PlainEncoder:
    """An embedder as a function of a frame and its boxes.

    A box without a pixel in the frame gets a row of zeros, which is like no other.

    Attributes:
        embedder: an `Embedder` or a `FollowingEmbedder`.
        bgr: whether frames are blue-green-red, which the caller must know.

    Raises:
        InputError: it is no embedder.

    Example:
        encode = PlainEncoder(Embedder.load("osnet-cpu"), bgr=True)
        rows = encode(frame, boxes)
    """

    embedder: BoxEmbedder
    bgr: bool

    def __post_init__(self) -> None:
        check_embedder(self.embedder)

    def __call__(self, frame: object, boxes: ArrayLike) -> Embeddings:
        """Embed the boxes of a frame.

        Args:
            frame: H x W x 3 uint8.
            boxes: (N, 4) of x1, y1, x2, y2 in pixels.

        Returns:
            (N, D) float32, rows of length 1; (0, D) for no boxes.

        Raises:
            InputError: the frame is no such array, or the boxes are not numbers (N, 4) of pixels.
        """
        return zeros_for_none(self.embedder.embed_boxes(frame, boxes, bgr=self.bgr))
