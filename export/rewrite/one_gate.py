"""The four calls of the gate as one: its two layers become grouped convolutions with four equal groups."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osnet_edge.export.rewrite.block import STREAMS, FoldedBlock, SharedGate, convolution, join


class OneGate(nn.Module):
    """The gate on the means of all streams.

    Args:
        fc1: 1x1 convolution of the pooled map, from C channels to the hidden channels.
        fc2: 1x1 convolution back to C channels.
    """

    def __init__(self, fc1: nn.Conv2d, fc2: nn.Conv2d) -> None:
        super().__init__()
        self.fc1, self.fc2 = fourfold(fc1), fourfold(fc2)

    def forward(self, streams: list[Tensor]) -> list[Tensor]:
        """Return the weights of all channels, (N, 4 C, 1, 1)."""
        return [torch.sigmoid(self.fc2(F.relu(self.fc1(pool(streams)))))]


def pool(streams: list[Tensor]) -> Tensor:
    """Return the means of all streams' channels, (N, 4 C, 1, 1)."""
    return join([F.adaptive_avg_pool2d(stream, 1) for stream in streams])


def fourfold(layer: nn.Conv2d) -> nn.Conv2d:
    """Repeat a layer as four groups."""
    assert layer.bias is not None
    return convolution(layer.weight.repeat(STREAMS, 1, 1, 1), layer.bias.repeat(STREAMS), groups=STREAMS)


def one_gate(block: FoldedBlock) -> None:
    """Replace the published gate."""
    shared = block.gate
    assert isinstance(shared, SharedGate)
    block.gate = OneGate(shared.fc1, shared.fc2)
