"""Draws a head: face, hair and hat, turning smoothly from front to profile to back."""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, cos, sin

from osnet_edge.train.synthetic.brush import Brush, shaded
from osnet_edge.train.synthetic.person import Colour, Person
from osnet_edge.train.synthetic.pose import Point, Skeleton

_LOOSE = ("bob", "long")


@dataclass(frozen=True)
class Skull:
    """A head on the canvas: its middle and its half-axes in pixels."""

    brush: Brush
    x: float
    y: float
    wide: float
    tall: float

    def oval(self, dx: float, dy: float, wide: float, tall: float, colour: Colour) -> None:
        """Draw an ellipse, all lengths in parts of the head's half-axes."""
        x, y = self.x + dx * self.wide, self.y + dy * self.tall
        wide, tall = wide * self.wide, tall * self.tall
        self.brush.draw.ellipse((x - wide, y - tall, x + wide, y + tall), fill=colour)

    def drape(self, top: float, length: float, wide: float, colour: Colour, dx: float) -> None:
        """Draw hair that hangs from `top` above the head's middle to `length` below it."""
        x, half = self.x + dx * self.wide, wide * self.wide
        box = (x - half, self.y - top * self.tall, x + half, self.y + length * self.tall)
        self.brush.draw.rounded_rectangle(box, radius=0.85 * half, fill=colour)


def skull_of(brush: Brush, body: Skeleton) -> Skull:
    """Return where and how large the head is."""
    x, y = brush.project(body.head)
    scale = brush.placement.scale * body.unit
    return Skull(brush, x, y, (0.083 + 0.008 * abs(brush.sideways)) * scale, 0.12 * scale)


def draw_hair_behind(brush: Brush, person: Person, body: Skeleton) -> None:
    """Draw the hair that falls down the back; when it comes over the trunk depends on the view."""
    skull, dark = skull_of(brush, body), shaded(person.hair, 0.86)
    back = -0.3 * brush.sideways
    top = 1.02 if person.hat == "none" else 0.3
    if person.hair_style == "long":
        skull.drape(top, 2.5, 1.16 - 0.2 * abs(brush.sideways), dark, back)
    elif person.hair_style == "bob":
        skull.drape(top, 1.2, 1.26, dark, 0.5 * back)
    elif person.hair_style == "ponytail":
        unit, head = body.unit, body.head
        tail = [
            Point(0.0, head.up + 0.03 * unit, head.forward - 0.1 * unit),
            Point(0.0, head.up - 0.1 * unit, head.forward - 0.16 * unit),
            Point(0.0, head.up - 0.3 * unit, head.forward - 0.13 * unit),
        ]
        brush.limb(tail, (0.03 * unit, 0.042 * unit, 0.014 * unit), person.hair)


def draw_head(brush: Brush, person: Person, body: Skeleton) -> None:
    """Draw neck, head, face, hair and hat."""
    unit = body.unit
    chin = body.head._replace(up=body.head.up - 0.05 * unit)
    brush.limb((body.neck, chin), (0.052 * unit, 0.048 * unit), shaded(person.skin, 0.88))
    skull = skull_of(brush, body)
    if person.hair_style == "afro" and person.hat == "none":
        skull.oval(-0.15 * brush.sideways, -0.25, 1.6, 1.25, person.hair)
    skull.oval(0, 0, 1, 1, person.skin)
    if person.hair_style == "bald":
        skull.oval(0.3 * brush.placement.light * -1, 0.1, 0.68, 0.86, shaded(person.skin, 0.93))
    else:
        _hair(skull, person)
    _face(skull, person)
    if person.hair_style == "bun" and person.hat == "none":
        skull.oval(-0.75 * brush.sideways, -0.95, 0.48, 0.36, person.hair)
    if person.hat != "none":
        _hat(skull, person)


def _hair(skull: Skull, person: Person) -> None:
    """Cover the head with hair, then leave the face open on the side that looks at the camera."""
    brush = skull.brush
    hair = person.hair
    if person.hair_style == "buzz":
        red, green, blue = ((2 * a + b) // 3 for a, b in zip(hair, person.skin, strict=True))
        hair = (red, green, blue)
    swell = {"buzz": 1.01, "bob": 1.16, "long": 1.12, "afro": 1.2}.get(person.hair_style, 1.07)
    skull.oval(-0.08 * brush.sideways, -0.08, swell, swell * 0.97, hair)
    away = max(0.0, -brush.facing)
    if away > 0.72:
        return
    wide = (0.8 if person.hair_style in _LOOSE else 0.92) - 0.12 * abs(brush.sideways) - 0.55 * away
    middle = brush.sideways * (0.42 + 0.7 * away)
    middle = copysign(min(abs(middle), 1.06 - wide), middle)
    low = 0.2 + 0.35 * brush.placement.pitch
    skull.oval(middle, low, wide, 0.83, person.skin)


def _face(skull: Skull, person: Person) -> None:
    brush = skull.brush
    yaw = brush.placement.yaw
    dark = shaded(person.skin, 0.55)
    drop = 0.3 * brush.placement.pitch
    for side in (1.0, -1.0):
        toward = -side * brush.sideways
        if toward > -0.25 and person.hair_style not in _LOOSE:
            skull.oval(side * brush.facing, 0.16 + drop, 0.17, 0.2, shaded(person.skin, 0.9))
        turn = 0.45 * side + yaw
        if cos(turn) > 0.2:
            skull.oval(0.92 * sin(turn), 0.08 + drop, 0.1 * (0.5 + 0.5 * cos(turn)), 0.085, (38, 30, 34))
            skull.oval(0.92 * sin(turn), -0.12 + drop, 0.17 * cos(turn), 0.04, shaded(person.hair, 0.8))
    if brush.facing > -0.3:
        nose = 0.98 * sin(yaw) if abs(brush.sideways) < 0.6 else copysign(1.06, brush.sideways)
        skull.oval(nose, 0.3 + drop, 0.11, 0.13, shaded(person.skin, 0.9))
    if brush.facing > 0.15:
        skull.oval(0.85 * sin(yaw), 0.62 + drop, 0.24 * brush.facing, 0.045, dark)


def _hat(skull: Skull, person: Person) -> None:
    brush, colour = skull.brush, person.hat_colour
    wide = (1.2 if person.hair_style in (*_LOOSE, "afro") else 1.12) * skull.wide
    level = skull.y - (0.18 if person.hat == "beanie" else 0.28) * skull.tall
    crown = skull.y - (1.25 if person.hat == "beanie" else 1.14) * skull.tall
    box = (skull.x - wide, crown, skull.x + wide, 2 * level - crown)
    brush.draw.pieslice(box, 180, 360, fill=colour)
    dark = shaded(colour, 0.75)
    if person.hat == "beanie":
        band = (skull.x - wide, level - 0.3 * skull.tall, skull.x + wide, level + 0.03 * skull.tall)
        brush.draw.rounded_rectangle(band, radius=0.1 * skull.tall, fill=dark)
    elif person.hat == "brim":
        skull.oval(0, -0.3, 1.85, 0.2 + 0.4 * brush.placement.pitch, dark)
    elif brush.facing > -0.5:
        reach = 0.25 + 0.7 * abs(brush.facing)
        skull.oval(0.95 * brush.sideways, -0.26 + 0.12 * brush.facing, reach + 0.2, 0.13, dark)
