"""An omni-scale block in four parts; a pass replaces a part by another that computes the same.

    enter ──> streams ──> gate ──> leave
      └─────────────────────────────^  (the residual path)

`streams` computes the four streams, `gate` computes a weight for each of their channels, and `leave` scales
the streams, sums them and maps the sum to the block's width. Streams and weights are passed either as four
tensors, or as one tensor with the four concatenated along the channels: `join` and `separate` convert between
the two.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osnet_edge.train.osnet import Block, Gate, LightConv

#: Streams of a block (`osnet_edge.train.osnet.STREAM_DEPTHS`).
STREAMS = 4


def join(tensors: list[Tensor]) -> Tensor:
    """Concatenate four tensors (N, C, ...) to one (N, 4 C, ...)."""
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors, dim=1)


def separate(tensors: list[Tensor]) -> list[Tensor]:
    """Split one tensor (N, 4 C, ...) into four (N, C, ...)."""
    return list(tensors[0].chunk(STREAMS, dim=1)) if len(tensors) == 1 else tensors


class Lite(nn.Module):
    """A Lite 3x3 with its batch norm folded: 1x1, depthwise 3x3, ReLU. Several streams may be its groups.

    Args:
        pointwise: 1x1 without bias, so that zero padding of its input stays zero in its output.
        depthwise: 3x3 with padding 1, one group for each channel, with bias.
    """

    def __init__(self, pointwise: nn.Conv2d, depthwise: nn.Conv2d) -> None:
        super().__init__()
        self.pointwise, self.depthwise = pointwise, depthwise

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, D, H, W)."""
        return F.relu(self.depthwise(self.pointwise(x)))


class SeparateStreams(nn.Module):
    """The streams as published: computed one by one.

    Args:
        streams: the Lite convolutions of each stream in order.
    """

    def __init__(self, streams: list[list[Lite]]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(*layers) for layers in streams)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (N, C, H, W) to four of the same shape."""
        return [stream(x) for stream in self.layers]


class SharedGate(nn.Module):
    """The gate as published: called once for each stream (paper, eq. 2)."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.fc1, self.fc2 = gate.fc1, gate.fc2

    def forward(self, streams: list[Tensor]) -> list[Tensor]:
        """Return the weights (N, C, 1, 1), in (0, 1), of each stream (N, C, H, W)."""
        means = [F.adaptive_avg_pool2d(stream, 1) for stream in separate(streams)]
        return [torch.sigmoid(self.fc2(F.relu(self.fc1(mean)))) for mean in means]


class Leave(nn.Module):
    """The block's end as published: the gated sum, a 1x1, the residual path, instance norms and ReLU.

    Args:
        conv: 1x1 to the block's width, its batch norm folded.
        projection: 1x1 of the residual path, or None.
        inner: instance norm before the residual path is added, or None.
        outer: instance norm after it is added, or None.
    """

    def __init__(
        self,
        conv: nn.Conv2d,
        projection: nn.Conv2d | None,
        inner: nn.InstanceNorm2d | None,
        outer: nn.InstanceNorm2d | None,
    ) -> None:
        super().__init__()
        self.conv = conv
        self.projection, self.inner, self.outer = projection, inner, outer

    def forward(self, streams: list[Tensor], weights: list[Tensor], x: Tensor) -> Tensor:
        """Map streams and their weights, and the block's input (N, C, H, W), to its output (N, D, H, W)."""
        return self.finish(self.combine(streams, weights), x)

    def combine(self, streams: list[Tensor], weights: list[Tensor]) -> Tensor:
        """Scale and sum the streams, and map the sum to the block's width."""
        pairs = zip(separate(streams), separate(weights), strict=True)
        first, *others = [stream * weight for stream, weight in pairs]
        out: Tensor = self.conv(sum(others, first))
        return out

    def finish(self, y: Tensor, x: Tensor) -> Tensor:
        """Add the residual path, normalise, and apply ReLU."""
        if self.inner is not None:
            y = self.inner(y)
        y = y + (x if self.projection is None else self.projection(x))
        if self.outer is not None:
            y = self.outer(y)
        return F.relu(y)


class FoldedBlock(nn.Module):
    """A block without batch norms, in four parts.

    Args:
        block: a block of a network from `osnet_edge.export.folding.fold_batch_norms`.
    """

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.channels = block.conv1.conv.out_channels
        self.conv1 = block.conv1.conv
        self.streams: nn.Module = SeparateStreams([_lites(stream) for stream in block._streams()])
        self.gate: nn.Module = SharedGate(block.gate)
        inside, outside = block.design in ("inside", "both"), block.design in ("outside", "both")
        self.leave = Leave(
            block.conv3.conv,
            block.downsample.conv if block.project else None,
            (block.IN_in if outside else block.IN) if inside else None,
            (block.IN_out if inside else block.IN) if outside else None,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W)."""
        streams = self.streams(F.relu(self.conv1(x)))
        out: Tensor = self.leave(streams, self.gate(streams), x)
        return out


def _lites(stream: nn.Module) -> list[Lite]:
    layers = [layer for layer in stream.modules() if isinstance(layer, LightConv)]
    return [Lite(layer.conv1, layer.conv2) for layer in layers]


def convolution(weight: Tensor, bias: Tensor | None, groups: int = 1) -> nn.Conv2d:
    """Return a convolution of stride 1 that keeps height and width.

    Args:
        weight: (outputs, inputs / groups, K, K), K odd.
        bias: (outputs,) or None.
        groups: number of groups of channels.
    """
    outputs, inputs, kernel, _ = weight.shape
    made = nn.Conv2d(
        inputs * groups, outputs, kernel, padding=kernel // 2, groups=groups, bias=bias is not None
    )
    made.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        made.bias = nn.Parameter(bias.detach().clone())
    return made
