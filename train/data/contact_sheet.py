"""A contact sheet: some people of a set in rows, their cameras in columns, to see what the set is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.train.data.reid_set import DISTRACTOR, Picture, ReidSet

_PEOPLE = {"train": 4, "test": 3}
_MOST_CAMERAS, _MOST_SHOTS = 6, 3
#: Pixels: an image's cell, the air between images, cameras and people, and the margins.
_WIDE, _HIGH, _AIR, _BETWEEN = 72, 144, 4, 22
_LEFT, _TOP, _EDGE = 112, 108, 28
_PAPER, _INK, _PALE, _EMPTY, _WRONG = "#ffffff", "#1f2933", "#66727f", "#eef1f4", "#c0392b"


def draw_contact_sheet(found: ReidSet) -> Image.Image:
    """Draw people of a set, evenly chosen among those to train on and those to test on.

    A column is a camera, with up to three images of the person; a set of more than six cameras shows those
    with the most images. An image that cannot be decoded is a crossed box.

    Args:
        found: the set; the images that are shown are opened.

    Returns:
        An RGB image.
    """
    parts = {"train": found.train, "test": found.query + found.gallery}
    counted = Counter(p.camera for part in parts.values() for p in part)
    cameras = sorted(camera for camera, _ in counted.most_common(_MOST_CAMERAS))
    rows = [(split, who, shots) for split, part in parts.items() for who, shots in _people(split, part)]
    most = max((len(shots[c][:_MOST_SHOTS]) for _, _, shots in rows for c in cameras), default=1)
    across, down = most * (_WIDE + _AIR) - _AIR + _BETWEEN, _HIGH + _BETWEEN
    width = _LEFT + len(cameras) * across - _BETWEEN + _EDGE
    sheet = Image.new("RGB", (max(width, 640), _TOP + len(rows) * down - _BETWEEN + _EDGE), _PAPER)
    pen = ImageDraw.Draw(sheet)
    _write(pen, _EDGE, 20, found.name, 24, _INK)
    _write(pen, _EDGE, 54, _caption(found, len(rows), len(cameras), len(counted)), 14, _PALE)
    for k, camera in enumerate(cameras):
        _write(pen, _LEFT + k * across, _TOP - 22, f"camera {camera}", 14, _INK)
    for j, (split, who, shots) in enumerate(rows):
        top = _TOP + j * down
        _write(pen, _EDGE, top, str(who), 18, _INK)
        _write(pen, _EDGE, top + 24, split, 14, _PALE)
        for k, camera in enumerate(cameras):
            for shot in range(most):
                left = _LEFT + k * across + shot * (_WIDE + _AIR)
                pen.rectangle((left, top, left + _WIDE - 1, top + _HIGH - 1), fill=_EMPTY)
                for picture in shots[camera][:_MOST_SHOTS][shot : shot + 1]:
                    _paste(sheet, picture, left, top)
    return sheet


def _people(split: str, pictures: Sequence[Picture]) -> list[tuple[int, dict[int, list[Picture]]]]:
    """Choose people at even distances, and sort their images by camera."""
    shots: dict[int, dict[int, list[Picture]]] = defaultdict(lambda: defaultdict(list))
    for picture in dict.fromkeys(pictures):
        shots[picture.identity][picture.camera].append(picture)
    people = sorted(who for who in shots if split == "train" or who != DISTRACTOR)
    count = min(_PEOPLE[split], len(people))
    return [(who, shots[who]) for who in (people[k * len(people) // count] for k in range(count))]


def _caption(found: ReidSet, shown: int, columns: int, cameras: int) -> str:
    people = len({p.identity for p in found.train}) + len({p.identity for p in found.query})
    pictures = len(found.train) + len(found.query) + len(found.gallery)
    return (
        f"{shown} of {counted(people, 'person')} on {columns} of {counted(cameras, 'camera')}; "
        f"{counted(pictures, 'image')} in all"
    )


def _paste(sheet: Image.Image, picture: Picture, left: int, top: int) -> None:
    """Fit an image into its cell, whole and in its own shape."""
    try:
        image = Image.fromarray(read_picture(picture.path))
    except InputError:
        pen = ImageDraw.Draw(sheet)
        box = (left, top, left + _WIDE - 1, top + _HIGH - 1)
        pen.rectangle(box, outline=_WRONG, width=2)
        # One pixel short, for a thick line bulges at its ends.
        near, far = (box[0] + 1, box[1] + 1), (box[2] - 1, box[3] - 1)
        pen.line((near, far), fill=_WRONG, width=2)
        pen.line((near[0], far[1], far[0], near[1]), fill=_WRONG, width=2)
        return
    scale = min(_WIDE / image.width, _HIGH / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    fitted = image.resize(size, Image.Resampling.LANCZOS)
    sheet.paste(fitted, (left + (_WIDE - size[0]) // 2, top + (_HIGH - size[1]) // 2))


def _write(pen: ImageDraw.ImageDraw, left: int, top: int, text: str, size: int, colour: str) -> None:
    pen.text((left, top), text, fill=colour, font=ImageFont.load_default(size))
