"""OSNet in torch, written from the paper, with the module names of the public checkpoints.

Source: "Learning Generalisable Omni-Scale Representations for Person Re-Identification" (Zhou et al., TPAMI
2021): section 3.1 the Lite 3x3 convolution, 3.2 the omni-scale block and its unified aggregation gate, 3.3
the architecture (Table 1), 4 instance normalisation.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osnet_edge.runtime.package.placement import BlockDesign
from osnet_edge.train.variants import Variant

#: Receptive fields 3, 5, 7 and 9: a block's four streams are 1 to 4 Lite convolutions deep.
STREAM_DEPTHS = (1, 2, 3, 4)
#: A block works on a quarter of its output channels; the gate on a sixteenth of those.
BOTTLENECK, GATE_REDUCTION = 4, 16


class Conv(nn.Module):
    """Convolution without bias, then a batch norm, an instance norm or none, and ReLU unless told not to."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        norm: type[nn.BatchNorm2d] | type[nn.InstanceNorm2d] | None = nn.BatchNorm2d,
        relu: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
        if norm is not None:
            self.bn = norm(outputs, affine=True)
        self.norm, self.relu = norm is not None, relu

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        x = self.conv(x)
        if self.norm:
            x = self.bn(x)
        return F.relu(x) if self.relu else x


class LightConv(nn.Module):
    """The paper's Lite 3x3: a 1x1 convolution, then a depthwise 3x3, batch norm and ReLU (section 3.1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return F.relu(self.bn(self.conv2(self.conv1(x))))


class Stream(nn.Module):
    """Lite convolutions in a row, under the name `layers` that the AIN checkpoints use."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(LightConv(channels) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        out: Tensor = self.layers(x)
        return out


class Gate(nn.Module):
    """The unified aggregation gate: channel weights from the pooled input, shared by all streams (eq. 2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // GATE_REDUCTION
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scale each channel of (N, C, H, W) by a weight in (0, 1)."""
        pooled = F.adaptive_avg_pool2d(x, 1)
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(pooled))))


class Block(nn.Module):
    """The omni-scale residual block (section 3.2), in one of its four normalisation designs (section 4)."""

    # Streams and instance norms go by the names of the public files; which exist depends on the design.
    conv2: nn.ModuleList
    conv2a: LightConv
    conv2b: nn.Sequential
    conv2c: nn.Sequential
    conv2d: nn.Sequential
    IN: nn.InstanceNorm2d
    IN_in: nn.InstanceNorm2d
    IN_out: nn.InstanceNorm2d

    def __init__(self, inputs: int, outputs: int, design: BlockDesign, *, stream_list: bool) -> None:
        super().__init__()
        middle = outputs // BOTTLENECK
        inside, outside = design in ("inside", "both"), design in ("outside", "both")
        self.conv1 = Conv(inputs, middle)
        if stream_list:
            self.conv2 = nn.ModuleList(Stream(middle, depth) for depth in STREAM_DEPTHS)
        else:
            for letter, depth in zip("abcd", STREAM_DEPTHS, strict=True):
                layers = [LightConv(middle) for _ in range(depth)]
                self.add_module(f"conv2{letter}", layers[0] if depth == 1 else nn.Sequential(*layers))
        self.gate = Gate(middle)
        self.conv3 = Conv(middle, outputs, norm=None if inside else nn.BatchNorm2d, relu=False)
        if inputs != outputs:
            self.downsample = Conv(inputs, outputs, relu=False)
        # One instance norm is called IN in public files; two need two names.
        if inside:
            self.add_module("IN_in" if outside else "IN", nn.InstanceNorm2d(outputs, affine=True))
        if outside:
            self.add_module("IN_out" if inside else "IN", nn.InstanceNorm2d(outputs, affine=True))
        self.design, self.stream_list, self.project = design, stream_list, inputs != outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W)."""
        identity = self.downsample(x) if self.project else x
        x = self.conv1(x)
        x = self.conv3(sum(self.gate(stream(x)) for stream in self._streams()))
        if self.design == "inside":
            x = self.IN(x)
        elif self.design == "both":
            x = self.IN_in(x)
        x = x + identity
        if self.design == "outside":
            x = self.IN(x)
        elif self.design == "both":
            x = self.IN_out(x)
        return F.relu(x)

    def _streams(self) -> list[nn.Module]:
        if self.stream_list:
            return list(self.conv2)
        return [self.conv2a, self.conv2b, self.conv2c, self.conv2d]


class OSNet(nn.Module):
    """OSNet: a stem, three stages of two omni-scale blocks, and an embedding, 512-d in the paper (Table 1).

    Args:
        variant: widths and placement of instance norms, see `osnet_edge.train.variants`.
        num_classes: identities to classify while training; 0 leaves the classifier out.

    Example:
        >>> from osnet_edge.train.variants import variant_named
        >>> model = OSNet(variant_named("osnet_x0_25")).eval()
        >>> model(torch.zeros(2, 3, 256, 128)).shape
        torch.Size([2, 512])
    """

    conv2: nn.Sequential
    conv3: nn.Sequential
    conv4: nn.Sequential
    pool2: nn.Sequential
    pool3: nn.Sequential

    def __init__(self, variant: Variant, num_classes: int = 0) -> None:
        super().__init__()
        self.variant = variant
        stem, *widths = variant.channels
        designs = variant.placement.blocks
        stem_norm = nn.InstanceNorm2d if variant.placement.stem else nn.BatchNorm2d
        self.conv1 = Conv(3, stem, 7, stride=2, norm=stem_norm)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        inputs = stem
        for stage, outputs in enumerate(widths):
            layers: list[nn.Module] = [
                Block(inputs, outputs, designs[2 * stage], stream_list=variant.stream_list),
                Block(outputs, outputs, designs[2 * stage + 1], stream_list=variant.stream_list),
            ]
            if stage < 2:
                reduce = nn.Sequential(Conv(outputs, outputs), nn.AvgPool2d(2, stride=2))
                if variant.stream_list:
                    self.add_module(f"pool{stage + 2}", reduce)
                else:
                    layers.append(reduce)
            self.add_module(f"conv{stage + 2}", nn.Sequential(*layers))
            inputs = outputs
        self.conv5 = Conv(inputs, inputs)
        size = variant.embedding_size
        # Empty where the pooled features are the embedding.
        self.fc = nn.Sequential()
        if variant.linear is not None:
            self.fc = nn.Sequential(nn.Linear(inputs, size), nn.BatchNorm1d(size), nn.ReLU(inplace=True))
        if num_classes:
            self.classifier = nn.Linear(size, num_classes)
        self.num_classes = num_classes
        self._initialise()

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Embed a batch of normalised images.

        Args:
            x: (N, 3, H, W) float, RGB, ImageNet-normalised; H and W of at least 32 pixels.

        Returns:
            In eval mode the embeddings (N, variant.embedding_size). In training mode, with a classifier,
            embeddings and logits (N, num_classes).
        """
        x = self.maxpool(self.conv1(x))
        x = self.conv2(x)
        x = self.conv3(self.pool2(x) if self.variant.stream_list else x)
        x = self.conv4(self.pool3(x) if self.variant.stream_list else x)
        return self.head(x)

    def head(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Turn the last stage's output (N, C, H, W) into what `forward` returns."""
        x = F.adaptive_avg_pool2d(self.conv5(x), 1).flatten(1)
        embeddings: Tensor = self.fc(x)
        if self.training and self.num_classes:
            return embeddings, self.classifier(embeddings)
        return embeddings

    def _initialise(self) -> None:
        """He initialisation for convolutions, small normal weights for linear layers."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
