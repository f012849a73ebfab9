"""A Lite 3x3 merged into one dense 3x3: w[o, i, y, x] = depthwise[o, y, x] * pointwise[o, i].

There is nothing between the 1x1 and the depthwise 3x3, and the 1x1 has no bias, so the two are one
convolution. It has 9 times the multiplications and half the kernels, which pays on a GPU: OSNet does not use
up the tensor cores, but spends its time on kernel launches.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from osnet_edge.export.rewrite.block import FoldedBlock, Lite, convolution


class Dense(nn.Module):
    """A dense 3x3 and ReLU."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, D, H, W)."""
        return F.relu(self.conv(x))


def dense_lite(block: FoldedBlock) -> None:
    """Replace every Lite convolution of the block's streams, alone or grouped."""
    for parent in list(block.streams.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Lite):
                setattr(parent, name, Dense(multiply_out(child)))


def multiply_out(lite: Lite) -> nn.Conv2d:
    """Merge the two convolutions of a Lite 3x3 into one."""
    weight = lite.depthwise.weight * lite.pointwise.weight
    return convolution(weight, lite.depthwise.bias, groups=lite.pointwise.groups)
