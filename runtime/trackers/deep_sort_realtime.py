"""deep_sort_realtime: detections with the `embeds` that `DeepSort.update_tracks` takes beside them.

Source: deep_sort_realtime 1.3.2, deepsort_tracker.py and deep_sort/nn_matching.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from osnet_edge.runtime.embedder import Embeddings
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.trackers.rows import BoxEmbedder, check_embedder


class WithEmbeds(NamedTuple):
    """The first two arguments of `DeepSort.update_tracks`.

    Attributes:
        raw_detections: those that hold a pixel of the frame, as they were given.
        embeds: a row for each, (N, D) float32, of length 1.
    """

    raw_detections: list[Any]
    embeds: Embeddings


def with_embeds(
    embedder: BoxEmbedder, frame: object, raw_detections: Sequence[Any], *, bgr: bool = True
) -> WithEmbeds:
    """Embed the detections of a frame, and leave out those that hold none of its pixels.

    The tracker drops boxes without a width or height, but not their `embeds`, so all rows behind them would
    belong to another box; and a row of zeros ends it with an error. What is given to `update_tracks` beside
    them, `others` or `instance_masks`, must be of the detections that are returned.

    Args:
        embedder: an `Embedder` or a `FollowingEmbedder`.
        frame: H x W x 3 uint8.
        raw_detections: each ([left, top, width, height], confidence, class), in pixels.
        bgr: whether the frame is blue-green-red, as for `DeepSort`.

    Raises:
        InputError: it is no embedder, the frame is no such array, or a detection does not begin with four
            numbers.

    Example:
        tracker = DeepSort(embedder=None)
        tracks = tracker.update_tracks(*with_embeds(embedder, frame, detections))
    """
    check_embedder(embedder)
    try:
        boxes = np.array([box for box, *_ in raw_detections], np.float64).reshape(len(raw_detections), 4)
    except (TypeError, ValueError):
        raise InputError(
            "expected detections as ([left, top, width, height], confidence, class), got something else"
        ) from None
    boxes[:, 2:] += boxes[:, :2]
    rows, valid = embedder.embed_boxes(frame, boxes, bgr=bgr)
    held = [each for each, is_held in zip(raw_detections, valid, strict=True) if is_held]
    return WithEmbeds(held, rows[valid])
