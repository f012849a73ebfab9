"""BoxMOT: `get_features` for its trackers, and the protocol AppearanceEncoder for its pipelines.

Source: how BoxMOT 25.0.0 calls both (trackers/common/appearance/live.py, reid/protocols.py and
pipelines/perception.py). BoxMOT is under the AGPL: nothing here is taken from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from osnet_edge.runtime.embedder import BoxEmbeddings, Embeddings
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.trackers.rows import BoxEmbedder, check_embedder, embedding_size


@dataclass(frozen=True)
class BoxmotEncoder:
    """An embedder as BoxMOT's re-ID model.

    BoxMOT accepts no row that is zero or not finite, so a box without a pixel in the frame raises: drop such
    boxes before the tracker sees them. One sequence keeps to one length of rows.

    Attributes:
        embedder: an `Embedder` or a `FollowingEmbedder`.

    Raises:
        InputError: it is no embedder.

    Example:
        tracker = BotSort(reid_model=BoxmotEncoder(Embedder.load("osnet-cpu")))
        tracks = tracker.update(detections, frame)          # (N, 6): x1, y1, x2, y2, confidence, class
    """

    embedder: BoxEmbedder

    def __post_init__(self) -> None:
        check_embedder(self.embedder)

    def get_features(self, xyxys: ArrayLike, img: object) -> Embeddings:
        """Embed the boxes of a frame, as a tracker's `reid_model` is asked to.

        Args:
            xyxys: (N, 4) of x1, y1, x2, y2 in pixels.
            img: H x W x 3 uint8, BGR.

        Returns:
            (N, D) float32, rows of length 1; (0, D) for no boxes.

        Raises:
            InputError: a box has no usable row, or boxes or frame are not as said; it is a ValueError.
        """
        return _usable(self.embedder.embed_boxes(img, xyxys, bgr=True))

    @property
    def embedding_dim(self) -> int:
        """The length of a row, D."""
        return embedding_size(self.embedder)

    @property
    def requirements(self) -> Any:
        """What must be known of detections beforehand: no masks. It is BoxMOT's own EncoderRequirements."""
        from boxmot.reid.protocols import EncoderRequirements

        return EncoderRequirements()

    def encode(self, frames: Sequence[Any], detections: Sequence[Any]) -> list[Any]:
        """Embed the detections of several frames, as a pipeline's `reid` is asked to.

        Args:
            frames: BoxMOT's Frame objects, each with `image`, a uint8 tensor (3, H, W), RGB.
            detections: BoxMOT's Detections, one for each frame, with `geometry.values`, a float32 tensor
                (N, 4) of x1, y1, x2, y2 in pixels.

        Returns:
            A float32 tensor (N, D) on the CPU for each frame.

        Raises:
            InputError: there are not as many detections as frames, boxes are oriented, or as `get_features`.
        """
        if len(frames) != len(detections):
            raise InputError(
                f"expected detections for each of {len(frames)} frames, got them for {len(detections)}"
            )
        tensors = []
        for frame, found in zip(frames, detections, strict=True):
            boxes = found.geometry.values
            picture = np.ascontiguousarray(frame.image.numpy().transpose(1, 2, 0))
            # A tensor like that of the boxes, so that torch need not be imported.
            tensors.append(boxes.new_tensor(_usable(self.embedder.embed_boxes(picture, boxes.numpy()))))
        return tensors


def _usable(found: BoxEmbeddings) -> Embeddings:
    """Return the rows, if BoxMOT will accept each."""
    lengths = np.linalg.norm(found.embeddings, axis=1)
    unusable = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if len(unusable):
        raise InputError(
            "expected boxes that each hold a pixel of the frame, since BoxMOT takes no row without a length; "
            f"got none for row {', '.join(map(str, unusable))} of {len(lengths)}: drop it before the update"
        )
    return found.embeddings
