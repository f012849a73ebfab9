"""Where a walking person's joints are: metres in the person's own frame.

The frame's axes are lateral (towards the person's left), up (from the ground) and forward. A figure is drawn
by projecting these points, so one skeleton serves every viewpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin
from typing import NamedTuple

from osnet_edge.train.synthetic.person import Person


class Point(NamedTuple):
    """A point in a person's frame, in metres."""

    lateral: float
    up: float
    forward: float


@dataclass(frozen=True)
class Gait:
    """The instant of a step at which a person is drawn.

    Attributes:
        phase: where in the step, in radians; half a turn later the legs have changed places.
        reach: how far the step goes, 0 for standing to 1 for a full stride.
        lean: how far the trunk leans forward, in metres at the shoulders.
    """

    phase: float
    reach: float
    lean: float = 0.02


@dataclass(frozen=True)
class Limb:
    """Four joints from the trunk outwards: shoulder, elbow, wrist and fingertips, or hip to toes."""

    root: Point
    middle: Point
    end: Point
    tip: Point


@dataclass(frozen=True)
class Skeleton:
    """The joints of one person at one instant.

    Attributes:
        unit: the person's stature over 1.75 m; widths of body parts scale with it.
        hip: middle of the pelvis.
        neck: the pit of the neck.
        head: middle of the head.
        arms: left, then right.
        legs: left, then right.
    """

    unit: float
    hip: Point
    neck: Point
    head: Point
    arms: tuple[Limb, Limb]
    legs: tuple[Limb, Limb]


def walk(person: Person, gait: Gait) -> Skeleton:
    """Place the joints of `person` at one instant of a step, the lower foot on the ground."""
    unit = person.stature / 1.75
    reach = gait.reach * person.stride
    swing = sin(gait.phase)
    hips = 0.088 * unit * person.girth
    legs = (
        _leg(unit, hips, gait.phase, reach),
        _leg(unit, -hips, gait.phase + pi, reach),
    )
    drop = min(min(leg.end.up - 0.075 * unit, leg.tip.up - 0.02 * unit) for leg in legs)
    legs = (_lower(legs[0], drop), _lower(legs[1], drop))
    hip = Point(0.0, 0.93 * unit - drop, 0.0)
    neck = Point(0.0, hip.up + 0.53 * unit, gait.lean)
    head = Point(0.0, neck.up + 0.165 * unit, gait.lean + 0.025 * unit)
    across = 0.172 * unit * person.shoulders * (0.6 + 0.4 * person.girth)
    shoulder = neck.up - 0.105 * unit
    arms = (
        _arm(unit, Point(across, shoulder, neck.forward), -swing * reach, 1.0, person.girth),
        _arm(unit, Point(-across, shoulder, neck.forward), swing * reach, -1.0, person.girth),
    )
    return Skeleton(unit, hip, neck, head, arms, legs)


def _leg(unit: float, lateral: float, phase: float, reach: float) -> Limb:
    thigh = 0.44 * reach * sin(phase) + 0.05 * reach
    # The knee gives while the leg swings forward, or the foot would drag through the ground.
    bend = 0.06 + reach * (0.95 * max(0.0, cos(phase + 0.35)) ** 2 + 0.1 * max(0.0, -sin(phase)))
    shin = thigh - bend
    hip = Point(lateral, 0.93 * unit, 0.0)
    knee = _along(hip, 0.43 * unit, thigh)
    knee = knee._replace(lateral=lateral * 0.92)
    ankle = _along(knee, 0.43 * unit, shin)._replace(lateral=lateral * 0.8)
    pitch = 1.35 + 0.7 * shin if shin < 0 else 1.45 + 0.5 * shin
    toe = _along(ankle, 0.19 * unit, pitch)
    toe = toe._replace(up=toe.up - 0.035 * unit, lateral=lateral * 1.0)
    return Limb(hip, knee, ankle, toe)


def _arm(unit: float, shoulder: Point, swing: float, side: float, girth: float) -> Limb:
    upper = 0.5 * swing - 0.05
    fore = upper + 0.22 + 0.3 * max(0.0, swing)
    outwards = side * (0.028 + 0.03 * girth) * unit
    elbow = _along(shoulder, 0.275 * unit, upper)
    elbow = elbow._replace(lateral=shoulder.lateral + outwards)
    wrist = _along(elbow, 0.235 * unit, fore)
    wrist = wrist._replace(lateral=elbow.lateral + 0.2 * outwards)
    return Limb(shoulder, elbow, wrist, _along(wrist, 0.085 * unit, fore + 0.1))


def _along(start: Point, length: float, angle: float) -> Point:
    """Go `length` from `start`, straight down at angle 0 and forward at a quarter turn."""
    return Point(start.lateral, start.up - length * cos(angle), start.forward + length * sin(angle))


def _lower(limb: Limb, drop: float) -> Limb:
    root, middle, end, tip = (
        joint._replace(up=joint.up - drop) for joint in (limb.root, limb.middle, limb.end, limb.tip)
    )
    return Limb(root, middle, end, tip)
