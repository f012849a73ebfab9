"""An engine package where `eval` has a checkpoint: the same pictures, by the package's preprocessing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.preprocessing import Picture, Preprocessing, resize


@dataclass(frozen=True)
class PackageEmbedder:
    """A package as `TorchEmbedder` is a network.

    Attributes:
        embedder: of the runtime.
    """

    embedder: Embedder

    @property
    def variant(self) -> str:
        """Name of its network."""
        return self.embedder.manifest.model.variant

    @property
    def preprocessing(self) -> Preprocessing:
        """Size of its input, and how pictures come to it."""
        return self.embedder.manifest.preprocessing

    def __call__(self, crops: list[Picture]) -> NDArray[np.float32]:
        """Embed N crops of any sizes to (N, D), as the engine gives them."""
        return self.embedder(crops, l2_normalize=False)

    def read(self, path: Path | str) -> Picture:
        """Read a picture at the size of the engine's input, so that resizing is done where reading is."""
        how = self.preprocessing
        return resize(read_picture(path), how.height, how.width, how.interpolation)
