"""Draws one person: the parts in the order in which they hide each other.

Example:
    >>> import numpy as np
    >>> from PIL import Image
    >>> from osnet_edge.train.synthetic.person import sample_person
    >>> canvas = Image.new("RGB", (128, 256), (200, 205, 210))
    >>> placement = Placement(x=64, y=245, scale=130, yaw=0.4, pitch=0.1, light=-1)
    >>> draw_figure(canvas, sample_person(np.random.default_rng(0)), Gait(phase=1.0, reach=0.8), placement)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from PIL import Image, ImageChops, ImageDraw

from osnet_edge.train.synthetic.bags import bag_anchor, draw_bag, draw_straps
from osnet_edge.train.synthetic.brush import Brush, Placement
from osnet_edge.train.synthetic.clothes import draw_arm, draw_leg, draw_skirt, draw_trunk
from osnet_edge.train.synthetic.head import draw_hair_behind, draw_head
from osnet_edge.train.synthetic.person import Person
from osnet_edge.train.synthetic.pose import Gait, walk

__all__ = ["Gait", "Placement", "draw_figure", "draw_shadow", "figure_box"]

# No cloth, skin or hair has this colour, so whatever differs from it was drawn.
_EMPTY = (0, 255, 1)


def draw_figure(canvas: Image.Image, person: Person, gait: Gait, placement: Placement) -> None:
    """Draw `person` onto an RGB canvas, feet at the placement's spot.

    The drawing is not antialiased: draw larger than needed and reduce.
    """
    brush = Brush(canvas, placement)
    body = walk(person, gait)
    before: list[tuple[float, Callable[[], None]]] = []
    behind: list[tuple[float, Callable[[], None]]] = []
    for arm in body.arms:
        depth = brush.depth(arm.middle)
        (behind if depth < -0.02 else before).append((depth, partial(draw_arm, brush, person, body, arm)))
    if person.carried != "none":
        # Half a hand nearer than its middle, so that a bag in the hand hides the fingers that hold it.
        depth = brush.depth(bag_anchor(person, body)) + 0.01
        (behind if depth < 0 else before).append((depth, partial(draw_bag, brush, person, body)))
    hair = partial(draw_hair_behind, brush, person, body)
    if brush.facing > 0.25:
        hair()
    for _, draw in sorted(behind, key=lambda item: item[0]):
        draw()
    for leg in sorted(body.legs, key=lambda leg: brush.depth(leg.root) + 0.3 * brush.depth(leg.middle)):
        draw_leg(brush, person, body, leg)
    if person.legwear in ("skirt", "long skirt"):
        draw_skirt(brush, person, body)
    rings = draw_trunk(brush, person, body)
    draw_straps(brush, person, body, rings)
    draw_head(brush, person, body)
    if brush.facing <= 0.25:
        hair()
    for _, draw in sorted(before, key=lambda item: item[0]):
        draw()


def draw_shadow(canvas: Image.Image, placement: Placement, strength: float) -> None:
    """Draw the shadow at a figure's feet, longer on the side away from the light.

    Args:
        canvas: an RGB image, drawn on in place.
        placement: where the figure stands.
        strength: how dark, 0 to 1.
    """
    draw = ImageDraw.Draw(canvas, "RGBA")
    away = -placement.light
    for wide in (0.45, 0.4, 0.35, 0.3, 0.25, 0.2):
        x = placement.x + away * wide * 0.55 * placement.scale
        half, high = wide * placement.scale, wide * 0.24 * placement.scale
        box = (x - half, placement.y - high, x + half, placement.y + high)
        draw.ellipse(box, fill=(14, 14, 34, int(38 * strength)))


def figure_box(person: Person, gait: Gait, placement: Placement) -> tuple[float, float, float, float]:
    """Return the box (x1, y1, x2, y2, canvas pixels) around what `draw_figure` draws, bag and hat included.

    It is measured on a small drawing of the figure, so it is right to about 2 cm on the person.
    """
    scale, half, tall = 48.0, 72, 120
    small = replace(placement, x=half, y=tall - 12, scale=scale)
    canvas = Image.new("RGB", (2 * half, tall), _EMPTY)
    draw_figure(canvas, person, gait, small)
    box = ImageChops.difference(canvas, Image.new("RGB", canvas.size, _EMPTY)).getbbox()
    left, top, right, bottom = box or (half, 0, half, tall)
    zoom = placement.scale / scale
    return (
        placement.x + (left - small.x) * zoom,
        placement.y + (top - small.y) * zoom,
        placement.x + (right - small.x) * zoom,
        placement.y + (bottom - small.y) * zoom,
    )
