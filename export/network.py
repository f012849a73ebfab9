"""The network as it is exported, with preprocessing before it and, on request, L2 normalisation after it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from osnet_edge.runtime.preprocessing import Preprocessing
from osnet_edge.train.osnet import OSNet


class ExportNetwork(nn.Module):
    """OSNet with its preprocessing.

    Args:
        osnet: the network, in eval mode.
        preprocessing: with `normalize_in` "graph", the input is uint8 (N, H, W, 3) RGB, and this module
            casts, scales and normalises it; with "host", it is normalised float32 (N, 3, H, W).
        l2_normalize: whether to scale embeddings to length 1.
    """

    byte_mean: Tensor
    byte_factor: Tensor

    def __init__(self, osnet: OSNet, preprocessing: Preprocessing, *, l2_normalize: bool) -> None:
        super().__init__()
        self.osnet, self.l2_normalize = osnet, l2_normalize
        self.takes_bytes = preprocessing.normalize_in == "graph"
        mean = torch.tensor(preprocessing.mean) / preprocessing.scale
        std = torch.tensor(preprocessing.std) / preprocessing.scale
        self.register_buffer("byte_mean", mean.view(1, 3, 1, 1))
        self.register_buffer("byte_factor", (1 / std).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, *preprocessing.input_shape) to embeddings (N, 512)."""
        if self.takes_bytes:
            # Cast first: TensorRT takes uint8 only as an input that is cast at once. The subtraction stands
            # alone so that the factor can be folded into the first convolution, whose padding is zeros.
            images = (images.float().permute(0, 3, 1, 2) - self.byte_mean) * self.byte_factor
        embeddings: Tensor = self.osnet(images)
        if self.l2_normalize:
            embeddings = embeddings / embeddings.norm(dim=1, keepdim=True).clamp_min(1e-12)
        return embeddings
