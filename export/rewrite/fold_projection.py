"""The residual path's 1x1 folded into the block's last 1x1, since their outputs are added.

[W P] (streams, x) = W streams + P x. The block's input is concatenated to the streams, and scaled by 1 where
they are scaled by their gates, so that the concatenation is part of a kernel that exists already.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from osnet_edge.export.rewrite.block import FoldedBlock, convolution, join
from osnet_edge.export.rewrite.fold_sum import JoinedLeave


class ProjectedLeave(JoinedLeave):
    """The block's end with one 1x1 for streams and residual path."""

    def forward(self, streams: list[Tensor], weights: list[Tensor], x: Tensor) -> Tensor:
        """Map streams and their weights, and the block's input (N, C, H, W), to its output (N, D, H, W)."""
        scale = F.pad(join(weights), (0, 0, 0, 0, 0, x.shape[1]), value=1.0)
        y: Tensor = self.conv(join([*streams, x]) * scale)
        if self.outer is not None:
            y = self.outer(y)
        return F.relu(y)


def fold_projection(block: FoldedBlock) -> None:
    """Replace the joined end of blocks that have a projection and no instance norm before the sum."""
    leave = block.leave
    assert isinstance(leave, JoinedLeave)
    if leave.projection is None or leave.inner is not None:
        return
    weight = torch.cat([leave.conv.weight, leave.projection.weight], dim=1)
    biases = [layer.bias for layer in (leave.conv, leave.projection) if layer.bias is not None]
    block.leave = ProjectedLeave(convolution(weight, sum(biases[1:], biases[0])), None, None, leave.outer)
