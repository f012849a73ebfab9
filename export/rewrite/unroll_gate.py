"""The gate's second layer written out as a sum over its few hidden channels.

A matrix product is one kernel, and sigmoid and scaling are another. A sum of 1 to 8 products is elementwise,
as they are, and compiles into one kernel with both.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osnet_edge.export.rewrite.block import STREAMS, FoldedBlock
from osnet_edge.export.rewrite.one_gate import OneGate, pool


class UnrolledGate(nn.Module):
    """`OneGate` with its second layer as products and sums.

    Args:
        gate: what it replaces.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, gate: OneGate) -> None:
        super().__init__()
        self.fc1, self.hidden = gate.fc1, gate.fc2.in_channels // STREAMS
        assert gate.fc2.bias is not None
        # The four groups are equal: one's weights, (hidden, C), and bias.
        channels = gate.fc2.out_channels // STREAMS
        self.register_buffer("weight", gate.fc2.weight[:channels, :, 0, 0].t().clone())
        self.register_buffer("bias", gate.fc2.bias[:channels].clone())

    def forward(self, streams: list[Tensor]) -> list[Tensor]:
        """Return the weights of all channels, (N, 4 C, 1, 1)."""
        hidden = F.relu(self.fc1(pool(streams))).reshape(-1, STREAMS, self.hidden)
        total = self.bias
        for index in range(self.hidden):
            total = total + hidden[:, :, index : index + 1] * self.weight[index]
        return [torch.sigmoid(total).reshape(-1, STREAMS * len(self.bias), 1, 1)]


def unroll_gate(block: FoldedBlock) -> None:
    """Replace the joined gate."""
    gate = block.gate
    assert isinstance(gate, OneGate)
    block.gate = UnrolledGate(gate)
