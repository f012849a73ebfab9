"""Draws solid shapes, given in a person's frame, onto an image: projected, shaded, with smooth outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, hypot, sin

from PIL import Image, ImageDraw

from osnet_edge.train.synthetic.person import Colour
from osnet_edge.train.synthetic.pose import Point

Spot = tuple[float, float]

# Catmull-Rom weights of a piece's four spots, at each quarter of the way from the second to the third.
_WEIGHTS = tuple(
    (
        -0.5 * t + t * t - 0.5 * t**3,
        1 - 2.5 * t * t + 1.5 * t**3,
        0.5 * t + 2 * t * t - 1.5 * t**3,
        -0.5 * t * t + 0.5 * t**3,
    )
    for t in (0.0, 0.25, 0.5, 0.75)
)


@dataclass(frozen=True)
class Placement:
    """Where and how a figure stands on the canvas.

    Attributes:
        x: the feet's column, in canvas pixels.
        y: the feet's row.
        scale: canvas pixels to a metre.
        yaw: which way the person faces, in radians: 0 towards the camera, a quarter turn to the image's
            right, half a turn away.
        pitch: how far the camera looks down, in radians.
        light: -1 when the light comes from the left, 1 from the right.
    """

    x: float
    y: float
    scale: float
    yaw: float
    pitch: float
    light: float


@dataclass(frozen=True)
class Ring:
    """One level of a trunk, a skirt or a bag: an ellipse across the body, in metres."""

    centre: Point
    across: float
    deep: float


class Brush:
    """Draws in one person's frame onto an RGB canvas."""

    def __init__(self, canvas: Image.Image, placement: Placement):
        self.canvas = canvas
        self.draw = ImageDraw.Draw(canvas, "RGBA")
        self.placement = placement
        self.facing = cos(placement.yaw)
        self.sideways = sin(placement.yaw)
        self._level = cos(placement.pitch)
        self._tilt = sin(placement.pitch)

    def depth(self, point: Point) -> float:
        """Return how much nearer to the camera than the figure's axis a point is, in metres."""
        return point.forward * self.facing - point.lateral * self.sideways

    def project(self, point: Point) -> Spot:
        """Return a point's column and row on the canvas."""
        right = point.lateral * self.facing + point.forward * self.sideways
        up = point.up * self._level - self.depth(point) * self._tilt
        return (
            self.placement.x + right * self.placement.scale,
            self.placement.y - up * self.placement.scale,
        )

    def limb(self, joints: Sequence[Point], radii: Sequence[float], colour: Colour) -> None:
        """Draw a limb as tapering segments with round joints, its lit side a little lighter."""
        spots = [self.project(joint) for joint in joints]
        pixels = [radius * self.placement.scale for radius in radii]
        self._stroke(spots, pixels, shaded(colour))
        lit = [
            (x + 0.3 * radius * self.placement.light, y) for (x, y), radius in zip(spots, pixels, strict=True)
        ]
        self._stroke(lit, [0.72 * radius for radius in pixels], colour)

    def ball(self, centre: Point, across: float, tall: float, colour: Colour) -> None:
        """Draw an upright ellipse of half-width `across` and half-height `tall` metres."""
        x, y = self.project(centre)
        self.draw.ellipse(self._box(x, y, across, tall), fill=colour)

    def outline(self, rings: Sequence[Ring]) -> list[Spot]:
        """Return the smooth outline that a stack of rings shows from here, top to bottom and back."""
        left: list[Spot] = []
        right: list[Spot] = []
        for ring in rings:
            half = hypot(ring.across * self.facing, ring.deep * self.sideways) * self.placement.scale
            x, y = self.project(ring.centre)
            left.append((x - half, y))
            right.append((x + half, y))
        return smooth(left) + smooth(right)[::-1]

    def surface(self, ring: Ring, turn: float) -> Spot:
        """Return the spot on a ring's skin at an angle: 0 in front, a quarter turn on the person's left."""
        return self.project(
            Point(
                ring.centre.lateral + ring.across * sin(turn),
                ring.centre.up,
                ring.centre.forward + ring.deep * cos(turn),
            )
        )

    def solid(self, rings: Sequence[Ring], colour: Colour) -> None:
        """Fill a stack of rings, the side away from the light a little darker."""
        outline = self.outline(rings)
        self.draw.polygon(outline, fill=colour)
        self.shade(outline)

    def shade(self, outline: Sequence[Spot]) -> None:
        """Darken the side of an outline that is away from the light."""
        half = len(outline) // 2
        left, right = list(outline[:half]), list(outline[half:])[::-1]
        edge, other = (left, right) if self.placement.light > 0 else (right, left)
        inner = [(0.72 * a + 0.28 * c, b) for (a, b), (c, _) in zip(edge, other, strict=True)]
        self.draw.polygon(edge + inner[::-1], fill=(16, 14, 40, 46))

    def _stroke(self, spots: Sequence[Spot], radii: Sequence[float], colour: Colour) -> None:
        for (x, y), radius in zip(spots, radii, strict=True):
            self.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        for k in range(len(spots) - 1):
            (ax, ay), (bx, by) = spots[k], spots[k + 1]
            length = hypot(bx - ax, by - ay)
            if length < 0.5:
                continue
            nx, ny = (by - ay) / length, (ax - bx) / length
            a, b = radii[k], radii[k + 1]
            self.draw.polygon(
                (
                    (ax + nx * a, ay + ny * a),
                    (bx + nx * b, by + ny * b),
                    (bx - nx * b, by - ny * b),
                    (ax - nx * a, ay - ny * a),
                ),
                fill=colour,
            )

    def _box(self, x: float, y: float, across: float, tall: float) -> tuple[float, float, float, float]:
        half, high = across * self.placement.scale, tall * self.placement.scale
        return (x - half, y - high, x + half, y + high)


def shaded(colour: Colour, by: float = 0.8) -> Colour:
    """Return the colour in shade: darker, blue losing least, as out of doors."""
    red, green, blue = colour
    return int(red * by), int(green * by), int(min(255, blue * (0.35 + 0.65 * by) + 2))


def smooth(spots: Sequence[Spot]) -> list[Spot]:
    """Return a Catmull-Rom curve through `spots`, in four pieces between neighbours."""
    curve: list[Spot] = []
    last = len(spots) - 1
    for k in range(last):
        (ax, ay), (bx, by) = spots[max(k - 1, 0)], spots[k]
        (cx, cy), (dx, dy) = spots[k + 1], spots[min(k + 2, last)]
        for a, b, c, d in _WEIGHTS:
            curve.append((a * ax + b * bx + c * cx + d * dx, a * ay + b * by + c * cy + d * dy))
    curve.append(spots[-1])
    return curve
