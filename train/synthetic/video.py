"""Sequences of a site's cameras in the MOT17 layout, with identities that hold across cameras.

Example:
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = write_video(
    ...         f"{folder}/site", cameras=2, people=3, seconds=1, rate=5, size=(320, 180), seed=0
    ...     )
    ...     [each.name for each in made], sorted(each.name for each in made[0].iterdir())
    (['camera-1', 'camera-2'], ['det', 'gt', 'img1', 'seqinfo.ini'])
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from osnet_edge.bench.measure.look import develop
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import write_folder_aside
from osnet_edge.train.synthetic.crops import check_whole
from osnet_edge.train.synthetic.detector import detect, visible_part
from osnet_edge.train.synthetic.frames import check_scene
from osnet_edge.train.synthetic.site import Moment, Site, screen_box
from osnet_edge.train.synthetic.stage import Box, Prop, Walker, box_of, draw_stage

_QUALITY = 92
#: A person fills about this part of their box's width.
_BODY = 0.75
#: Somebody of whom less is visible is not in the ground truth: nobody could mark them.
_LEAST_VISIBLE = 0.05
#: More frames a second than a camera gives, and more of a camera than anybody draws on purpose.
_FASTEST, _MOST_FRAMES = 100, 1_000_000


def write_video(
    folder: Path | str,
    *,
    cameras: int,
    people: int,
    seconds: float,
    rate: float,
    size: tuple[int, int],
    seed: int,
    style: str = "plain",
    progress: Callable[[int], None] | None = None,
) -> list[Path]:
    """Draw what the cameras of a site see, each as a MOT17 sequence: `camera-1/img1/000001.jpg` and so on.

    Lines of gt/gt.txt read `frame,id,x,y,w,h,1,1,visibility`, those of det/det.txt `frame,-1,x,y,w,h,score`:
    the box's upper left corner, width and height in pixels counted from 0, and frames counted from 1. An id
    is the same person in every camera. A frame that a camera lost is left out, and its number too.

    Args:
        folder: where to write; it must not exist, and is there whole or not at all.
        cameras: how many, at least 1.
        people: how many walk there in all, 1 to 200.
        seconds: how long it lasts; a frame at least.
        rate: frames to a second, above 0 and at most 100.
        size: width and height of a frame in pixels, at least 160x120.
        seed: the same seed gives the same bytes.
        style: the manner that all cameras share, one of `style.STYLES`.
        progress: called with the number of frames done since the last call, written or lost.

    Returns:
        The sequences' folders.

    Raises:
        InputError: an argument is out of these ranges, or the folder is there already.
    """
    check_whole("cameras", cameras, 1, 100)
    check_whole("people", people, 1)
    check_scene(people, size, seed)
    count = count_frames(seconds, rate)
    site = Site(cameras=cameras, people=people, size=size, seconds=seconds, rate=rate, seed=seed, style=style)
    folder = Path(folder)
    with write_folder_aside(folder) as fresh:
        for camera in range(cameras):
            sequence = fresh / f"camera-{camera + 1}"
            for part in ("img1", "gt", "det"):
                (sequence / part).mkdir(parents=True)
            truth, found = [], []
            for moment in site.arrived[camera]:
                number = moment + 1
                rng = np.random.default_rng([seed, 7, camera, moment])
                seen = site.at(camera, moment)
                frame = _draw(site, camera, seen, rng)
                Image.fromarray(frame).save(sequence / "img1" / f"{number:06d}.jpg", "JPEG", quality=_QUALITY)
                boxes = _boxes(site, camera, seen)
                truth += [_line(number, who, box, "1,1", part) for who, (box, part) in boxes.items()]
                found += [_line(number, -1, each.box, "", each.score) for each in detect(boxes, size, rng)]
                if progress:
                    progress(1)
            (sequence / "gt" / "gt.txt").write_text("".join(truth), encoding="ascii")
            if progress:
                progress(count - len(site.arrived[camera]))
            (sequence / "det" / "det.txt").write_text("".join(found), encoding="ascii")
            (sequence / "seqinfo.ini").write_text(
                f"[Sequence]\nname={sequence.name}\nimDir=img1\nframeRate={rate:g}\n"
                f"seqLength={count}\n"
                f"imWidth={size[0]}\nimHeight={size[1]}\nimExt=.jpg\nsite={folder.name}\n",
                encoding="utf-8",
            )
    return [folder / f"camera-{camera + 1}" for camera in range(cameras)]


def count_frames(seconds: float, rate: float) -> int:
    """Return how many frames a camera takes, before any is lost.

    Raises:
        InputError: there is none, there are too many, or the rate is not above 0 and at most 100.
    """
    if not 0 < rate <= _FASTEST:
        raise InputError(f"expected a rate above 0 and of at most {_FASTEST} frames a second, got {rate:g}")
    if not 0.5 < seconds * rate <= _MOST_FRAMES:
        raise InputError(
            f"expected seconds for 1 to {_MOST_FRAMES:,} frames at {rate:g} a second, got {seconds:g}"
        )
    return round(seconds * rate)


def _draw(site: Site, camera: int, seen: Moment, rng: np.random.Generator) -> NDArray[np.uint8]:
    lit = site.lit(camera, seen.light)
    wide, tall = lit.place.size
    things: list[Walker | Prop] = [*seen.walkers.values(), seen.screen]
    drawing = np.asarray(draw_stage(lit, things, (0.0, 0.0, wide, tall), (wide, tall), 2))
    right, down = seen.shift
    # What a shaken camera sees beyond the edge is not drawn: the edge is seen again.
    rows = np.clip(np.arange(tall) - down, 0, tall - 1)
    columns = np.clip(np.arange(wide) - right, 0, wide - 1)
    shaken = Image.fromarray(drawing[rows[:, None], columns[None, :]])
    # The blur goes by the height of a person, about a third of a frame's.
    return np.array(develop(shaken, lit.look, rng, tall // 3))


def _boxes(site: Site, camera: int, seen: Moment) -> dict[int, tuple[Box, float]]:
    """Return box and visible part of everybody in view, by identity."""
    watching = site.cameras[camera]
    wide, tall = watching.place.size
    whole = {who: _moved(box_of(watching, walker), seen.shift) for who, walker in seen.walkers.items()}
    screen = _moved(screen_box(watching.place, seen.screen), seen.shift)
    boxes = {}
    for who, walker in seen.walkers.items():
        nearer = [_body(whole[other]) for other, at in seen.walkers.items() if at.row > walker.row]
        if seen.screen.row > walker.row:
            nearer.append(screen)
        visible = visible_part(whole[who], nearer, (wide, tall))
        if visible >= _LEAST_VISIBLE:
            left, top, right, bottom = np.clip(whole[who], 0, [wide, tall, wide, tall]).tolist()
            boxes[who] = ((left, top, right, bottom), visible)
    return boxes


def _moved(box: Box, shift: tuple[int, int]) -> Box:
    return box[0] + shift[0], box[1] + shift[1], box[2] + shift[0], box[3] + shift[1]


def _body(box: Box) -> Box:
    margin = 0.5 * (1 - _BODY) * (box[2] - box[0])
    return box[0] + margin, box[1], box[2] - margin, box[3]


def _line(number: int, who: int, box: Box, kind: str, last: float) -> str:
    left, top, right, bottom = box
    cells = [
        f"{number},{who},{left:.1f},{top:.1f},{right - left:.1f},{bottom - top:.1f}",
        kind,
        f"{last:.2f}",
    ]
    return ",".join(cell for cell in cells if cell) + "\n"
