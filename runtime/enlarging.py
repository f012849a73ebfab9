"""Enlarging crops by OpenCV to the very bytes of Pillow, in a third of Pillow's time.

A person's box is often smaller than the network's input, and then Pillow's bilinear filter reads two pixels
of an axis, as OpenCV's does. What sets them apart is rounding. Pillow resizes one axis, rounds to bytes, and
resizes the other. OpenCV does both at once and cuts off bits between; of an image whose rows alone become
longer it cuts off none that count. So each axis is resized by itself, and columns as the rows of the
transposed image. OpenCV holds the share of a pixel in 2048ths, which is exact where the result's size is a
power of two, as 256x128 is. An axis that shrinks is left to Pillow, whose filter widens there.

Source: `ImagingResample` of Pillow (src/libImaging/Resample.c), and `HResizeLinear` and `VResizeLinear` of
OpenCV (modules/imgproc/src/resize.cpp). Other versions may take the axes in another order, or have other code
for some sizes, so that each size of a result is tried against Pillow before it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_Picture = NDArray[np.uint8]
#: Sizes of a result for which 2048ths are exact.
_EXACT = {1 << power for power in range(1, 11)}
#: Height and width of what is tried, as parts of the result's: one pixel, whole ratios, and some between.
_SHORT = (
    (0.0, 0.0),
    (0.25, 0.25),
    (0.5, 0.5),
    (0.5, 0.375),
    (0.7, 0.55),
    (0.98, 0.93),
    (1.0, 0.5),
    (0.5, 1.0),
)
_TALL = ((1.01, 0.5), (1.3, 0.7), (1.6, 0.97), (2.0, 0.25))


def enlarge(crop: _Picture, height: int, width: int, *, bgr: bool = False) -> _Picture | None:
    """Resize an image whose width grows to Pillow's bytes, if OpenCV can do so here.

    Args:
        crop: H x W x 3 uint8.
        height: of the result, in pixels.
        width: of the result, in pixels.
        bgr: whether the crop is blue-green-red. The result is red-green-blue.

    Returns:
        The image, (height, width, 3); None where its width would shrink, OpenCV is not installed, or it would
        give other bytes than Pillow.
    """
    if crop.shape[1] > width:
        return None
    exact = _resizer(height, width, crop.shape[0] > height)
    return exact(crop, bgr) if exact else None


@lru_cache
def _resizer(height: int, width: int, tall: bool) -> Callable[[_Picture, bool], _Picture] | None:
    """Return what resizes to a size, or None where it would not give Pillow's bytes.

    Args:
        height: of the result.
        width: of the result.
        tall: whether the images are higher than the result.
    """
    if not {height, width} <= _EXACT:
        return None
    try:
        import cv2
    except ImportError:
        return None

    def longer_rows(picture: Any, length: int) -> Any:
        return cv2.resize(picture, (length, len(picture)), interpolation=cv2.INTER_LINEAR)

    def apply(crop: _Picture, bgr: bool) -> _Picture:
        picture: Any = np.ascontiguousarray(crop)
        if tall:
            # Pillow shrinks columns before it enlarges rows, which are fewer then.
            return np.asarray(
                longer_rows(by_pillow(picture, height, crop.shape[1], bgr=bgr), width), np.uint8
            )
        if bgr:
            picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        columns = longer_rows(cv2.transpose(longer_rows(picture, width)), height)
        return np.asarray(cv2.transpose(columns), np.uint8)

    rng = np.random.default_rng(0)
    for down, across in _TALL if tall else _SHORT:
        size = (max(1, round(down * height)), max(1, round(across * width)), 3)
        # Half of the bytes are black or white, whose sums lie farthest apart.
        some = rng.integers(0, 256, size)
        crop = np.where(rng.random(size) < 0.5, some, some // 128 * 255).astype(np.uint8)
        if not np.array_equal(apply(crop, False), by_pillow(crop, height, width)):
            return None
    return apply


def by_pillow(crop: _Picture, height: int, width: int, *, bgr: bool = False) -> _Picture:
    """Resize an image by Pillow's bilinear filter, as training does; the arguments are those of `enlarge`."""
    # Pillow unpacks bytes to pixels of four either way, and turns colours round in the same pass.
    order, size = "BGR" if bgr else "RGB", (crop.shape[1], crop.shape[0])
    picture = Image.frombuffer("RGB", size, np.ascontiguousarray(crop), "raw", order, 0, 1)
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
