"""Draws people in a camera's place: the one renderer behind crops and frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import atan2, pi

import numpy as np
from PIL import Image

from osnet_edge.train.synthetic.brush import Placement
from osnet_edge.train.synthetic.camera import Camera
from osnet_edge.train.synthetic.figure import draw_figure, draw_shadow, figure_box
from osnet_edge.train.synthetic.person import Person
from osnet_edge.train.synthetic.places import OVERSIZE, Place
from osnet_edge.train.synthetic.pose import Gait
from osnet_edge.train.synthetic.props import draw_prop

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Walker:
    """A person at a spot of a camera's frame.

    Attributes:
        person: who.
        gait: the instant of the step.
        x: column of the feet, in frame pixels.
        row: row of the feet, which sets the size.
        yaw: the way they face, in radians, 0 towards the camera.
    """

    person: Person
    gait: Gait
    x: float
    row: float
    yaw: float

    @classmethod
    def on_ground(
        cls,
        person: Person,
        place: Place,
        at: tuple[float, float],
        towards: tuple[float, float],
        walked: float,
        reach: float,
    ) -> Walker:
        """Return somebody who walks on the ground, as a camera sees them.

        Args:
            person: who.
            place: what the camera watches.
            at: metres to the right of the image's middle, and away from the camera.
            towards: the way they go, in the same directions; of any length.
            walked: metres, which tell the instant of the step.
            reach: how far each step goes, see `Gait`.
        """
        across, away = at
        return cls(
            person=person,
            gait=Gait(2 * pi * walked / (0.82 * person.stature), reach),
            x=0.5 * place.size[0] + across * place.focal / away,
            row=place.horizon + place.camera_height * place.focal / away,
            # Yaw 0 is towards the camera, where `away` shrinks.
            yaw=atan2(towards[0], -towards[1]),
        )


@dataclass(frozen=True)
class Prop:
    """A thing that stands in the way.

    Attributes:
        kind: one of `props.PROPS`, or "screen".
        x: column of its foot, in frame pixels.
        row: row of its foot.
        tone: 0 to 1, picks its colour.
    """

    kind: str
    x: float
    row: float
    tone: float


def box_of(camera: Camera, walker: Walker) -> Box:
    """Return the box (x1, y1, x2, y2, frame pixels) around a walker, which may reach out of the frame."""
    return figure_box(walker.person, walker.gait, _place(camera, walker, (0.0, 0.0), 1.0))


def draw_stage(
    camera: Camera, things: Sequence[Walker | Prop], window: Box, size: tuple[int, int], oversample: int
) -> Image.Image:
    """Draw a window of a camera's frame with the people and things in it, without the camera's defects.

    Args:
        camera: gives the place and the light.
        things: who and what is there; the farther are drawn first.
        window: x1, y1, x2, y2 in frame pixels; moved inside the frame where it reaches out.
        size: width and height of the result in pixels.
        oversample: how many times larger to draw before reducing, for smooth edges.

    Returns:
        An RGB image of `size`.
    """
    left, top, right, bottom = _inside(window, camera.place.size)
    whole = (size[0] * oversample, size[1] * oversample)
    zoom = whole[1] / (bottom - top)
    stretch = whole[0] / (right - left) / zoom
    view = (left * OVERSIZE, top * OVERSIZE, right * OVERSIZE, bottom * OVERSIZE)
    # The nearest pixel will do: the place is oversized, and what is drawn here is reduced in the end.
    canvas = camera.place.image.resize(whole, Image.Resampling.NEAREST, box=view)
    # People are drawn unstretched; the window keeps the image's shape to within a rounding.
    assert abs(stretch - 1) < 0.05, stretch
    for thing in sorted(things, key=lambda thing: thing.row):
        if isinstance(thing, Prop):
            scale = camera.place.scale_at(thing.row) * zoom
            draw_prop(
                canvas, thing.kind, (thing.x - left) * zoom, (thing.row - top) * zoom, scale, thing.tone
            )
        else:
            placement = _place(camera, thing, (left, top), zoom)
            draw_shadow(canvas, placement, camera.shadow)
            draw_figure(canvas, thing.person, thing.gait, placement)
    return canvas.reduce(oversample)


def draw_gait(rng: np.random.Generator) -> Gait:
    """Draw the instant of a step: most people walk, some stand."""
    reach = float(rng.uniform(0.6, 1.0) if rng.random() < 0.8 else rng.uniform(0.0, 0.25))
    return Gait(float(rng.uniform(0, 2 * np.pi)), reach, float(rng.uniform(0.0, 0.05)))


def _place(camera: Camera, walker: Walker, corner: tuple[float, float], zoom: float) -> Placement:
    return Placement(
        x=(walker.x - corner[0]) * zoom,
        y=(walker.row - corner[1]) * zoom,
        scale=camera.place.scale_at(walker.row) * zoom,
        yaw=walker.yaw,
        pitch=camera.pitch,
        light=camera.light,
    )


def _inside(window: Box, size: tuple[int, int]) -> Box:
    """Move a window inside the frame without changing its size."""
    left, top, right, bottom = window
    dx = max(0.0, -left) - max(0.0, right - size[0])
    dy = max(0.0, -top) - max(0.0, bottom - size[1])
    return left + dx, top + dy, right + dx, bottom + dy
