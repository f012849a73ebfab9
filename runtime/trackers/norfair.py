"""norfair: detections with an `embedding`, and the distance by which lost objects are found again.

Source: norfair 2.3.0, tracker.py and distances.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.trackers.rows import BoxEmbedder, check_embedder


def add_embeddings(
    embedder: BoxEmbedder, frame: object, detections: Sequence[Any], *, bgr: bool = True
) -> None:
    """Set the `embedding` of norfair's detections to their rows.

    A row is (D,) float32, of length 1. Where a box holds no pixel of the frame it is
    None, norfair's default.

    Args:
        embedder: an `Embedder` or a `FollowingEmbedder`.
        frame: H x W x 3 uint8.
        detections: each with `points`, [[x1, y1], [x2, y2]] in pixels.
        bgr: whether the frame is blue-green-red, as `norfair.Video` yields it.

    Raises:
        InputError: it is no embedder, the frame is no such array, or the points of a detection are not the
            two of a box.

    Example:
        detections = [Detection(np.array([[x1, y1], [x2, y2]]))]
        add_embeddings(embedder, frame, detections)
        tracker = Tracker("iou", 0.5, reid_distance_function=cosine_distance, reid_distance_threshold=0.4,
                          reid_hit_counter_max=50)
    """
    check_embedder(embedder)
    shapes = {np.shape(each.points) for each in detections} - {(2, 2)}
    if shapes:
        raise InputError(f"expected points of a box, [[x1, y1], [x2, y2]], got the shape {shapes.pop()}")
    boxes = np.array([each.points for each in detections]).reshape(-1, 4)
    rows, valid = embedder.embed_boxes(frame, boxes, bgr=bgr)
    for each, row, is_held in zip(detections, rows, valid, strict=True):
        each.embedding = row if is_held else None


def cosine_distance(new: Any, known: Any) -> float:
    """Return how unlike two tracked objects look, as norfair's `reid_distance_function`.

    Args:
        new: a TrackedObject, whose last detection went through `add_embeddings`.
        known: as above.

    Returns:
        1 minus the cosine similarity, from 0 to 2; infinite, which matches nothing, where one has no row.
    """
    first, second = new.last_detection.embedding, known.last_detection.embedding
    if first is None or second is None:
        return math.inf
    return max(0.0, 1.0 - float(first @ second))
