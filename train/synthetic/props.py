"""Draws what stands between a camera and a person."""

from __future__ import annotations

from PIL import Image, ImageDraw

from osnet_edge.train.synthetic.brush import shaded
from osnet_edge.train.synthetic.person import Colour

PROPS = ("pole", "bin", "planter", "barrier", "sign")
#: Metres of a screen, which hides whoever walks behind it. Crops are drawn without any.
SCREEN_WIDTH, SCREEN_HEIGHT = 2.2, 2.1
_PAINT: tuple[Colour, ...] = (
    (96, 104, 112),
    (70, 96, 84),
    (150, 150, 146),
    (124, 88, 66),
    (72, 84, 110),
    (190, 160, 76),
)


def draw_prop(canvas: Image.Image, kind: str, x: float, y: float, scale: float, tone: float) -> None:
    """Draw a thing with its foot at (x, y).

    Args:
        canvas: an RGB image, drawn on in place.
        kind: one of `PROPS`, or "screen".
        x: column of the foot, in pixels.
        y: row of the foot.
        scale: pixels to a metre.
        tone: 0 to 1, picks the colour.
    """
    draw = ImageDraw.Draw(canvas, "RGBA")
    paint = _PAINT[min(int(tone * len(_PAINT)), len(_PAINT) - 1)]

    def block(
        left: float, top: float, right: float, bottom: float, colour: Colour, round_: float = 0
    ) -> None:
        area = (x + left * scale, y - top * scale, x + right * scale, y - bottom * scale)
        draw.rounded_rectangle(area, radius=round_ * scale, fill=colour)

    def lit_block(left: float, top: float, right: float, bottom: float, round_: float = 0) -> None:
        block(left, top, right, bottom, shaded(paint), round_)
        block(left, top, left + 0.62 * (right - left), bottom, paint, round_)

    draw.ellipse(
        (x - 0.4 * scale, y - 0.08 * scale, x + 0.4 * scale, y + 0.08 * scale), fill=(14, 14, 34, 50)
    )
    if kind == "pole":
        lit_block(-0.06, 3.2, 0.06, 0)
        lit_block(-0.09, 0.12, 0.09, 0)
    elif kind == "bin":
        lit_block(-0.26, 0.85, 0.26, 0, 0.05)
        block(-0.29, 0.93, 0.29, 0.8, shaded(paint, 0.7), 0.05)
    elif kind == "planter":
        for k in range(7):
            middle, high = -0.42 + 0.14 * k, 0.72 + 0.07 * ((k * 3) % 4)
            block(
                middle - 0.16, high, middle + 0.16, 0.35, shaded((118, 152, 96), 0.78 + 0.05 * (k % 4)), 0.14
            )
        lit_block(-0.55, 0.46, 0.55, 0, 0.03)
    elif kind == "barrier":
        block(-1.2, 0.95, 1.2, 0.87, paint)
        block(-1.2, 0.55, 1.2, 0.47, paint)
        for foot in (-0.6, 0.6):
            lit_block(foot - 0.03, 0.98, foot + 0.03, 0)
    elif kind == "screen":
        lit_block(-0.5 * SCREEN_WIDTH, SCREEN_HEIGHT, 0.5 * SCREEN_WIDTH, 0, 0.02)
    else:
        lit_block(-0.03, 1.0, 0.03, 0)
        block(-0.3, 1.15, 0.3, 0.6, (226, 224, 216), 0.03)
        block(-0.25, 1.1, 0.25, 0.95, paint)
