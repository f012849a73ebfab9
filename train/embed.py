"""A torch network as an embedder, with the same preprocessing as on the camera."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.preprocessing import Picture, Preprocessing, normalize, resize, to_batch
from osnet_edge.train.osnet import OSNet


@dataclass(frozen=True)
class TorchEmbedder:
    """An OSNet in eval mode that takes crops, as an `Embedder` of the runtime does.

    Attributes:
        model: the network; it is put into channels-last order, which is faster on a CPU.
        preprocessing: input size and normalisation.

    Example:
        >>> from osnet_edge.train.variants import variant_named
        >>> embedder = TorchEmbedder(OSNet(variant_named("osnet_x0_25")).eval(), Preprocessing(64, 32))
        >>> embedder([np.zeros((80, 40, 3), np.uint8)]).shape
        (1, 512)
    """

    model: OSNet
    preprocessing: Preprocessing

    def __post_init__(self) -> None:
        """Put the weights into channels-last order, as the images are."""
        # torch's stubs miss this overload of `to`.
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def variant(self) -> str:
        """Name of the network."""
        return self.model.variant.name

    def __call__(self, crops: list[Picture]) -> NDArray[np.float32]:
        """Embed N uint8 RGB crops of any sizes; return (N, 512) float32 rows, not scaled to length 1."""
        with torch.inference_mode():
            device = self.model.conv1.conv.weight.device
            rows: NDArray[np.float32] = self.model(self.batch(crops).to(device)).cpu().numpy()
        return rows

    def batch(self, crops: list[Picture]) -> Tensor:
        """Return N crops of any sizes as the network's input, normalised float32 (N, 3, height, width)."""
        preprocessing = self.preprocessing
        pictures = to_batch(crops, preprocessing)
        if preprocessing.normalize_in == "graph":
            pictures = normalize(pictures.astype(np.uint8, copy=False), preprocessing)
        return torch.from_numpy(pictures).contiguous(memory_format=torch.channels_last)

    def read(self, path: Path | str) -> Picture:
        """Read an image and resize it to the network's input."""
        preprocessing = self.preprocessing
        return resize(
            read_picture(path), preprocessing.height, preprocessing.width, preprocessing.interpolation
        )
