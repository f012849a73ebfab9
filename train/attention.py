"""Attention maps: where in an image the last feature map of the network is strong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from osnet_edge.bench.metrics.evaluate import LabelledPicture
from osnet_edge.bench.report.pictures import InlinePicture, caption
from osnet_edge.runtime.preprocessing import Picture
from osnet_edge.train.embed import TorchEmbedder
from osnet_edge.train.osnet import OSNet

#: Colours from weak to strong, each lighter than the one before, so that they also read in grey.
_COLOURS = ((18, 10, 60), (120, 28, 109), (207, 68, 70), (251, 155, 6), (252, 255, 164))


def attention_maps(model: OSNet, batch: Tensor) -> NDArray[np.float32]:
    """Return the activation of the last feature map at each place of each image.

    `A = sum over channels of F_c^2` of the feature map that is pooled into the embedding (conv5), scaled for
    each image from 0 at its weakest place to 1 at its strongest.

    Source: Zagoruyko & Komodakis, "Paying More Attention to Attention" (ICLR 2017), section 3.1, F_sum^2. It
    shows what has weight in the embedding, and not why two images are taken for the same person.

    Args:
        model: in eval mode.
        batch: (N, 3, H, W) normalised images.

    Returns:
        (N, H / 16, W / 16) float32 in [0, 1]; zeros where a map is the same everywhere.

    Example:
        >>> from osnet_edge.train.variants import variant_named
        >>> attention_maps(OSNet(variant_named("osnet_x0_25")).eval(), torch.zeros(1, 3, 64, 32)).shape
        (1, 4, 2)
    """
    seen: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], features: Tensor) -> None:
        seen.append(features)

    hook = model.conv5.register_forward_hook(keep)
    try:
        with torch.inference_mode():
            model(batch)
    finally:
        hook.remove()
    maps: NDArray[np.float32] = seen[0].square().sum(dim=1).numpy()
    low, high = (edge(maps, axis=(1, 2), keepdims=True) for edge in (np.min, np.max))
    scaled: NDArray[np.float32] = (maps - low) / np.where(high > low, high - low, 1)
    return scaled


def overlay(crop: Picture, attention: NDArray[np.float32], strength: float = 0.6) -> Picture:
    """Blend an attention map with its image: dark violet for weak, light yellow for strong.

    Args:
        crop: (H, W, 3) uint8.
        attention: (h, w) in [0, 1], of any smaller size; it is interpolated.
        strength: weight of the map's colours; the rest is the image in grey.

    Returns:
        (H, W, 3) uint8.

    Example:
        >>> overlay(np.zeros((8, 4, 3), np.uint8), np.eye(2, dtype=np.float32)).shape
        (8, 4, 3)
    """
    size = (crop.shape[1], crop.shape[0])
    enlarged = np.asarray(Image.fromarray(attention).resize(size, Image.Resampling.BICUBIC))
    places = np.linspace(0, 1, len(_COLOURS))
    coloured = np.stack([np.interp(enlarged, places, channel) for channel in np.transpose(_COLOURS)], axis=2)
    grey = crop.mean(axis=2, keepdims=True)
    laid: Picture = (strength * coloured + (1 - strength) * grey).round().astype(np.uint8)
    return laid


def attention_pictures(
    embedder: TorchEmbedder, items: Sequence[LabelledPicture]
) -> tuple[InlinePicture, ...]:
    """Return images of a set for a page, each beside its attention map."""
    crops = [embedder.read(item.path) for item in items]
    maps = attention_maps(embedder.model, embedder.batch(crops))
    return tuple(
        InlinePicture.of(np.concatenate([crop, overlay(crop, attention)], axis=1), caption(item))
        for crop, attention, item in zip(crops, maps, items, strict=True)
    )
