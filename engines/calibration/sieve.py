"""Images that may be drawn, opened one by one: what is new is kept, and the rest counted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from osnet_edge.engines.calibration.calibration_set import Box, cut_box
from osnet_edge.engines.calibration.perceptual_hash import HASH_BITS, difference_hash, is_grey, is_near
from osnet_edge.runtime.boxes import clip_boxes
from osnet_edge.runtime.pictures import read_picture


@dataclass(frozen=True)
class Candidate:
    """An image that may be drawn.

    Attributes:
        path: the crop's file, or the frame's.
        identity: the number of the person, over all sources; `UNKNOWN` where nobody knows.
        camera: the number of the camera, as above.
        box: where in the frame the person is; None for a crop. It may reach over the frame's edges.
    """

    path: Path
    identity: int
    camera: int
    box: Box | None = None


class Sieve:
    """Opens candidates, and passes those that look like none that it passed before.

    Attributes:
        near_duplicates: how many were held back because they look like another.
        outside: how many boxes were because they hold no pixel of their frame.
        grey: of each that was passed, whether it has (nearly) no colour.
    """

    def __init__(self) -> None:
        self.near_duplicates = self.outside = 0
        self.grey: list[bool] = []
        self._hashes = np.empty((0, HASH_BITS), np.bool_)

    def pass_through(self, candidate: Candidate) -> Candidate | None:
        """Return the candidate with its box clipped, or None if it is not to be drawn."""
        frame = read_picture(candidate.path)
        if candidate.box:
            clipped, valid = clip_boxes([candidate.box], *frame.shape[:2])
            if not valid[0]:
                self.outside += 1
                return None
            x1, y1, x2, y2 = clipped[0].tolist()
            candidate = replace(candidate, box=(x1, y1, x2, y2))
        crop = cut_box(frame, candidate.box, str(candidate.path))
        bits = difference_hash(crop)
        if is_near(bits, self._hashes):
            self.near_duplicates += 1
            return None
        self._hashes = np.vstack([self._hashes, bits])
        self.grey.append(is_grey(crop))
        return candidate
