"""Crops of single people, as a detector would cut them: a little too wide, too low, in part hidden.

Example:
    >>> sample_crops(2, height=256, width=128, seed=0).shape
    (2, 256, 128, 3)
"""

from __future__ import annotations

from math import pi

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from osnet_edge.bench.measure.look import develop
from osnet_edge.runtime.errors import InputError
from osnet_edge.train.synthetic.camera import Camera, sample_cameras
from osnet_edge.train.synthetic.person import Person, sample_people, sample_person
from osnet_edge.train.synthetic.props import PROPS
from osnet_edge.train.synthetic.stage import Box, Prop, Walker, box_of, draw_gait, draw_stage

FRAME = (1280, 720)
_HIDDEN = 0.3
_CROWDED = 0.4


def sample_crops(count: int, height: int = 256, width: int = 128, seed: int = 0) -> NDArray[np.uint8]:
    """Draw crops of `count` different people.

    Args:
        count: how many, at least 1.
        height: rows of each, at least 32.
        width: columns of each, at least 16 and at most twice the height.
        seed: picks people, cameras and poses; the same seed gives the same bytes.

    Returns:
        An array (count, height, width, 3), RGB.

    Raises:
        InputError: an argument is out of these ranges.
    """
    check_whole("count", count, 1)
    check_size(height, width)
    check_whole("seed", seed, 0)
    people = sample_people(count, np.random.default_rng([seed, 0]))
    cameras = sample_cameras(min(count, 3), (FRAME[0] // 2, FRAME[1] // 2), np.random.default_rng([seed, 1]))
    crops = np.empty((count, height, width, 3), np.uint8)
    for k, person in enumerate(people):
        rng = np.random.default_rng([seed, 2, k])
        crops[k] = np.asarray(draw_crop(person, cameras[k % len(cameras)], rng, (width, height)))
    return crops


def draw_crop(person: Person, camera: Camera, rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Draw one crop of `person` as `camera` sees them, at a spot and an instant of chance.

    Args:
        person: whom.
        camera: which camera.
        rng: where, facing which way, at which instant, and who or what is in the way.
        size: width and height of the crop in pixels.
    """
    place = camera.place
    row = float(rng.uniform(place.far, place.near - 0.02 * place.size[1]))
    # Most go the camera's way, some come the other way, and nobody quite straight.
    yaw = camera.heading + float(rng.normal(0, 0.45)) + (pi if rng.random() < 0.25 else 0.0)
    x = float(rng.uniform(0.15, 0.85)) * place.size[0]
    walker = Walker(person, draw_gait(rng), x, row, yaw)
    window = cut(box_of(camera, walker), size, rng)
    things: list[Walker | Prop] = [walker, *_company(walker, window, camera, rng)]
    oversample = 3 if size[1] <= 224 else 2
    drawing = draw_stage(camera, things, window, size, oversample)
    return develop(drawing, camera.look, rng, size[1])


def cut(box: Box, size: tuple[int, int], rng: np.random.Generator) -> Box:
    """Return a detector's idea of `box`: some air around it, shifted, and of the crop's shape."""
    left, top, right, bottom = box
    high = (bottom - top) * float(rng.uniform(0.97, 1.16))
    wide = high * size[0] / size[1]
    x = 0.5 * (left + right) + float(rng.normal(0, 0.04)) * high
    y = 0.5 * (top + bottom) + float(np.clip(rng.normal(0, 0.025), -0.06, 0.06)) * high
    return x - 0.5 * wide, y - 0.5 * high, x + 0.5 * wide, y + 0.5 * high


def _company(walker: Walker, window: Box, camera: Camera, rng: np.random.Generator) -> list[Walker | Prop]:
    """Draw passers-by behind the person, and now and then something or someone before them."""
    metre = camera.place.scale_at(walker.row)
    things: list[Walker | Prop] = []
    if rng.random() < _CROWDED:
        row = max(camera.place.far * 0.95, walker.row - float(rng.uniform(0.15, 0.6)) * metre)
        x = float(rng.uniform(window[0], window[2]))
        things.append(Walker(sample_person(rng), draw_gait(rng), x, row, float(rng.uniform(0, 2 * pi))))
    if rng.random() < _HIDDEN:
        side = 1.0 if rng.random() < 0.5 else -1.0
        kind = int(rng.integers(len(PROPS) + 1))
        row = walker.row + 0.12 * metre
        if kind == len(PROPS):
            x = walker.x + side * float(rng.uniform(0.36, 0.55)) * metre
            stranger = sample_person(rng)
            things.append(Walker(stranger, draw_gait(rng), x, row, float(rng.uniform(0, 2 * pi))))
        else:
            x = walker.x + side * float(rng.uniform(0.05, 0.45)) * metre
            things.append(Prop(PROPS[kind], x, row, float(rng.random())))
    return things


def check_whole(name: str, value: int, least: int, most: int | None = None) -> None:
    """Refuse a number that is not whole, or lies under `least` or over `most`.

    Raises:
        InputError: the number is refused.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"expected {name} to be a whole number of at least {least}, got {value!r}")
    if most is not None and value > most:
        raise InputError(f"expected {name} to be at most {most}, got {value}")


def check_size(height: int, width: int) -> None:
    """Refuse a crop too small to show anybody, or too wide to be of one person.

    Raises:
        InputError: the size is refused.
    """
    check_whole("height", height, 32)
    check_whole("width", width, 16)
    if width > 2 * height:
        # A wider window would not fit into the cameras' frames.
        raise InputError(f"expected a crop at most twice as wide as high, got {width}x{height}")
