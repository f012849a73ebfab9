"""Frames with who is who drawn into them: a contact sheet to look at, or a video."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from collections.abc import Sequence as Listed
from math import ceil, sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from osnet_edge.runtime.errors import CheckError, InputError, UnavailableError
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.track.sequence import Boxes, Sequence, Tracks

#: Red, green and blue, 0 to 255.
Colour = tuple[int, int, int]
#: Pixels across: of a video, and of a contact sheet, with the air between its pictures.
_VIDEO, _SHEET, _AIR = 1920, 1980, 12
_PAPER, _DARK, _LIGHT = "#ffffff", "#111111", "#ffffff"
#: A longer video than the second of these has an image for one frame in this many, or it is refused.
_SPARSE, _SHORT = 100, 10_000
#: A box that players pass over, behind the last one of an MP4, to tell a video of ours.
_MARK = b"\x00\x00\x00\x12freeosnet-edge"


def colour_of(identity: int) -> Colour:
    """Return the colour of an identity, RGB: the same everywhere, and unlike those of the next ones."""
    # Turned by the golden ratio, hues of any number of neighbours are spread evenly.
    hue = identity * (sqrt(5) - 1) / 2 % 1
    light = (1.0, 0.75, 0.9)[identity % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, (0.85, 0.9, 0.55)[identity % 3], light)
    return round(255 * red), round(255 * green), round(255 * blue)


class Screen:
    """The cameras of some sequences side by side, each person in a box of their own colour.

    Args:
        sequences: one or more.
        tracks: of each.
        width: pixels across that it may have; no frame is enlarged.
        text: height of letters in pixels; None goes by the frames' height.

    Attributes:
        size: width and height in pixels, both even, as videos ask for.
        seconds: how long the longest sequence lasts, from the time of number 1.
    """

    def __init__(
        self, sequences: Listed[Sequence], tracks: Listed[Tracks], width: int, text: int | None = None
    ) -> None:
        self._cameras = list(zip(sequences, tracks, strict=True))
        self._across = ceil(sqrt(len(self._cameras)))
        high, wide, _ = read_picture(sequences[0].frames[0]).shape
        cell = min(wide, width // self._across)
        self._cell = cell // 2 * 2, round(cell * high / wide / 2) * 2
        down = ceil(len(self._cameras) / self._across)
        self.size = self._across * self._cell[0], down * self._cell[1]
        self.seconds = max(each.numbers[-1] / each.rate for each in sequences)
        self._text = text or max(14, self._cell[1] // 36)

    def at(self, seconds: float) -> Image.Image:
        """Return what is on the screen at a time; a camera that has ended is dark."""
        screen = Image.new("RGB", self.size, _DARK)
        for place, (sequence, tracks) in enumerate(self._cameras):
            # The newest frame that has come; a lost one leaves the one before on the screen.
            frame = int(np.searchsorted(sequence.times, seconds + 1e-6, side="right")) - 1
            if frame >= 0 and seconds < sequence.numbers[-1] / sequence.rate:
                down, across = divmod(place, self._across)
                name = f"{sequence.name}  {seconds:.1f} s"
                screen.paste(
                    self._draw(read_picture(sequence.frames[frame]), tracks.between(frame, frame + 1), name),
                    (across * self._cell[0], down * self._cell[1]),
                )
        return screen

    def _draw(self, frame: NDArray[np.uint8], seen: Tracks, name: str) -> Image.Image:
        """Return a frame in its cell with its boxes, as large as it fits."""
        whole = Image.fromarray(frame)
        scale = min(self._cell[0] / whole.width, self._cell[1] / whole.height)
        fitted = whole.resize((round(whole.width * scale), round(whole.height * scale)))
        pen = ImageDraw.Draw(fitted)
        # The nearest people stand lowest, and are drawn last.
        for row in np.argsort(seen.boxes[:, 3], kind="stable"):
            self._frame(pen, seen.boxes[row] * scale, int(seen.ids[row]))
        self._label(pen, (0, 0), name, _DARK, _LIGHT)
        return fitted

    def _frame(self, pen: ImageDraw.ImageDraw, box: Boxes, identity: int) -> None:
        colour = colour_of(identity)
        left, top, right, bottom = box.tolist()
        pen.rectangle((left, top, max(left, right), max(top, bottom)), outline=colour, width=self._text // 6)
        dark = np.dot(colour, (0.299, 0.587, 0.114)) < 128
        # Above the box, or inside where the frame ends there.
        over = top - 1.3 * self._text
        place = max(0.0, left), over if over >= 0 else max(0.0, top)
        self._label(pen, place, str(identity), colour, _LIGHT if dark else _DARK)

    def _label(
        self, pen: ImageDraw.ImageDraw, place: tuple[float, float], text: str, paper: str | Colour, ink: str
    ) -> None:
        font, (left, top) = ImageFont.load_default(self._text), place
        air = 0.3 * self._text
        wide = pen.textlength(text, font) + 2 * air
        pen.rectangle((left, top, left + wide, top + 1.3 * self._text), fill=paper)
        pen.text((left + air, top + 0.65 * self._text), text, fill=ink, font=font, anchor="lm")


def contact_sheet(sequences: Listed[Sequence], tracks: Listed[Tracks]) -> Image.Image:
    """Draw moments spread over the sequences: twelve of one camera, six of up to four, four of more.

    Args:
        sequences: one or more.
        tracks: of each.
    """
    across, down = {1: (3, 4), 2: (2, 3)}.get(ceil(sqrt(len(sequences))), (1, 4))
    screen = Screen(sequences, tracks, (_SHEET + _AIR) // across - _AIR)
    wide, high = screen.size
    size = across * (wide + _AIR) - _AIR, down * (high + _AIR) - _AIR
    sheet = Image.new("RGB", size, _PAPER)
    for place in range(across * down):
        shown = screen.at((place + 0.5) / (across * down) * screen.seconds)
        sheet.paste(shown, (place % across * (wide + _AIR), place // across * (high + _AIR)))
    return sheet


def write_video(
    file: Path,
    sequences: Listed[Sequence],
    tracks: Listed[Tracks],
    progress: Callable[[int], None] = lambda count: None,
) -> None:
    """Write an MP4 video of all sequences side by side, by OpenCV.

    Args:
        file: what to write, ending in .mp4.
        sequences: one or more.
        tracks: of each.
        progress: called with how many frames were just done, of `count_shown`.

    Raises:
        UnavailableError: this OpenCV has no encoder.
        CheckError: what it wrote does not open again.
    """
    import cv2

    screen, rate = Screen(sequences, tracks, _VIDEO), max(each.rate for each in sequences)
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), rate, screen.size)
    if not writer.isOpened():
        raise UnavailableError("this OpenCV writes no MP4 video (mp4v); draw a contact sheet instead")
    for frame in range(count_shown(sequences)):
        writer.write(np.ascontiguousarray(np.asarray(screen.at(frame / rate))[..., ::-1]))
        progress(1)
    writer.release()
    with file.open("ab") as end:
        end.write(_MARK)
    written = cv2.VideoCapture(str(file))
    whole = written.read()[0] and round(written.get(cv2.CAP_PROP_FRAME_COUNT)) == count_shown(sequences)
    written.release()
    if not whole:
        raise CheckError("the video that OpenCV wrote does not open again; draw a contact sheet instead")


def count_shown(sequences: Listed[Sequence]) -> int:
    """Return how many frames a video has: those of the fastest, lost ones too, until the longest ends.

    Raises:
        InputError: nearly all would be lost ones, as where frames are numbered by the clock.
    """
    rate = max(each.rate for each in sequences)
    shown = ceil(max(each.numbers[-1] / each.rate for each in sequences) * rate - 1e-6)
    there = sum(len(each.frames) for each in sequences)
    if shown > max(_SPARSE * there, _SHORT):
        raise InputError(
            f"expected frames numbered one after another from 1 for a video, got {there:,} for "
            f"{shown:,} numbers; rename them, or draw a contact sheet instead"
        )
    return shown
