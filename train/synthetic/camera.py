"""A camera: the place it watches, the side it sees people from, and its look."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np

from osnet_edge.bench.measure.look import Look
from osnet_edge.train.synthetic.places import KINDS, Place, build_place


@dataclass(frozen=True)
class Camera:
    """What stays the same in every image of one camera.

    Attributes:
        place: what it watches.
        light: the side the light comes from, -1 left or 1 right.
        shadow: how dark the shadows are, 0 to 1.
        pitch: how far it looks down, in radians.
        heading: the way most people go, as a yaw in radians (0 towards the camera).
        look: what it does to colours and sharpness.
    """

    place: Place
    light: float
    shadow: float
    pitch: float
    heading: float
    look: Look


def sample_cameras(count: int, size: tuple[int, int], rng: np.random.Generator) -> list[Camera]:
    """Draw `count` cameras, their places and headings as different as the number of kinds allows.

    Args:
        count: how many, at least 1.
        size: width and height of their frames in pixels.
        rng: where the chance comes from.
    """
    kinds = [KINDS[k] for k in rng.permutation(len(KINDS))]
    turn = float(rng.uniform(0, 2 * pi))
    return [_sample_camera(kinds[k % len(kinds)], turn + 2 * pi * k / count, size, rng) for k in range(count)]


def _sample_camera(kind: str, heading: float, size: tuple[int, int], rng: np.random.Generator) -> Camera:
    warmth, tint = rng.normal(0, 0.09), rng.normal(0, 0.04)
    dusk = kind in ("park", "night")
    exposure = float(rng.uniform(0.62, 0.8) if dusk else rng.uniform(0.85, 1.12))
    if dusk:
        warmth += 0.1 if kind == "park" else -0.06
    return Camera(
        place=build_place(kind, size, rng),
        light=-1.0 if rng.random() < 0.5 else 1.0,
        shadow=float(
            rng.uniform(0.25, 0.45) if dusk or kind in ("shop", "station") else rng.uniform(0.5, 0.8)
        ),
        pitch=float(rng.uniform(0.08, 0.26)),
        heading=heading,
        look=Look(
            gain=(exposure * (1 + warmth), exposure * (1 + tint), exposure * (1 - warmth)),
            gamma=float(rng.uniform(0.85, 1.25)),
            contrast=float(rng.uniform(0.8, 1.1)),
            saturation=float(rng.uniform(0.6, 1.05)),
            blur=float(rng.uniform(0.0, 0.0045)),
            noise=float(rng.uniform(5, 9) if dusk else rng.uniform(1.5, 5)),
            quality=int(rng.integers(45, 85)),
        ),
    )
