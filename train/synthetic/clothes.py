"""Draws trunk, arms and legs in what the person wears."""

from __future__ import annotations

from math import pi

from PIL import Image, ImageDraw

from osnet_edge.train.synthetic.brush import Brush, Ring, Spot, shaded
from osnet_edge.train.synthetic.person import Colour, Person
from osnet_edge.train.synthetic.pose import Limb, Point, Skeleton

_LEG_WIDTHS = {"slim": (0.086, 0.06, 0.046), "straight": (0.092, 0.072, 0.062), "wide": (0.098, 0.09, 0.092)}


def trunk_rings(person: Person, body: Skeleton) -> list[Ring]:
    """Return the trunk's rings from the collar down to the garment's hem."""
    unit, girth = body.unit, person.girth
    bulk = {"coat": 1.08, "vest": 1.1, "jacket": 1.05, "hoodie": 1.05}.get(person.garment, 1.0)
    shoulders = 0.2 * person.shoulders * (0.6 + 0.4 * girth) * bulk
    hips = 0.168 * girth / person.shoulders**0.5 * bulk
    belly = 0.148 * girth**1.5 * bulk
    levels = [
        (body.neck.up + 0.035 * unit, 0.052, 0.055),
        (body.neck.up - 0.005 * unit, 0.078 * bulk, 0.075),
        (body.neck.up - 0.045 * unit, 0.74 * shoulders, 0.095 * girth),
        (body.neck.up - 0.12 * unit, shoulders, 0.118 * girth * bulk),
        (body.neck.up - 0.25 * unit, 0.5 * (shoulders + belly), 0.13 * girth * bulk),
        (body.hip.up + 0.13 * unit, belly, 0.122 * girth**1.6 * bulk),
        (body.hip.up - 0.02 * unit, hips, 0.13 * girth * bulk),
    ]
    hem = {"coat": 0.4, "hoodie": 0.1, "shirt": 0.11}.get(person.garment, 0.07)
    flare = 1.18 if person.garment == "coat" else 1.0
    levels.append((body.hip.up - hem * unit, hips * flare, 0.13 * girth * bulk * flare))
    top, bottom = body.neck.up, body.hip.up
    return [
        Ring(
            Point(0.0, up, body.neck.forward * max(0.0, (up - bottom) / (top - bottom))),
            across * unit,
            deep * unit,
        )
        for up, across, deep in levels
    ]


def draw_trunk(brush: Brush, person: Person, body: Skeleton) -> list[Ring]:
    """Draw the upper garment with its pattern, and return its rings for what is worn over it."""
    rings = trunk_rings(person, body)
    outline = brush.outline(rings)
    left, top = int(min(x for x, _ in outline)) - 1, int(min(y for _, y in outline)) - 1
    right, bottom = int(max(x for x, _ in outline)) + 2, int(max(y for _, y in outline)) + 2
    layer = Image.new("RGB", (right - left, bottom - top), person.top)
    _decorate(Cloth(brush, rings, layer, (left, top)), person)
    mask = Image.new("L", layer.size)
    ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in outline], fill=255)
    brush.canvas.paste(layer, (left, top), mask)
    brush.shade(outline)
    if person.garment == "hoodie":
        hood = Point(0.0, body.neck.up + 0.02 * body.unit, body.neck.forward - 0.07 * body.unit)
        if brush.facing < 0.3:
            brush.ball(hood, 0.12 * body.unit, 0.085 * body.unit, shaded(person.top, 0.88))
    return rings


class Cloth:
    """A garment's surface while its pattern is laid on: draws in rings and angles, in the layer's pixels."""

    def __init__(self, brush: Brush, rings: list[Ring], layer: Image.Image, corner: tuple[int, int]):
        self.brush = brush
        self.rings = rings
        self.draw = ImageDraw.Draw(layer)
        self.size = layer.size
        self._corner = corner

    def row(self, part: float) -> float:
        """Return the layer's row at a part of the way from the collar (0) to the hips (1)."""
        top = self.brush.project(self.rings[1].centre)[1]
        hips = self.brush.project(self.rings[6].centre)[1]
        return top + part * (hips - top) - self._corner[1]

    def band(self, start: float, end: float, colour: Colour) -> None:
        """Draw a level band right round the garment."""
        self.draw.rectangle((0, self.row(start), self.size[0], self.row(end)), fill=colour)

    def patch(self, turns: tuple[float, float], levels: tuple[int, int], colour: Colour) -> None:
        """Draw the piece between two angles and two rings, if it faces the camera."""
        middle = 0.5 * (turns[0] + turns[1])
        if not self.faces(middle):
            return
        rings = self.rings[levels[0] : levels[1] + 1]
        edge = [self.spot(ring, turns[0]) for ring in rings]
        edge += [self.spot(ring, turns[1]) for ring in reversed(rings)]
        self.draw.polygon(edge, fill=colour)

    def faces(self, turn: float) -> bool:
        """Say whether the garment's skin at this angle can be seen."""
        ring = self.rings[4]
        x, _ = self.brush.project(ring.centre)
        ahead = self.brush.surface(Ring(ring.centre, ring.across, ring.deep), turn)[0] - x
        # A quarter turn further on, the skin moves right exactly when this part of it faces the camera.
        return self.brush.surface(ring, turn + 0.1)[0] - x > ahead

    def spot(self, ring: Ring, turn: float) -> Spot:
        """Return the layer's pixel at an angle on a ring."""
        x, y = self.brush.surface(ring, turn)
        return x - self._corner[0], y - self._corner[1]


def _decorate(cloth: Cloth, person: Person) -> None:
    if person.garment == "jacket":
        cloth.patch((-0.5, 0.5), (0, 7), person.accent)
    elif person.garment == "coat":
        cloth.patch((-0.45, 0.45), (0, 2), person.accent)
        cloth.patch((-0.05, 0.05), (3, 7), shaded(person.top, 0.7))
        cloth.band(0.66, 0.72, shaded(person.top, 0.65))
    elif person.garment == "vest":
        for part in (0.2, 0.38, 0.56, 0.74, 0.92):
            cloth.band(part, part + 0.03, shaded(person.top, 0.72))
        cloth.patch((-0.06, 0.06), (0, 7), shaded(person.top, 0.6))
    else:
        _print(cloth, person)


def _print(cloth: Cloth, person: Person) -> None:
    accent = person.accent
    if person.pattern == "stripes":
        for k in range(7):
            cloth.band(0.1 + 0.15 * k, 0.165 + 0.15 * k, accent)
    elif person.pattern == "block":
        cloth.band(0.52, 2.0, accent)
    elif person.pattern == "band":
        cloth.band(0.34, 0.52, accent)
    elif person.pattern == "print":
        cloth.patch((-0.6, 0.6), (3, 4), accent)
    elif person.pattern == "checks":
        dark = tuple((a + 2 * b) // 3 for a, b in zip(accent, person.top, strict=True))
        for k in range(6):
            cloth.band(0.08 + 0.17 * k, 0.15 + 0.17 * k, (dark[0], dark[1], dark[2]))
        for k in range(10):
            turn = k * pi / 5
            cloth.patch((turn, turn + 0.2), (0, 7), accent)


def draw_arm(brush: Brush, person: Person, body: Skeleton, arm: Limb) -> None:
    """Draw one arm, its hand and its sleeve."""
    unit = body.unit * (0.55 + 0.45 * person.girth)
    bare = (0.043 * unit, 0.036 * unit, 0.027 * unit, 0.026 * unit)
    brush.limb((arm.middle, arm.end, arm.tip), bare[1:], person.skin)
    raglan = person.garment == "vest" or (person.pattern == "block" and person.garment in ("tee", "hoodie"))
    sleeve = person.accent if raglan else person.top
    if person.garment == "tee":
        brush.limb((arm.root, arm.middle), bare[:2], person.skin)
        cuff = _between(arm.root, arm.middle, 0.62)
        brush.limb((arm.root, cuff), (0.06 * unit, 0.056 * unit), sleeve)
    else:
        loose = 1.12 if person.garment in ("coat", "hoodie") else 1.0
        radii = (0.062 * unit * loose, 0.05 * unit * loose, 0.041 * unit * loose)
        brush.limb((arm.root, arm.middle, _between(arm.middle, arm.end, 0.93)), radii, sleeve)


def draw_leg(brush: Brush, person: Person, body: Skeleton, leg: Limb) -> None:
    """Draw one leg with shoe and legwear."""
    unit = body.unit
    thick = unit * (0.4 + 0.6 * person.girth)
    bare = (0.082 * thick, 0.054 * thick, 0.036 * thick)
    heel = leg.end._replace(forward=leg.end.forward - 0.03 * unit, up=leg.end.up - 0.025 * unit)
    shoe = (0.046 * unit, 0.032 * unit)
    trousers = person.legwear in _LEG_WIDTHS
    if not trousers:
        brush.limb((leg.root, leg.middle, leg.end), bare, person.skin)
    if person.boots:
        brush.limb(
            (_between(leg.end, leg.middle, 0.45), leg.end), (0.056 * thick, 0.046 * thick), person.shoe
        )
    brush.limb((heel, leg.tip), shoe, person.shoe)
    if trousers:
        widths = tuple(width * thick for width in _LEG_WIDTHS[person.legwear])
        brush.limb((leg.root, leg.middle, _between(leg.middle, leg.end, 0.93)), widths, person.bottom)
    elif person.legwear == "shorts":
        hem = _between(leg.root, leg.middle, 0.88)
        brush.limb((leg.root, hem), (0.098 * thick, 0.094 * thick), person.bottom)


def draw_skirt(brush: Brush, person: Person, body: Skeleton) -> None:
    """Draw the skirt, wide enough at its hem for the step that is being taken."""
    unit, hip = body.unit, body.hip
    hem = 0.5 * unit if person.legwear == "skirt" else 0.2 * unit
    part = (hip.up - hem) / hip.up
    reaches = [_between(leg.root, leg.end, part).forward for leg in body.legs]
    middle, spread = 0.5 * sum(reaches), 0.5 * abs(reaches[0] - reaches[1])
    across, deep = 0.168 * unit * person.girth, 0.13 * unit * person.girth
    flare = 1.35 if person.legwear == "skirt" else 1.2
    rings = [
        Ring(Point(0.0, hip.up + 0.12 * unit, 0.0), 0.85 * across, 0.9 * deep),
        Ring(Point(0.0, hip.up - 0.02 * unit, 0.0), across, deep),
        Ring(Point(0.0, hip.up - 0.1 * unit, 0.1 * middle), 1.06 * across, 1.05 * deep),
        Ring(Point(0.0, hem, middle), flare * across, max(flare * deep, spread + 0.07 * unit)),
    ]
    brush.solid(rings, person.bottom)


def _between(start: Point, end: Point, part: float) -> Point:
    return Point(*((1 - part) * a + part * b for a, b in zip(start, end, strict=True)))
