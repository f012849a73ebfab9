"""Grouped streams without slices: finished streams pass through the further stages unchanged.

A slice before a convolution costs a copy, and so does the concatenation of the four streams at the end. So a
finished stream gets an identity as its Lite convolution (a second ReLU changes nothing). Then each stage maps
all four streams to all four, and gate and 1x1 read the output of the last stage directly. This costs 6 more
groups beside 10, and no rounding, since they multiply by 1 and add zeros.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from osnet_edge.export.rewrite.block import STREAMS, FoldedBlock, Lite, convolution
from osnet_edge.export.rewrite.group_streams import GroupedStreams, join


class CarriedStreams(nn.Module):
    """Four stages of four groups.

    Args:
        stages: the first maps the block's channels to four times as many, the others keep their number.
    """

    def __init__(self, stages: list[nn.Module]) -> None:
        super().__init__()
        self.stages = nn.Sequential(*stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (N, C, H, W) to one (N, 4 C, H, W)."""
        return [self.stages(x)]


def carry_streams(block: FoldedBlock) -> None:
    """Replace grouped streams by streams that are carried to the end."""
    grouped = block.streams
    assert isinstance(grouped, GroupedStreams)
    stages: list[nn.Module] = []
    for depth, stage in enumerate(grouped.stages):
        assert isinstance(stage, Lite)
        ended = [_identity(block.channels) for _ in range(depth)]
        # The streams of the stage are split off by `join` again: it groups by the list that it is given.
        stages.append(join([*ended, *_split(stage, STREAMS - depth)], depth))
    block.streams = CarriedStreams(stages)


def _identity(channels: int) -> Lite:
    pointwise = torch.eye(channels).view(channels, channels, 1, 1)
    depthwise = torch.zeros(channels, 1, 3, 3)
    depthwise[:, :, 1, 1] = 1
    return Lite(convolution(pointwise, None), convolution(depthwise, torch.zeros(channels), groups=channels))


def _split(stage: Lite, streams: int) -> list[Lite]:
    """Split a stage into the Lite convolutions from which `join` made it."""
    bias = stage.depthwise.bias
    assert bias is not None
    parts = zip(
        stage.pointwise.weight.chunk(streams),
        stage.depthwise.weight.chunk(streams),
        bias.chunk(streams),
        strict=True,
    )
    return [Lite(convolution(p, None), convolution(d, b, groups=len(d))) for p, d, b in parts]
