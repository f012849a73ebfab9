"""A camera's look: what it does to colours and sharpness, and an image developed with it."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter


@dataclass(frozen=True)
class Look:
    """What a camera does to an image, in the order of its parts.

    Attributes:
        gain: factors on red, green and blue.
        gamma: exponent of the tone curve; over 1 darkens.
        contrast: spread around the middle grey, 1 leaves it.
        saturation: 0 for grey images, 1 leaves colours alone.
        blur: standard deviation of the lens's blur, as a part of the image's height.
        noise: standard deviation of the sensor's noise, in grey levels of 255.
        quality: JPEG quality of its stream.
    """

    gain: tuple[float, float, float]
    gamma: float
    contrast: float
    saturation: float
    blur: float
    noise: float
    quality: int


def develop(picture: Image.Image, look: Look, rng: np.random.Generator, height: int) -> Image.Image:
    """Turn an image into what a camera delivers: colour cast, tones, blur, noise, compression.

    Args:
        picture: an RGB image at the resolution of the result.
        look: of the camera.
        rng: this image's noise and its exposure, which wavers by a few parts in a hundred.
        height: the height in pixels of a whole person here, which the blur is a part of.
    """
    waver = float(rng.normal(1, 0.05))
    levels = np.linspace(0, 1, 256) ** look.gamma
    levels = (levels - 0.45) * look.contrast + 0.45
    table = np.concatenate([levels * gain * waver for gain in look.gain])
    picture = picture.point((table * 255).clip(0, 255).round().astype(int).tolist())
    picture = picture.convert("RGB", _saturate(look.saturation))
    radius = look.blur * height
    if radius > 0.3:
        # A box as wide as that bell: a third of the time, and none sees the difference under the noise.
        picture = picture.filter(ImageFilter.BoxBlur(1.5 * radius))
    pixels = np.asarray(picture, dtype=np.float32)
    grain = rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(look.noise)
    picture = Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))
    stream = BytesIO()
    picture.save(stream, "JPEG", quality=look.quality)
    return Image.open(stream).convert("RGB")


def _saturate(keep: float) -> tuple[float, ...]:
    """Return the colour matrix, 3 rows of 4, that keeps this much of each colour's distance from its grey."""
    grey = np.tile(np.array([0.299, 0.587, 0.114, 0.0]), (3, 1)) * (1 - keep)
    matrix = grey + np.eye(3, 4) * keep
    return tuple(float(value) for value in matrix.ravel())
