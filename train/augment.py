"""Augmentation of training crops: flips, shifts, other light, occlusions.

Each function takes an (H, W, 3) uint8 RGB crop and returns one of the same size; `Augmentation` has the
strengths.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from osnet_edge.runtime.preprocessing import IMAGENET_MEAN, Picture
from osnet_edge.train.recipe import Augmentation

#: What a hidden rectangle shows: the mean colour, which normalisation turns into zeros.
_MEAN_COLOUR = np.array([round(255 * mean) for mean in IMAGENET_MEAN], np.uint8)
#: Share of the image that is hidden, and the height of that by its width.
_ERASED, _ERASED_ASPECT = (0.02, 0.4), (0.3, 3.3)
#: The same of what is pasted, and most degrees that it is turned by.
_PASTED, _PASTED_ASPECT, _TURN = (0.01, 0.5), (0.1, 10.0), 10


def augment(
    crop: Picture, how: Augmentation, rng: np.random.Generator, another: Callable[[], Picture] | None = None
) -> Picture:
    """Augment a crop at random.

    Args:
        crop: (H, W, 3) uint8 RGB.
        how: probability and strength of each change.
        rng: random generator; the same state gives the same image.
        another: returns another image of the set, of any size, for `how.patch`.

    Returns:
        (H, W, 3) uint8.
    """
    if rng.random() < how.flip:
        crop = crop[:, ::-1]
    if rng.random() < how.crop:
        crop = cut(crop, rng)
    if how.shift:
        crop = shift(crop, how.shift, rng)
    if how.brightness or how.contrast or how.saturation or how.cast:
        crop = tint(crop, how, rng)
    if rng.random() < how.patch and another is not None:
        crop = paste(crop, another(), rng)
    if rng.random() < how.erase:
        crop = erase(crop, rng)
    return crop


def cut(crop: Picture, rng: np.random.Generator) -> Picture:
    """Enlarge by an eighth, and crop to the old size at a random place, as the public recipes do."""
    height, width = crop.shape[:2]
    high, wide = height * 8 / 9, width * 8 / 9
    top, left = rng.uniform(0, height - high), rng.uniform(0, width - wide)
    picture = Image.fromarray(np.ascontiguousarray(crop))
    box = (left, top, left + wide, top + high)
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR, box=box))


def shift(crop: Picture, share: float, rng: np.random.Generator) -> Picture:
    """Shift the image by up to `share` of its height in each direction, with edges repeated."""
    height, width = crop.shape[:2]
    most = int(height * share)
    padded = np.pad(crop, ((most, most), (most, most), (0, 0)), mode="edge")
    top, left = rng.integers(0, 2 * most + 1, size=2)
    return padded[top : top + height, left : left + width]


def tint(crop: Picture, how: Augmentation, rng: np.random.Generator) -> Picture:
    """Scale brightness, contrast, saturation and single channels, each by up to its share."""
    brightness, contrast, saturation = (
        rng.uniform(1 - most, 1 + most) for most in (how.brightness, how.contrast, how.saturation)
    )
    cast = rng.uniform(1 - how.cast, 1 + how.cast, size=3)
    # All four are linear in a pixel, so one 3x3 matrix and an offset do them at once: y = M x + b.
    to_grey = np.tile(np.array([0.299, 0.587, 0.114], np.float32), (3, 1))
    saturate = saturation * np.eye(3) + (1 - saturation) * to_grey
    matrix = contrast * saturate @ np.diag(brightness * cast)
    flat = crop.reshape(-1, 3)
    grey = float(brightness * (to_grey[0] * cast) @ flat.mean(axis=0))
    tinted = flat @ matrix.T.astype(np.float32) + np.float32((1 - contrast) * grey)
    # Half a step up, so that a factor of 1 gives back the same bytes.
    tinted = np.clip(tinted + np.float32(0.5), 0, 255)
    return np.asarray(tinted, np.uint8).reshape(crop.shape)


def erase(crop: Picture, rng: np.random.Generator) -> Picture:
    """Fill a rectangle of 2 to 40 % of the area with the mean colour.

    Source: Zhong et al., "Random Erasing Data Augmentation" (AAAI 2020), algorithm 1.
    """
    rows, columns = _rectangle(crop, rng)
    top, left = rng.integers(0, crop.shape[0] - rows + 1), rng.integers(0, crop.shape[1] - columns + 1)
    hidden: Picture = crop.copy()
    hidden[top : top + rows, left : left + columns] = _MEAN_COLOUR
    return hidden


def paste(crop: Picture, other: Picture, rng: np.random.Generator) -> Picture:
    """Paste a piece of another image, of 1 to 50 % of the area, somewhere.

    Half of the pieces are flipped, and half are rotated by up to 10 degrees, with black corners.

    Source: the random patch of the paper's recipe (section 5.1), with the sizes, shapes and angles of its
    public code. That code keeps a pool of pieces, so that an image depends on earlier ones; here each piece
    comes from a newly drawn image.
    """
    rows, columns = _fitting_rectangle(crop, rng)
    rows, columns = min(rows, other.shape[0]), min(columns, other.shape[1])
    y, x = rng.integers(0, other.shape[0] - rows + 1), rng.integers(0, other.shape[1] - columns + 1)
    piece = Image.fromarray(np.ascontiguousarray(other[y : y + rows, x : x + columns]))
    if rng.random() < 0.5:
        piece = piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < 0.5:
        piece = piece.rotate(int(rng.integers(-_TURN, _TURN + 1)))
    top, left = rng.integers(0, crop.shape[0] - rows + 1), rng.integers(0, crop.shape[1] - columns + 1)
    pasted: Picture = crop.copy()
    pasted[top : top + rows, left : left + columns] = np.asarray(piece)
    return pasted


def _fitting_rectangle(crop: Picture, rng: np.random.Generator) -> tuple[int, int]:
    """Return the rows and columns of a piece to paste, drawn until it fits: at 1:2, mostly an upright one."""
    height, width = crop.shape[:2]
    while True:
        area, aspect = rng.uniform(*_PASTED) * height * width, rng.uniform(*_PASTED_ASPECT)
        rows, columns = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if 0 < rows <= height and 0 < columns <= width:
            return rows, columns


def _rectangle(crop: Picture, rng: np.random.Generator) -> tuple[int, int]:
    """Return the rows and columns of a rectangle to hide, cut to what fits."""
    height, width = crop.shape[:2]
    area = rng.uniform(*_ERASED) * height * width
    aspect = np.exp(rng.uniform(*np.log(_ERASED_ASPECT)))
    rows, columns = int(np.sqrt(area * aspect)), int(np.sqrt(area / aspect))
    return max(1, min(rows, height)), max(1, min(columns, width))
