"""Draws the things a place is made of: ground, walls with windows, trees, lamps, shelves, cars.

All lengths are parts of the image's height, so that one description fits every size of frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from osnet_edge.train.synthetic.brush import shaded
from osnet_edge.train.synthetic.person import Colour


class Backdrop:
    """An image being painted, with the chance that places its details.

    Attributes:
        image: the RGB image.
        wide: its width as a part of its height.
        horizon: where eye level lies, from the top.
    """

    def __init__(self, size: tuple[int, int], horizon: float, rng: np.random.Generator):
        self.image = Image.new("RGB", size)
        self.draw = ImageDraw.Draw(self.image, "RGBA")
        self.wide = size[0] / size[1]
        self.horizon = horizon
        self.rng = rng
        self._unit = size[1]

    def box(
        self, x: float, y: float, wide: float, tall: float, colour: Sequence[int], round_: float = 0
    ) -> None:
        """Fill a rectangle given by its upper left corner, with rounded corners if asked."""
        u = self._unit
        area = (x * u, y * u, (x + wide) * u, (y + tall) * u)
        self.draw.rounded_rectangle(area, radius=round_ * u, fill=tuple(colour))

    def oval(self, x: float, y: float, wide: float, tall: float, colour: Sequence[int]) -> None:
        """Fill an ellipse given by its middle and half-axes."""
        u = self._unit
        self.draw.ellipse(
            ((x - wide) * u, (y - tall) * u, (x + wide) * u, (y + tall) * u), fill=tuple(colour)
        )

    def shape(self, spots: Sequence[tuple[float, float]], colour: Sequence[int]) -> None:
        """Fill a polygon."""
        self.draw.polygon([(x * self._unit, y * self._unit) for x, y in spots], fill=tuple(colour))

    def fade(self, top: float, bottom: float, above: Colour, below: Colour) -> None:
        """Fill the whole width between two heights with a colour that changes downwards."""
        first, last = round(top * self._unit), round(bottom * self._unit)
        part = np.linspace(0, 1, max(last - first, 1))[:, None, None]
        column = np.array(above) * (1 - part) + np.array(below) * part
        strip = Image.fromarray(column.round().astype(np.uint8))
        self.image.paste(strip.resize((self.image.width, max(last - first, 1))), (0, first))

    def paving(self, base: float, colour: Sequence[int], across: int, spread: float) -> None:
        """Draw the joints of a paved ground from `base` down: rows that close up, lines that meet far off."""
        u = self._unit
        middle = 0.5 * self.wide
        for k in range(-across, across + 1):
            x = middle + k * spread
            start = middle + (x - middle) * (base - self.horizon) / (1 - self.horizon)
            self.draw.line((start * u, base * u, x * u, u), fill=tuple(colour), width=max(1, u // 500))
        steps = 1.0
        while True:
            y = self.horizon + (1 - self.horizon) / steps
            if y < base:
                return
            self.draw.line((0, y * u, self.wide * u, y * u), fill=tuple(colour), width=max(1, u // 500))
            steps *= 1.13

    def windows(
        self,
        area: tuple[float, float, float, float],
        grid: tuple[int, int],
        colours: Sequence[Colour],
        round_: float = 0,
    ) -> None:
        """Draw columns by rows of windows in an area (x, y, width, height), each in one of `colours`."""
        x, y, wide, tall = area
        columns, rows = grid
        step_x, step_y = wide / columns, tall / rows
        for column in range(columns):
            for row in range(rows):
                glass = colours[int(self.rng.integers(len(colours)))]
                at = (x + (column + 0.22) * step_x, y + (row + 0.18) * step_y)
                size = (0.56 * step_x, 0.62 * step_y)
                self.box(
                    at[0] - 0.003, at[1] - 0.003, size[0] + 0.006, size[1] + 0.008, (0, 0, 0, 40), round_
                )
                self.box(*at, *size, glass, round_)
                self.shape(
                    [at, (at[0] + 0.5 * size[0], at[1]), (at[0], at[1] + 0.6 * size[1])], (255, 255, 255, 36)
                )

    def tree(self, x: float, base: float, tall: float, leaf: Colour) -> None:
        """Draw a tree that stands at `base`."""
        self.oval(x, base, 0.16 * tall, 0.02 * tall, (10, 16, 30, 60))
        trunk = 0.035 * tall
        bark = [(x - trunk, base), (x + trunk, base), (x + 0.4 * trunk, base - 0.6 * tall)]
        self.shape([*bark, (x - 0.4 * trunk, base - 0.6 * tall)], (92, 70, 56))
        for k in range(9):
            dx, dy = self.rng.uniform(-0.2, 0.2), self.rng.uniform(-0.22, 0.2)
            colour = shaded(leaf, 0.8 + 0.05 * (k % 5))
            self.oval(x + dx * tall, base - (0.72 - dy) * tall, 0.16 * tall, 0.15 * tall, colour)

    def lamp(self, x: float, base: float, tall: float, glow: Colour | None) -> None:
        """Draw a street lamp, alight if it has a glow."""
        self.box(x - 0.012 * tall, base - tall, 0.024 * tall, tall, (58, 60, 68))
        self.box(x - 0.03 * tall, base - 0.04 * tall, 0.06 * tall, 0.04 * tall, (48, 50, 58))
        if glow:
            for size in np.linspace(0.26, 0.06, 12):
                self.oval(x, base - tall, float(size) * tall, float(size) * tall, (*glow, 12))
        self.oval(x, base - tall, 0.045 * tall, 0.045 * tall, glow or (226, 228, 222))

    def car(self, x: float, base: float, long: float, colour: Colour) -> None:
        """Draw a parked car from the side."""
        tall = 0.3 * long
        self.oval(x + 0.5 * long, base, 0.52 * long, 0.03 * long, (10, 12, 20, 90))
        roof = [(0.16, 0.5), (0.28, 1.0), (0.68, 1.0), (0.86, 0.5)]
        self.shape([(x + a * long, base - (0.12 + b) * tall) for a, b in roof], shaded(colour, 0.9))
        glass = [(0.22, 0.52), (0.31, 0.92), (0.66, 0.92), (0.79, 0.52)]
        self.shape([(x + a * long, base - (0.12 + b) * tall) for a, b in glass], (86, 108, 124))
        self.box(x, base - 0.66 * tall, long, 0.5 * tall, colour, 0.12 * tall)
        for wheel in (0.2, 0.8):
            self.oval(x + wheel * long, base - 0.14 * tall, 0.085 * long, 0.085 * long, (34, 34, 40))
            self.oval(x + wheel * long, base - 0.14 * tall, 0.04 * long, 0.04 * long, (150, 154, 160))

    def bench(self, x: float, base: float, wide: float, colour: Colour) -> None:
        """Draw a bench seen from the front."""
        for part in (0.08, 0.84):
            self.box(x + part * wide, base - 0.3 * wide, 0.05 * wide, 0.3 * wide, (60, 60, 66))
        self.box(x, base - 0.22 * wide, wide, 0.06 * wide, colour)
        self.box(x, base - 0.42 * wide, wide, 0.06 * wide, shaded(colour, 0.92))
        self.box(x, base - 0.33 * wide, wide, 0.06 * wide, shaded(colour, 0.92))

    def shelf(self, x: float, base: float, wide: float, tall: float, goods: Sequence[Colour]) -> None:
        """Draw a shelf full of goods."""
        self.box(x, base - tall, wide, tall, (196, 192, 186))
        rows = 5
        step = tall / rows
        for row in range(rows):
            level = base - tall + (row + 0.9) * step
            at = x + 0.01 * wide
            while at < x + 0.95 * wide:
                size = float(self.rng.uniform(0.035, 0.075)) * wide
                high = float(self.rng.uniform(0.45, 0.78)) * step
                colour = goods[int(self.rng.integers(len(goods)))]
                self.box(at, level - high, min(size, x + 0.98 * wide - at) * 0.9, high, colour, 0.002)
                at += size
            self.box(x, level, wide, 0.1 * step, (150, 146, 142))
