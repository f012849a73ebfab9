"""The sum of the gated streams folded into the 1x1 behind it: conv(a + b + c + d) = [W W W W] (a, b, c, d).

Three additions of whole feature maps become three more groups of input channels of a convolution that has too
little work to fill a GPU.
"""

from __future__ import annotations

from torch import Tensor

from osnet_edge.export.rewrite.block import STREAMS, FoldedBlock, Leave, convolution, join


class JoinedLeave(Leave):
    """The block's end with a 1x1 that reads all streams at once."""

    def combine(self, streams: list[Tensor], weights: list[Tensor]) -> Tensor:
        """Scale the streams and map them to the block's width."""
        out: Tensor = self.conv(join(streams) * join(weights))
        return out


def fold_sum(block: FoldedBlock) -> None:
    """Replace the published end."""
    leave = block.leave
    conv = convolution(leave.conv.weight.repeat(1, STREAMS, 1, 1), leave.conv.bias)
    block.leave = JoinedLeave(conv, leave.projection, leave.inner, leave.outer)
