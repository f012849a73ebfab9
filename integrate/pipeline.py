"""From a crop to a network's input as a consumer computes it, which is where accuracy is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from osnet_edge.runtime.preprocessing import Interpolation, Picture, Preprocessing, resize

Tensor = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float32]
Triple = tuple[float, float, float]
Layout = Literal["NCHW", "NHWC"]

#: Two numbers that a configuration writes with six digits are the same within this.
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Pipeline:
    """What happens to a crop before a network, and to its embedding behind it.

    A pixel `x` of channel `c` becomes `scale[c] * (x - offsets[c])`, as in DeepStream's documentation of
    Gst-nvinfer. A graph expects one pipeline, and a consumer's configuration describes another: where they
    differ, the configuration is wrong.

    Attributes:
        height: rows that a crop is resized to, in pixels.
        width: columns that it is resized to, in pixels.
        scale: factor of each channel, in the order of `color`.
        offsets: what is subtracted from each channel before, in levels of 0 to 255, in that order.
        color: order of the channels.
        layout: order of the tensor's dimensions.
        dtype: type of its numbers.
        keep_aspect: whether a crop keeps its aspect ratio, with black at the right and at the bottom.
        filter: how crops are resized: `bilinear` as the package does, `nearest`, or `four-pixel`: bilinear
            between four pixels whatever the scale, in floats, as torch's `interpolate` does.
        normalized: whether embeddings are compared by their angle alone, or by a dot product of whatever
            length they have.
        size: floats of an embedding; None where a configuration leaves it open.
    """

    height: int
    width: int
    scale: Triple
    offsets: Triple
    color: Literal["RGB", "BGR"] = "RGB"
    layout: Layout = "NCHW"
    dtype: Literal["float32", "float16", "uint8"] = "float32"
    keep_aspect: bool = False
    filter: Literal["bilinear", "nearest", "four-pixel"] = "bilinear"
    normalized: bool = True
    size: int | None = None

    def pixels(self, crops: Sequence[Picture], interpolation: Interpolation) -> Floats:
        """Resize crops as the consumer does.

        Args:
            crops: H x W x 3 uint8 RGB arrays of any sizes.
            interpolation: the package's, for `bilinear`: consumers do not publish their filter to the bit.

        Returns:
            float32 (N, height, width, 3) in levels of 0 to 255, in the order of `color`.
        """
        batch = np.zeros((len(crops), self.height, self.width, 3), np.float32)
        for row, crop in zip(batch, crops, strict=True):
            height, width = self._fit(*crop.shape[:2]) if self.keep_aspect else (self.height, self.width)
            row[:height, :width] = self._resize(crop, height, width, interpolation)
        return batch[..., ::-1] if self.color == "BGR" else batch

    def tensor(self, crops: Sequence[Picture], interpolation: Interpolation) -> Tensor:
        """Return the network's input, of `dtype` and in `layout`; arguments as for `pixels`."""
        pixels = self.pixels(crops, interpolation)
        if self.dtype == "uint8":
            values: Tensor = pixels.astype(np.uint8)
        else:
            offsets, scale = by_channel(self.offsets), by_channel(self.scale)
            values = ((pixels - offsets) * scale).astype(self.dtype)
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2) if self.layout == "NCHW" else values)

    @property
    def has_pixels(self) -> bool:
        """Whether height and width are those of an image."""
        return min(self.height, self.width) > 0

    @property
    def one_scale(self) -> float | None:
        """The scale of all channels; None where they have different ones."""
        return self.scale[0] if len(set(self.scale)) == 1 else None

    def same(self, other: Pipeline, part: str) -> bool:
        """Whether another pipeline agrees in one attribute, numbers up to rounding."""
        mine, theirs = getattr(self, part), getattr(other, part)
        if part in ("scale", "offsets"):
            # Relative, but an offset of 0 is wrong wherever the other is not 0.
            return bool(np.allclose(mine, theirs, rtol=_TOLERANCE, atol=_TOLERANCE * np.max(np.abs(theirs))))
        return bool(mine == theirs)

    def _fit(self, height: int, width: int) -> tuple[int, int]:
        ratio = min(self.height / height, self.width / width)
        return max(1, round(height * ratio)), max(1, round(width * ratio))

    def _resize(
        self, crop: Picture, height: int, width: int, interpolation: Interpolation
    ) -> Picture | Floats:
        if self.filter == "four-pixel":
            return _between(_between(crop.astype(np.float32), height, 0), width, 1)
        if self.filter == "nearest":
            picture = Image.fromarray(np.ascontiguousarray(crop))
            return np.asarray(picture.resize((width, height), Image.Resampling.NEAREST))
        return resize(crop, height, width, interpolation)


def _between(values: Floats, size: int, axis: int) -> Floats:
    """Resize one axis, each number between its two nearest ones: half-pixel centres, edges repeated."""
    count = values.shape[axis]
    places = np.clip((np.arange(size) + 0.5) * (count / size) - 0.5, 0, count - 1)
    low = np.floor(places).astype(np.intp)
    high = np.minimum(low + 1, count - 1)
    share = (places - low).astype(np.float32).reshape([-1 if each == axis else 1 for each in range(3)])
    between: Floats = values.take(low, axis) * (1 - share) + values.take(high, axis) * share
    return between


def by_channel(values: Triple) -> Floats:
    """Return a value for each channel, to compute with."""
    return np.asarray(values, np.float32)


def bytes_pipeline(how: Preprocessing) -> Pipeline:
    """Return what a graph of `osnet-edge export` expects that normalises inside: bytes, (N, H, W, 3)."""
    return Pipeline(how.height, how.width, (1, 1, 1), (0, 0, 0), layout="NHWC", dtype="uint8")


def normalized_pipeline(how: Preprocessing) -> Pipeline:
    """Return what a graph expects that does not normalise, as most exporters write it.

    A pixel becomes `(pixel * scale - mean) / std` by channel, which one scale for all channels cannot say.
    """
    red, green, blue = (how.scale / value for value in how.std)
    return Pipeline(how.height, how.width, (red, green, blue), pixel_means(how))


def pixel_means(how: Preprocessing) -> Triple:
    """Return the mean of each channel in levels of 0 to 255."""
    red, green, blue = (value / how.scale for value in how.mean)
    return red, green, blue
