"""Draws what a person carries, and says whether it hangs before or behind the trunk."""

from __future__ import annotations

from math import pi

from osnet_edge.train.synthetic.brush import Brush, Ring, shaded
from osnet_edge.train.synthetic.person import Person
from osnet_edge.train.synthetic.pose import Point, Skeleton


def bag_anchor(person: Person, body: Skeleton) -> Point:
    """Return the middle of the bag, whose depth decides when it is drawn."""
    side = 1.0 if person.left_handed else -1.0
    unit, girth = body.unit, person.girth
    arm = body.arms[0 if person.left_handed else 1]
    if person.carried == "backpack":
        return Point(0.0, body.hip.up + 0.29 * unit, body.neck.forward - (0.125 * girth + 0.075) * unit)
    if person.carried == "handbag":
        return arm.tip._replace(up=arm.tip.up - 0.16 * unit)
    outwards = side * (0.2 * girth + 0.02) * unit
    if person.carried == "tote":
        return Point(outwards * 1.15, body.hip.up + 0.06 * unit, -0.06 * unit)
    return Point(outwards, body.hip.up - 0.04 * unit, 0.02 * unit)


def draw_bag(brush: Brush, person: Person, body: Skeleton) -> None:
    """Draw the bag itself, with the handles that go with it."""
    unit, at = body.unit, bag_anchor(person, body)
    if person.carried == "backpack":
        half, across, deep = 0.215 * unit, 0.145 * unit, 0.085 * unit
        brush.solid(_box(at, half, across, deep), person.bag)
        if brush.facing < 0.2:
            pocket = at._replace(up=at.up - 0.1 * unit, forward=at.forward - 0.06 * unit)
            brush.solid(_box(pocket, 0.08 * unit, 0.11 * unit, 0.05 * unit), shaded(person.bag, 0.84))
        return
    sizes = {"handbag": (0.1, 0.05, 0.15), "tote": (0.17, 0.055, 0.16), "satchel": (0.1, 0.05, 0.14)}
    half, across, deep = (unit * size for size in sizes[person.carried])
    thickness = max(1, round(0.022 * unit * brush.placement.scale))
    dark = shaded(person.bag, 0.7)
    top = at._replace(up=at.up + half)
    if person.carried == "tote":
        arm = body.arms[0 if person.left_handed else 1]
        shoulder = brush.project(arm.root._replace(up=arm.root.up + 0.05 * unit))
        for shift in (-0.08, 0.08):
            foot = brush.project(top._replace(forward=top.forward + shift * unit))
            brush.draw.line((shoulder, foot), fill=dark, width=thickness)
    elif person.carried == "handbag":
        hand = brush.project(top._replace(up=top.up + 0.07 * unit))
        ends = [brush.project(top._replace(forward=top.forward + s * 0.09 * unit)) for s in (-1, 1)]
        brush.draw.line((ends[0], hand, ends[1]), fill=dark, width=thickness)
    brush.solid(_box(at, half, across, deep), person.bag)


def draw_straps(brush: Brush, person: Person, body: Skeleton, rings: list[Ring]) -> None:
    """Draw the straps that run over the trunk, on whichever side of it is seen."""
    thickness = max(1, round(0.032 * body.unit * brush.placement.scale))
    strap = shaded(person.bag, 0.78)
    if person.carried == "backpack" and brush.facing > 0:
        for turn in (-0.62, 0.62):
            spots = [brush.surface(ring, turn) for ring in rings[2:6]]
            brush.draw.line(spots, fill=strap, width=thickness, joint="curve")
    elif person.carried == "satchel":
        side = 1.0 if person.left_handed else -1.0
        front = brush.facing >= 0
        turns = (-0.7, -0.35, 0.0, 0.4, 0.9)
        across = [
            brush.surface(ring, side * turn if front else pi - side * turn)
            for ring, turn in zip(rings[2:7], turns, strict=True)
        ]
        brush.draw.line(across, fill=strap, width=thickness, joint="curve")


def _box(at: Point, half: float, across: float, deep: float) -> list[Ring]:
    """Return rings for a box with rounded corners: `half` its height up and down from the middle."""
    return [
        Ring(at._replace(up=at.up + up * half), wide * across, wide * deep)
        for up, wide in ((1.0, 0.62), (0.88, 0.92), (0.4, 1.0), (-0.6, 1.03), (-0.92, 0.95), (-1.0, 0.7))
    ]
