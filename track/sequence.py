"""A camera's sequence: frames in order, a detector's boxes, who is who, and who a tracker takes them for.

Boxes are x1, y1, x2, y2 in pixels; files of the MOT challenge have left, top, width and height instead.
Frames are counted from 0 here, whatever their numbers in files are, which go on where frames are missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as Listed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]
Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector found in a frame.

    Attributes:
        boxes: (N, 4).
        scores: (N,), how sure it is, 0 to 1.
    """

    boxes: Boxes
    scores: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Marked:
    """Who is where in a frame: the lines of `gt.txt`.

    Attributes:
        ids: (N,), the same person in all frames, and in all cameras of a site.
        boxes: (N, 4).
        considered: (N,), whether a line counts.
        kinds: (N,), MOT's class, 1 for pedestrians.
        visible: (N,), the part of the person that is in view, 0 to 1.
    """

    ids: Ids
    boxes: Boxes
    considered: NDArray[np.bool_]
    kinds: Ids
    visible: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tracks:
    """Who a tracker takes the boxes for, by frame.

    Attributes:
        frames: (N,), ascending.
        ids: (N,), from 1.
        boxes: (N, 4).
    """

    frames: Ids
    ids: Ids
    boxes: Boxes

    @classmethod
    def of(cls, given: Listed[Ids], detections: Listed[Detections]) -> Tracks:
        """Make them from the identity of each box of each frame, 0 for nobody."""
        named = [np.flatnonzero(ids) for ids in given]
        return cls(
            np.repeat(np.arange(len(given)), [len(each) for each in named]),
            np.concatenate(
                [np.empty(0, np.int64), *(ids[some] for ids, some in zip(given, named, strict=True))]
            ),
            np.concatenate(
                [np.empty((0, 4)), *(each.boxes[some] for each, some in zip(detections, named, strict=True))]
            ),
        )

    def between(self, start: int, stop: int) -> Tracks:
        """Return those of frames `start` to `stop`, which is left out, counted from `start`."""
        some = (self.frames >= start) & (self.frames < stop)
        return Tracks(self.frames[some] - start, self.ids[some], self.boxes[some])

    def lines(self, numbers: Listed[int]) -> Iterator[str]:
        """Yield the lines of a result file of the MOT challenge: `frame,id,x,y,w,h,1,-1,-1,-1`.

        Args:
            numbers: of the frames, as the sequence has them.
        """
        for frame, who, box in zip(self.frames.tolist(), self.ids.tolist(), self.boxes.tolist(), strict=True):
            yield f"{numbers[frame]},{who},{mot_cells(box)},1,-1,-1,-1\n"


@dataclass(frozen=True, eq=False)
class Sequence:
    """Frames of one camera.

    Attributes:
        name: unlike those of other sequences that are read with it.
        site: cameras of one site watch the same people, who have the same ids in all.
        frames: the images' files, in the order of time.
        numbers: of the frames, from 1; a number that is left out is a frame that is not there.
        rate: numbers to a second.
        detections: of each frame.
        detector: where they are from.
        truth: of each frame; None where nobody marked who is who.
    """

    name: str
    site: str
    frames: tuple[Path, ...]
    numbers: tuple[int, ...]
    rate: float
    detections: tuple[Detections, ...]
    detector: str
    truth: tuple[Marked, ...] | None

    @property
    def times(self) -> NDArray[np.float64]:
        """Seconds at which the frames were taken; number 1 at 0, in all cameras of a site."""
        return (np.array(self.numbers) - 1) / self.rate


def mot_cells(box: Listed[float]) -> str:
    """Return `x,y,w,h` of x1, y1, x2, y2, with all digits."""
    left, top, right, bottom = box
    return f"{left!r},{top!r},{right - left!r},{bottom - top!r}"
