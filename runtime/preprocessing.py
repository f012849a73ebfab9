"""From crops of any size to the batch that an engine takes; the manifest says how."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from osnet_edge.runtime.enlarging import by_pillow, enlarge
from osnet_edge.runtime.errors import InputError, UnavailableError

Picture = NDArray[np.uint8]
Interpolation = Literal["pillow-bilinear", "opencv-bilinear"]

#: ImageNet statistics of images in [0, 1], which every public OSNet was trained with.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """What happens to a crop before the network, and where.

    A pixel becomes `(pixel * scale - mean) / std` per channel, in the order of `color`.

    Attributes:
        height: rows of the network's input, in pixels.
        width: columns of the network's input, in pixels.
        color: channel order that the network expects.
        interpolation: how crops are resized. `pillow-bilinear` widens its filter when it shrinks an image
            (as training did), `opencv-bilinear` reads four pixels whatever the scale.
        scale: factor on a byte, before mean and std.
        mean: per channel, in units of `pixel * scale`.
        std: per channel, in the same units.
        normalize_in: `graph` when the engine takes bytes (N, H, W, 3) and normalises them, `host` when it
            takes normalised floats (N, 3, H, W).
    """

    height: int = 256
    width: int = 128
    color: Literal["RGB"] = "RGB"
    interpolation: Interpolation = "pillow-bilinear"
    scale: float = 1 / 255
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    normalize_in: Literal["graph", "host"] = "graph"

    def __post_init__(self) -> None:
        """Refuse sizes and statistics that no network has."""
        if not (32 <= self.height <= 4096 and 32 <= self.width <= 4096):
            raise InputError(f"expected an input of 32 to 4096 pixels a side, got {self.height}x{self.width}")
        if min(self.std) <= 0 or self.scale <= 0:
            raise InputError(f"expected a positive scale and std, got {self.scale} and {self.std}")

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one image as the engine takes it, without the batch."""
        if self.normalize_in == "graph":
            return (self.height, self.width, 3)
        return (3, self.height, self.width)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the numbers that the engine takes."""
        return np.dtype(np.uint8 if self.normalize_in == "graph" else np.float32)

    def check_batch(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Hold a batch, wherever it lies, to images as the engine takes them, one or more.

        Raises:
            InputError: it is of another shape or type.
        """
        if shape[1:] != self.input_shape or dtype != self.dtype or not shape[0]:
            raise InputError(
                f"expected a batch of {self.dtype} (N, {', '.join(map(str, self.input_shape))}), got {dtype} "
                f"{shape}"
            )


def check_interpolation(interpolation: Interpolation) -> None:
    """Hold that this machine has what resizes, before the first crop comes.

    Raises:
        UnavailableError: OpenCV is needed, and not installed.
    """
    if interpolation == "opencv-bilinear":
        try:
            import cv2  # noqa: F401
        except ImportError:
            raise UnavailableError(
                "this package resizes with opencv-bilinear, and OpenCV is not installed; "
                "install it with: pip install 'osnet-edge[opencv]'"
            ) from None


def to_batch(
    crops: Sequence[Picture],
    preprocessing: Preprocessing,
    *,
    bgr: bool = False,
    helpers: Executor | None = None,
) -> NDArray[np.generic]:
    """Resize, order and, where the graph does not, normalise crops.

    Args:
        crops: H x W x 3 uint8 arrays of any sizes, checked by `check_crops`.
        preprocessing: the manifest's preprocessing.
        bgr: whether the crops are blue-green-red, as OpenCV reads images.
        helpers: threads to resize several crops at once, since Pillow and OpenCV let go of the interpreter
            meanwhile; None resizes one after another.

    Returns:
        uint8 (N, height, width, 3), or float32 (N, 3, height, width) when `how.normalize_in` is `host`.
    """
    batch = np.empty((len(crops), preprocessing.height, preprocessing.width, 3), np.uint8)

    def place(row: Picture, crop: Picture) -> None:
        row[...] = resize(
            crop, preprocessing.height, preprocessing.width, preprocessing.interpolation, bgr=bgr
        )

    several = helpers.map if helpers is not None and len(crops) > 1 else map
    # Exhausted, so that what a thread raised is raised here.
    deque(several(place, batch, crops), maxlen=0)
    return batch if preprocessing.normalize_in == "graph" else normalize(batch, preprocessing)


def normalize(batch: Picture, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Turn uint8 (N, H, W, 3) in the network's colour order into normalised float32 (N, 3, H, W)."""
    mean, std = np.asarray(preprocessing.mean, np.float32), np.asarray(preprocessing.std, np.float32)
    channels_last = (batch.astype(np.float32) * np.float32(preprocessing.scale) - mean) / std
    return np.ascontiguousarray(channels_last.transpose(0, 3, 1, 2))


def resize(
    crop: Picture, height: int, width: int, interpolation: Interpolation, *, bgr: bool = False
) -> Picture:
    """Resize one H x W x 3 uint8 image to height x width; see `check_interpolation`.

    Args:
        crop: the image; a part of a frame need not be copied out of it first.
        height: of the result, in pixels.
        width: of the result, in pixels.
        interpolation: how.
        bgr: whether the crop is blue-green-red. The result is red-green-blue.
    """
    if crop.shape[:2] == (height, width):
        return crop[..., ::-1] if bgr else crop
    if interpolation == "opencv-bilinear":
        import cv2

        resized = cv2.resize(np.ascontiguousarray(crop), (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(resized[..., ::-1] if bgr else resized, np.uint8)
    enlarged = enlarge(crop, height, width, bgr=bgr)
    return enlarged if enlarged is not None else by_pillow(crop, height, width, bgr=bgr)


def check_crops(crops: object, *, bgr: bool = False) -> list[Picture]:
    """Return crops as a list of H x W x 3 uint8 arrays.

    Args:
        crops: a sequence of such arrays or of PIL images, or one array (N, H, W, 3).
        bgr: whether arrays are blue-green-red; images are turned round to match.

    Raises:
        InputError: anything else; the message names the first crop that does not fit.
    """
    if isinstance(crops, np.ndarray):
        if crops.ndim == 3:
            raise InputError(f"expected a list of crops, got one array of shape {crops.shape}; pass [crop]")
        if crops.ndim != 4 and crops.size:
            raise InputError(f"expected a batch of shape (N, H, W, 3), got {crops.shape}")
        crops = list(crops)
    if not isinstance(crops, Sequence) or isinstance(crops, str | bytes):
        raise InputError(f"expected a list of H x W x 3 uint8 arrays, got {type(crops).__name__}")
    # Pillow knows an image's colours: palettes, grey and RGBA become RGB, as files read by `embed` do.
    order = -1 if bgr else 1
    crops = [
        np.asarray(each.convert("RGB"))[..., ::order] if isinstance(each, Image.Image) else each
        for each in crops
    ]
    for index, crop in enumerate(crops):
        if not isinstance(crop, np.ndarray):
            raise InputError(f"crop {index}: expected an H x W x 3 uint8 array, got {type(crop).__name__}")
        if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[2] != 3:
            raise InputError(f"crop {index}: expected H x W x 3 of uint8, got {crop.shape} of {crop.dtype}")
        if 0 in crop.shape:
            raise InputError(f"crop {index}: holds no pixel, its shape is {crop.shape}")
    return crops
