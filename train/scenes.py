"""Frames to time the job of a tracker on: a user's own, in MOT17's layout, or synthetic ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.measure.plan import Frames, Scene
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.train.data.boxed_frames import read_boxed_frames
from osnet_edge.train.synthetic import draw_frame

#: More than a frame is drawn with.
_MOST = 200
_DRAWN_SIZE = (1920, 1080)


def scenes_with(people: Sequence[int], folder: str | None = None) -> Frames:
    """Return a frame for each number of people.

    Args:
        people: the numbers.
        folder: MOT17 sequences, of which the frame with most people is taken; None draws frames.

    Raises:
        InputError: the numbers or the folder are none.
    """
    counts = sorted(set(people))
    if counts[-1] > _MOST:
        raise InputError(f"expected --people of 1 to {_MOST}, got {counts[-1]}")
    if folder is None:
        scenes = tuple(_drawn(count) for count in counts)
        return Frames(f"drawn, {_DRAWN_SIZE[0]}x{_DRAWN_SIZE[1]}", scenes)
    by_frame: dict[Path, list[tuple[int, int, int, int]]] = defaultdict(list)
    for person in read_boxed_frames([folder]):
        by_frame[person.path].append(person.box)
    path, boxes = max(by_frame.items(), key=lambda pair: len(pair[1]))
    # Blue-green-red, as cameras are read with OpenCV.
    frame = np.ascontiguousarray(read_picture(path)[..., ::-1])
    source = f"{Path(folder).resolve().name}, {frame.shape[1]}x{frame.shape[0]}, {len(boxes)} people"
    return Frames(source, tuple(Scene(frame, _filled(boxes, count, frame.shape[1])) for count in counts))


def _drawn(people: int) -> Scene:
    frame, boxes, _ = draw_frame(people=people, size=_DRAWN_SIZE, seed=0)
    return Scene(np.ascontiguousarray(frame[..., ::-1]), boxes.astype(np.float64))


def _filled(boxes: list[tuple[int, int, int, int]], count: int, width: int) -> npt.NDArray[np.float64]:
    """Return so many boxes: a frame's own, and where those are too few, the same moved sideways."""
    own = np.asarray(boxes, np.float64)
    rows = []
    for index in range(count):
        box = own[index % len(own)].copy()
        shift = 40.0 * (index // len(own))
        # Back in from the other side, so that all have pixels.
        box[[0, 2]] += shift if box[2] + shift < width else -shift
        rows.append(box)
    return np.stack(rows)
