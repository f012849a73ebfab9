"""The places where the cameras hang: each paints its backdrop once per camera, never the same twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from osnet_edge.train.synthetic.backdrop import Backdrop
from osnet_edge.train.synthetic.brush import shaded
from osnet_edge.train.synthetic.person import Colour

# A place is painted at this many pixels to a frame pixel, so that a crop that is enlarged stays crisp.
OVERSIZE = 2
_BRICKS: tuple[Colour, ...] = (
    (186, 150, 128),
    (206, 196, 180),
    (158, 166, 176),
    (170, 118, 100),
    (196, 178, 142),
    (142, 152, 150),
)
_GOODS: tuple[Colour, ...] = (
    (196, 84, 76),
    (226, 172, 84),
    (110, 156, 116),
    (96, 134, 176),
    (228, 220, 206),
    (150, 110, 158),
    (214, 140, 120),
)


@dataclass(frozen=True)
class Place:
    """A camera's view without people.

    Attributes:
        image: the view, RGB, `OVERSIZE` pixels to a frame pixel.
        size: the frame's width and height in pixels.
        horizon: the row of eye level, in frame pixels.
        camera_height: how high the camera hangs, in metres.
        near: the lowest row at which feet may stand.
        far: the highest.
    """

    image: Image.Image
    size: tuple[int, int]
    horizon: float
    camera_height: float
    near: float
    far: float

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return 1.3 * self.size[1]

    def away_at(self, row: float) -> float:
        """Return how many metres from the camera feet at `row` are."""
        return self.focal * self.camera_height / (row - self.horizon)

    def scale_at(self, row: float) -> float:
        """Return frame pixels to a metre for a figure whose feet are at `row`."""
        return (row - self.horizon) / self.camera_height


def build_place(kind: str, size: tuple[int, int], rng: np.random.Generator) -> Place:
    """Paint a place.

    Args:
        kind: one of `KINDS`.
        size: the frame's width and height in pixels.
        rng: places the details.
    """
    wide, tall = size
    horizon = float(rng.uniform(0.24, 0.3))
    backdrop = Backdrop((wide * OVERSIZE, tall * OVERSIZE), horizon, rng)
    _PAINTERS[kind](backdrop)
    return Place(
        image=backdrop.image,
        size=size,
        horizon=horizon * tall,
        camera_height=float(rng.uniform(2.4, 2.8)),
        near=0.97 * tall,
        far=0.64 * tall,
    )


def _street(to: Backdrop) -> None:
    to.fade(0, 0.4, (164, 196, 222), (222, 230, 232))
    _houses(to, 0.5, [(112, 134, 152), (90, 110, 130), (150, 168, 178)])
    to.fade(0.5, 0.62, (150, 150, 152), (172, 170, 166))
    to.fade(0.62, 1.0, (186, 182, 174), (204, 200, 190))
    to.paving(0.62, (140, 136, 130, 150), 16, 0.24)
    to.box(0, 0.6, to.wide, 0.022, (214, 210, 202))
    for x in to.rng.uniform(0, to.wide, 2):
        colour = _BRICKS[int(to.rng.integers(len(_BRICKS)))] if to.rng.random() < 0.5 else (92, 104, 128)
        to.car(float(x), 0.585, 0.34, colour)
    for x in np.arange(0.2, to.wide, 0.62):
        to.tree(float(x + to.rng.uniform(-0.1, 0.1)), 0.63, 0.52, (112, 148, 92))
    to.lamp(float(to.rng.uniform(0.3, to.wide - 0.3)), 0.64, 0.56, None)


def _houses(to: Backdrop, base: float, glass: list[Colour]) -> None:
    x = -0.05
    while x < to.wide:
        wide = float(to.rng.uniform(0.28, 0.5))
        top = float(to.rng.uniform(-0.02, 0.14))
        wall = _BRICKS[int(to.rng.integers(len(_BRICKS)))]
        to.box(x, top, wide, base - top, wall)
        to.box(x, top, wide, 0.014, shaded(wall, 0.8))
        to.windows((x + 0.02, top + 0.03, wide - 0.04, 0.32 - top), (int(wide * 12), 3), glass)
        shop = _GOODS[int(to.rng.integers(len(_GOODS)))]
        to.box(x + 0.02, base - 0.135, wide - 0.04, 0.135, shaded(wall, 0.7))
        to.windows((x + 0.02, base - 0.12, wide - 0.04, 0.15), (max(2, int(wide * 6)), 1), glass)
        to.box(x + 0.01, base - 0.155, wide - 0.02, 0.035, shop, 0.006)
        x += wide


def _station(to: Backdrop) -> None:
    to.fade(0, 0.16, (92, 98, 106), (126, 132, 138))
    to.fade(0.16, 0.58, (206, 208, 204), (188, 190, 188))
    for x in np.arange(0, to.wide, 0.075):
        to.box(float(x), 0.16, 0.002, 0.42, (160, 164, 164))
    for y in np.arange(0.16, 0.58, 0.06):
        to.box(0, float(y), to.wide, 0.002, (160, 164, 164))
    train: Colour = ((70, 108, 150), (150, 66, 62), (74, 128, 104))[int(to.rng.integers(3))]
    left = float(to.rng.uniform(-0.4, 0.3))
    to.box(left, 0.2, 1.3, 0.36, (218, 220, 222), 0.03)
    to.box(left, 0.43, 1.3, 0.06, train)
    to.windows((left + 0.05, 0.22, 1.2, 0.22), (7, 1), [(70, 88, 104), (88, 106, 120)], 0.01)
    for k in range(3):
        to.box(left + 0.2 + 0.4 * k, 0.24, 0.1, 0.31, shaded(train, 0.85), 0.006)
    to.box(0, 0.555, to.wide, 0.03, (66, 66, 70))
    to.fade(0.585, 1, (164, 160, 154), (196, 190, 182))
    to.paving(0.6, (128, 124, 120, 140), 14, 0.28)
    to.box(0, 0.6, to.wide, 0.02, (222, 186, 76))
    for x in np.arange(float(to.rng.uniform(0.1, 0.4)), to.wide, 0.72):
        to.box(float(x), 0, 0.05, 0.68, (120, 128, 134))
        to.box(float(x), 0, 0.012, 0.68, (150, 158, 162))
        to.box(float(x) - 0.01, 0.65, 0.07, 0.04, (96, 102, 108))
    to.box(0.75, 0.04, 0.4, 0.085, (36, 56, 98), 0.008)
    to.box(0.78, 0.06, 0.2, 0.014, (236, 236, 230))
    to.box(0.78, 0.09, 0.28, 0.012, (236, 236, 230))


def _shop(to: Backdrop) -> None:
    to.fade(0, 0.2, (232, 228, 216), (216, 210, 198))
    for k in range(7):
        to.box(0.06 + 0.28 * k, 0.03, 0.18, 0.022, (255, 252, 240), 0.008)
        to.box(0.1 + 0.28 * k, 0.11, 0.12, 0.014, (255, 252, 240), 0.006)
    to.fade(0.2, 0.59, (208, 196, 178), (190, 178, 160))
    x = -0.05
    while x < to.wide:
        wide = float(to.rng.uniform(0.36, 0.5))
        to.shelf(x, 0.59, wide - 0.05, 0.4, _GOODS)
        sign = _GOODS[int(to.rng.integers(len(_GOODS)))]
        to.box(x + 0.1, 0.14, wide - 0.25, 0.04, sign, 0.006)
        x += wide
    to.fade(0.59, 1, (196, 184, 166), (224, 214, 198))
    to.paving(0.59, (170, 156, 138, 170), 12, 0.3)


def _park(to: Backdrop) -> None:
    to.fade(0, 0.22, (70, 74, 122), (160, 116, 140))
    to.fade(0.22, 0.42, (196, 130, 126), (246, 190, 132))
    to.oval(float(to.rng.uniform(0.3, 1.4)), 0.36, 0.05, 0.05, (255, 226, 170))
    for k, colour in enumerate(((112, 96, 124), (84, 84, 104))):
        for x in np.arange(-0.1, to.wide + 0.2, 0.3):
            to.oval(float(x + to.rng.uniform(-0.1, 0.1)), 0.46, 0.26, 0.1 - 0.03 * k, colour)
    to.fade(0.44, 1, (84, 98, 82), (108, 116, 84))
    middle = 0.5 * to.wide
    path = [(middle - 0.1, 0.46), (middle + 0.1, 0.46), (middle + 1.1, 1.01), (middle - 1.1, 1.01)]
    to.shape(path, (164, 142, 122))
    for x in np.arange(0.05, to.wide, 0.33):
        if abs(x - middle) > 0.2:
            to.tree(float(x), float(to.rng.uniform(0.52, 0.6)), 0.5, (80, 100, 84))
    to.bench(0.24, 0.66, 0.26, (134, 96, 70))
    to.bench(1.34, 0.64, 0.24, (134, 96, 70))
    for x in (0.56, 1.24):
        to.lamp(x, 0.62, 0.44, (255, 222, 150))


def _plaza(to: Backdrop) -> None:
    to.fade(0, 0.52, (188, 206, 216), (236, 236, 230))
    for k in range(3):
        top, x = float(to.rng.uniform(0.0, 0.12)), 0.62 * k - 0.05
        to.box(x, top, 0.58, 0.52 - top, ((150, 170, 184), (132, 154, 168), (166, 178, 182))[k])
        to.windows((x + 0.01, top + 0.01, 0.56, 0.4 - top), (9, 4), [(118, 146, 166), (176, 196, 206)])
        to.box(x, 0.42, 0.58, 0.1, (98, 108, 116))
        to.windows((x + 0.01, 0.415, 0.56, 0.12), (6, 1), [(206, 200, 172), (176, 190, 196)])
    to.fade(0.52, 1, (206, 202, 194), (224, 220, 212))
    to.paving(0.52, (176, 172, 164, 190), 10, 0.36)
    for x in np.arange(float(to.rng.uniform(0, 0.3)), to.wide, 0.5):
        to.box(float(x), 0.565, 0.24, 0.06, (158, 152, 144), 0.006)
        for k in range(7):
            dy = float(to.rng.uniform(-0.012, 0.012))
            to.oval(
                float(x) + 0.02 + 0.034 * k, 0.56 + dy, 0.028, 0.03, shaded((126, 160, 104), 0.8 + 0.04 * k)
            )


def _night(to: Backdrop) -> None:
    to.fade(0, 0.4, (26, 30, 54), (54, 52, 84))
    _houses(to, 0.5, [(64, 68, 92), (64, 68, 92), (246, 206, 130), (50, 54, 78)])
    # Dim what the sun does not light, and only then set the lamps and the lit shop fronts.
    to.box(0, 0, to.wide, 1, (16, 18, 46, 140))
    to.fade(0.5, 1, (74, 76, 92), (112, 110, 116))
    to.paving(0.55, (56, 58, 74, 150), 15, 0.26)
    for x in np.arange(float(to.rng.uniform(0, 0.2)), to.wide, 0.3):
        to.windows((float(x), 0.39, 0.2, 0.13), (2, 1), [(255, 222, 150), (240, 196, 120)])
        pool = float(x) + 0.1
        for size in (0.3, 0.2, 0.12):
            to.oval(pool, 0.62, size, 0.26 * size, (255, 214, 140, 26))
    for x in np.arange(0.3, to.wide, 0.6):
        to.lamp(float(x), 0.6, 0.5, (255, 226, 164))
        to.oval(float(x), 0.82, 0.4, 0.1, (255, 220, 150, 22))


_PAINTERS: dict[str, Callable[[Backdrop], None]] = {
    "street": _street,
    "station": _station,
    "park": _park,
    "shop": _shop,
    "plaza": _plaza,
    "night": _night,
}
KINDS = tuple(_PAINTERS)
