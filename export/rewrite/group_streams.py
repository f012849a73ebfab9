"""Streams grouped stage by stage: their Lite convolutions at one depth become one grouped convolution.

All four streams read the same tensor, so their first Lite convolutions become one with four times the
outputs. After each stage, the output of the stream that ends there is sliced off, and the others continue. 20
convolutions become 8.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from osnet_edge.export.rewrite.block import STREAMS, FoldedBlock, Lite, SeparateStreams, convolution


class GroupedStreams(nn.Module):
    """One Lite convolution for each stage; stream k ends after stage k.

    Args:
        stages: for each depth, the Lite convolution of the streams that are at least as deep.
    """

    def __init__(self, stages: list[nn.Module]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (N, C, H, W) to four of the same shape."""
        channels, finished = x.shape[1], []
        for stage in self.stages:
            x = stage(x)
            finished.append(x[:, :channels])
            x = x[:, channels:]
        return finished


def group_streams(block: FoldedBlock) -> None:
    """Replace the published streams."""
    separate = block.streams
    assert isinstance(separate, SeparateStreams)
    streams = [[lite for lite in stream.children() if isinstance(lite, Lite)] for stream in separate.layers]
    block.streams = GroupedStreams(
        [
            join([stream[depth] for stream in streams if len(stream) > depth], depth)
            for depth in range(STREAMS)
        ]
    )


def join(lites: list[Lite], depth: int) -> Lite:
    """Join Lite convolutions into one: with a shared input at depth 0, and as groups at greater depths."""
    pointwise = torch.cat([lite.pointwise.weight for lite in lites])
    depthwise = torch.cat([lite.depthwise.weight for lite in lites])
    biases = [lite.depthwise.bias for lite in lites]
    bias = torch.cat([bias for bias in biases if bias is not None])
    return Lite(
        convolution(pointwise, None, groups=1 if depth == 0 else len(lites)),
        convolution(depthwise, bias, groups=len(depthwise)),
    )
