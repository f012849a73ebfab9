"""What an image looks like in a few bits: whether two are nearly the same, whether one has colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from osnet_edge.runtime.preprocessing import Picture

#: Cells of the hash; people stand upright, so that there are more rows than columns.
_COLUMNS, _ROWS = 8, 16
HASH_BITS = _COLUMNS * _ROWS
#: Bits that may differ between near-duplicates. On CUHK03, copies that were compressed anew, halved, made
#: brighter or cut 1 pixel off differ by 9 at most, and the nearest two of 400,000 pairs of people by 16.
NEAR = 12
#: Levels of 255 between a pixel's strongest and weakest channel, on average over the image. Infrared has
#: under 3, which JPEG and tinted glass make; a plain image of a street has 8 to 30.
_GREY = 3.0

Bits = NDArray[np.bool_]


def difference_hash(picture: Picture) -> Bits:
    """Return 128 bits (128,), each telling whether a cell is brighter than its left neighbour.

    Light and contrast of the whole image, its size and its compression hardly matter.

    Source: N. Krawetz, "Kind of Like That" (2013), with 9x16 cells in place of 9x8.

    Args:
        picture: (H, W, 3) uint8 RGB.

    Example:
        >>> ramp = np.repeat(np.arange(0, 180, 20, np.uint8)[None, :, None], 16, axis=0).repeat(3, axis=2)
        >>> bool(difference_hash(ramp).all()), bool(difference_hash(ramp[:, ::-1]).any())
        (True, False)
    """
    grey = Image.fromarray(picture).convert("L")
    cells = np.asarray(grey.resize((_COLUMNS + 1, _ROWS), Image.Resampling.BILINEAR))
    bits: Bits = (cells[:, 1:] > cells[:, :-1]).ravel()
    return bits


def is_near(bits: Bits, others: Bits) -> bool:
    """Tell whether a hash is within `NEAR` bits of any of others, (N, 128)."""
    return bool(((others != bits).sum(axis=1) <= NEAR).any())


def is_grey(picture: Picture) -> bool:
    """Tell whether an image has (nearly) no colour, as those of infrared cameras.

    Args:
        picture: (H, W, 3) uint8 RGB.
    """
    spread = picture.max(axis=2).astype(np.int16) - picture.min(axis=2)
    return float(spread.mean()) < _GREY
