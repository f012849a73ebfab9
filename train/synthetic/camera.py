"""A camera: the place it watches, the side it sees people from, and what its image does to colours."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from math import pi

import numpy as np
from PIL import Image, ImageFilter

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
        gain: factors on red, green and blue.
        gamma: exponent of the tone curve; over 1 darkens.
        contrast: spread around the middle grey, 1 leaves it.
        saturation: 0 for grey images, 1 leaves colours alone.
        blur: standard deviation of the lens's blur, as a part of the image's height.
        noise: standard deviation of the sensor's noise, in grey levels of 255.
        quality: JPEG quality of its stream.
    """

    place: Place
    light: float
    shadow: float
    pitch: float
    heading: float
    gain: tuple[float, float, float]
    gamma: float
    contrast: float
    saturation: float
    blur: float
    noise: float
    quality: int


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
        gain=(exposure * (1 + warmth), exposure * (1 + tint), exposure * (1 - warmth)),
        gamma=float(rng.uniform(0.85, 1.25)),
        contrast=float(rng.uniform(0.8, 1.1)),
        saturation=float(rng.uniform(0.6, 1.05)),
        blur=float(rng.uniform(0.0, 0.0045)),
        noise=float(rng.uniform(5, 9) if dusk else rng.uniform(1.5, 5)),
        quality=int(rng.integers(45, 85)),
    )


def develop(drawing: Image.Image, camera: Camera, rng: np.random.Generator, height: int) -> Image.Image:
    """Turn a clean drawing into what the camera delivers: colour cast, tones, blur, noise, compression.

    Args:
        drawing: an RGB image at the resolution of the result.
        camera: whose image it is.
        rng: this image's noise and its exposure, which wavers by a few parts in a hundred.
        height: the height in pixels of a whole person here, which the blur is a part of.
    """
    waver = float(rng.normal(1, 0.05))
    levels = np.linspace(0, 1, 256) ** camera.gamma
    levels = (levels - 0.45) * camera.contrast + 0.45
    table = np.concatenate([levels * gain * waver for gain in camera.gain])
    picture = drawing.point((table * 255).clip(0, 255).round().astype(int).tolist())
    picture = picture.convert("RGB", _saturate(camera.saturation))
    radius = camera.blur * height
    if radius > 0.3:
        # A box as wide as that bell: a third of the time, and none sees the difference under the noise.
        picture = picture.filter(ImageFilter.BoxBlur(1.5 * radius))
    pixels = np.asarray(picture, dtype=np.float32)
    grain = rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(camera.noise)
    picture = Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))
    stream = BytesIO()
    picture.save(stream, "JPEG", quality=camera.quality)
    return Image.open(stream).convert("RGB")


def _saturate(keep: float) -> tuple[float, ...]:
    """Return the colour matrix, 3 rows of 4, that keeps this much of each colour's distance from its grey."""
    grey = np.tile(np.array([0.299, 0.587, 0.114, 0.0]), (3, 1)) * (1 - keep)
    matrix = grey + np.eye(3, 4) * keep
    return tuple(float(value) for value in matrix.ravel())
