"""Whole frames of several people walking, with a box around each, in memory or in the MOT17 layout.

Example:
    >>> frame, boxes, ids = draw_frame(people=3, size=(640, 360), seed=0)
    >>> frame.shape, boxes.shape, ids.tolist()
    ((360, 640, 3), (3, 4), [1, 2, 3])
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import hypot
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from osnet_edge.bench.measure.look import develop
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import write_folder_aside
from osnet_edge.train.synthetic.camera import Camera, sample_cameras
from osnet_edge.train.synthetic.crops import check_whole
from osnet_edge.train.synthetic.person import Person, sample_people
from osnet_edge.train.synthetic.places import Place
from osnet_edge.train.synthetic.stage import Walker, box_of, draw_stage

RATE = 25
#: Pixels a side: 8K video, and well under what JPEG holds.
_LARGEST = 8192
_MOST = 200
_QUALITY = 92


@dataclass(frozen=True)
class _Walk:
    """A path between two spots on the ground, walked to and fro.

    Attributes:
        person: who walks.
        start: metres to the right of the image's middle, and away from the camera.
        end: as above.
        speed: metres to a second.
        reach: how far each step goes, see `Gait`.
        ahead: metres already walked at moment 0.
    """

    person: Person
    start: tuple[float, float]
    end: tuple[float, float]
    speed: float
    reach: float
    ahead: float

    def at(self, seconds: float, place: Place) -> Walker:
        """Return the walker as they are seen after some seconds."""
        length = hypot(self.end[0] - self.start[0], self.end[1] - self.start[1])
        gone = (self.ahead + self.speed * seconds) % (2 * length)
        back = gone > length
        part = (2 * length - gone if back else gone) / length
        across, away = (a + part * (b - a) for a, b in zip(self.start, self.end, strict=True))
        sign = -1 if back else 1
        towards = sign * (self.end[0] - self.start[0]), sign * (self.end[1] - self.start[1])
        walked = self.ahead + self.speed * seconds
        return Walker.on_ground(self.person, place, (across, away), towards, walked, self.reach)


class _Scene:
    """One camera and the people who walk before it."""

    def __init__(self, people: int, size: tuple[int, int], seed: int):
        self.seed = seed
        self.camera: Camera = sample_cameras(1, size, np.random.default_rng([seed, 1]))[0]
        drawn = sample_people(people, np.random.default_rng([seed, 0]))
        slots = np.random.default_rng([seed, 2]).permutation(people)
        self.walks = [
            _draw_walk(
                person,
                (float(slots[k]) + 0.5) / people,
                self.camera.place,
                np.random.default_rng([seed, 3, k]),
            )
            for k, person in enumerate(drawn)
        ]

    def draw(self, moment: int) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]:
        place = self.camera.place
        wide, tall = place.size
        walkers = [walk.at(moment / RATE, place) for walk in self.walks]
        boxes = np.array([box_of(self.camera, walker) for walker in walkers], np.float32).reshape(-1, 4)
        boxes = boxes.clip(0, np.array([wide, tall, wide, tall], np.float32))
        drawing = draw_stage(self.camera, walkers, (0.0, 0.0, wide, tall), (wide, tall), 2)
        rng = np.random.default_rng([self.seed, 4, moment])
        # The blur goes by the height of a person, about a third of a frame's.
        frame = np.array(develop(drawing, self.camera.look, rng, tall // 3))
        return frame, boxes, np.arange(1, len(walkers) + 1, dtype=np.int64)


def draw_frame(
    people: int = 6, size: tuple[int, int] = (1280, 720), seed: int = 0, moment: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]:
    """Draw one frame of a scene; the frames of `write_frames` are those of moments 0, 1, 2 and so on.

    Args:
        people: how many people are in it, 0 to 200; near ones may hide far ones.
        size: width and height in pixels, at least 160x120.
        seed: picks place, camera and people.
        moment: which frame, at 25 frames to a second.

    Returns:
        The frame, uint8 (height, width, 3), RGB; the boxes, float32 (people, 4), x1, y1, x2, y2 in pixels,
        inside the frame; and the identities, int64 (people,), from 1.

    Raises:
        InputError: an argument is out of these ranges.
    """
    check_scene(people, size, seed)
    check_whole("moment", moment, 0)
    return _Scene(people, size, seed).draw(moment)


def write_frames(
    folder: Path | str,
    *,
    frames: int,
    people: int,
    size: tuple[int, int] = (1280, 720),
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Write a scene as a MOT17 sequence: `img1/000001.jpg`..., `gt/gt.txt` and `seqinfo.ini`.

    Lines of gt.txt read `frame,id,x,y,w,h,1,1,1.0` with the box's upper left corner, width and height in
    whole pixels counted from 0, rounded outwards.

    Args:
        folder: where to write; it must not exist, and is there whole or not at all.
        frames: how many frames, at least 1, at 25 to a second.
        people: how many people walk in it, 0 to 200.
        size: width and height of a frame in pixels, at least 160x120.
        seed: the same seed gives the same bytes.
        progress: called with the number of frames written since the last call.

    Returns:
        The folder.

    Raises:
        InputError: an argument is out of these ranges, or the folder is there already.
    """
    check_whole("frames", frames, 1)
    check_scene(people, size, seed)
    folder = Path(folder)
    with write_folder_aside(folder) as fresh:
        (fresh / "img1").mkdir()
        (fresh / "gt").mkdir()
        scene = _Scene(people, size, seed)
        lines = []
        for moment in range(frames):
            frame, boxes, ids = scene.draw(moment)
            Image.fromarray(frame).save(fresh / "img1" / f"{moment + 1:06d}.jpg", "JPEG", quality=_QUALITY)
            corners = np.hstack([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])]).astype(int)
            for identity, (left, top, right, bottom) in zip(ids.tolist(), corners.tolist(), strict=True):
                lines.append(f"{moment + 1},{identity},{left},{top},{right - left},{bottom - top},1,1,1.0\n")
            if progress:
                progress(1)
        (fresh / "gt" / "gt.txt").write_text("".join(lines), encoding="ascii")
        (fresh / "seqinfo.ini").write_text(
            f"[Sequence]\nname={folder.name}\nimDir=img1\nframeRate={RATE}\nseqLength={frames}\n"
            f"imWidth={size[0]}\nimHeight={size[1]}\nimExt=.jpg\n",
            encoding="utf-8",
        )
    return folder


def _draw_walk(person: Person, slot: float, place: Place, rng: np.random.Generator) -> _Walk:
    """Draw a path that stays in view, so that every box has somebody in it.

    Args:
        person: who walks.
        slot: 0 to 1, where in the width the path begins: evenly shared out, or people walk in a heap.
        place: where.
        rng: draws the rest.
    """
    start = end = _spot(place, slot, rng)
    length = 0.0
    while not 1.5 < length < 6.0:
        end = _spot(place, float(rng.random()), rng)
        length = hypot(end[0] - start[0], end[1] - start[1])
    return _Walk(
        person=person,
        start=start,
        end=end,
        speed=float(rng.uniform(1.0, 1.6)),
        reach=float(rng.uniform(0.75, 1.0)),
        ahead=float(rng.uniform(0, 0.4 * length)),
    )


def _spot(place: Place, column: float, rng: np.random.Generator) -> tuple[float, float]:
    """Return ground coordinates, metres across and away, of a spot in a column of the image (0 to 1)."""
    row = float(rng.uniform(place.far, place.near))
    away = place.away_at(row)
    return (0.84 * column - 0.42) * place.size[0] * away / place.focal, away


def check_scene(people: int, size: tuple[int, int], seed: int) -> None:
    """Refuse more people, other frames or another seed than can be drawn.

    Raises:
        InputError: an argument is refused.
    """
    check_whole("people", people, 0)
    check_whole("seed", seed, 0)
    if people > _MOST:
        raise InputError(f"expected at most {_MOST} people in a frame, got {people}")
    if len(size) != 2:
        raise InputError(f"expected size to be (width, height), got {size!r}")
    check_whole("the frame's width", size[0], 160, _LARGEST)
    check_whole("the frame's height", size[1], 120, _LARGEST)
