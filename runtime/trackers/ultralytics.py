"""Ultralytics: the `encoder` of BoT-SORT, Deep OC-SORT and TrackTrack.

Source: how ultralytics 8.4.190 calls it (trackers/bot_sort.py, byte_tracker.py and utils/reid.py).
Ultralytics is under the AGPL: nothing here is taken from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.trackers.rows import BoxEmbedder, check_embedder


@dataclass(frozen=True)
class UltralyticsEncoder:
    """An embedder as the encoder of Ultralytics' trackers.

    A file given to Ultralytics as `model` is fed with pixels from 0 to 1 and nothing more, which is not how
    OSNet was trained; an encoder is fed by us. Where a detection holds no pixel of the frame its row is None,
    and the tracker goes by motion alone, as with Ultralytics' own encoder.

    Attributes:
        embedder: an `Embedder` or a `FollowingEmbedder`.

    Raises:
        InputError: it is no embedder.

    Example:
        UltralyticsEncoder(Embedder.load("osnet-cpu")).attach(tracker)
    """

    embedder: BoxEmbedder

    def __post_init__(self) -> None:
        check_embedder(self.embedder)

    def __call__(self, img: object, dets: ArrayLike) -> list[NDArray[np.float32] | None]:
        """Embed the detections of a frame.

        Args:
            img: H x W x 3 uint8, BGR.
            dets: (N, 4 or more) numbers; the first four are the centre's x and y, width and height in pixels.

        Returns:
            For each detection a row (D,) float32 of length 1, or None.

        Raises:
            InputError: the frame is no such array, or the detections have another shape.
        """
        rows, valid = self.embedder.embed_boxes(img, _corners(dets), bgr=True)
        return [row if held else None for row, held in zip(rows, valid, strict=True)]

    def attach(self, tracker: Any) -> None:
        """Make a tracker use this encoder.

        Args:
            tracker: a BOTSORT, DeepOCSORT or TRACKTRACK; one that was made without re-ID, since with it
                Ultralytics would load a model of its own. `YOLO.track` keeps its trackers in
                `model.predictor.trackers`, and on to the next call with `persist=True`.
        """
        tracker.args.with_reid = True
        # For "auto" the tracker hands over the detector's features in place of the frame.
        tracker.args.model = "osnet-edge"
        tracker.encoder = self


def _corners(dets: ArrayLike) -> NDArray[np.float64]:
    """Return x1, y1, x2, y2 of detections given by their centres."""
    given = np.asarray(dets, np.float64)
    if given.ndim != 2 or given.shape[1] < 4:
        raise InputError(f"expected detections (N, 4 or more), x, y, width, height; got {given.shape}")
    centre, half = given[:, :2], given[:, 2:4] / 2
    return np.concatenate([centre - half, centre + half], axis=1)
