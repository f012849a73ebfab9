"""The network that is searched: OSNet with all four designs in each of its six blocks.

Source: "Learning Generalisable Omni-Scale Representations for Person Re-Identification" (Zhou et al., TPAMI
2021), section 4.2: the choice of a block's design is relaxed to a mixture of all four, with shares drawn by
Gumbel-softmax, and the shares' weights are learned together with the network's.

In the public search each design of a block is a block of its own. Here the four share the block's
convolutions, gate and batch norms, and differ in where instance norm stands, which is all that the search is
about: a step costs a half to a third of what it would (docs/SEARCH.md), and no design wins by having had more
steps than the others.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osnet_edge.runtime.package.placement import DESIGNS, Placement
from osnet_edge.train.osnet import Block, OSNet
from osnet_edge.train.variants import Variant

BLOCKS = 6
#: Keeps the logarithms of shares that fell to zero finite.
_TINY = 1e-12


class SearchBlock(Block):
    """An omni-scale block in all four designs at once, mixed by shares."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, "plain", stream_list=True)
        self.inside = nn.InstanceNorm2d(outputs, affine=True)
        self.outside = nn.ModuleList(nn.InstanceNorm2d(outputs, affine=True) for _ in range(2))

    def mix(self, x: Tensor, shares: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W), by shares (4,) in the order of `DESIGNS`."""
        identity = self.downsample(x) if self.project else x
        x = self.conv1(x)
        x = self.conv3.conv(sum(self.gate(stream(x)) for stream in self._streams()))
        plain, inside = self.conv3.bn(x) + identity, self.inside(x) + identity
        designs = (plain, inside, self.outside[0](plain), self.outside[1](inside))
        return sum((share * F.relu(out) for share, out in zip(shares, designs, strict=True)), torch.zeros(()))


class SuperNet(OSNet):
    """OSNet with a `SearchBlock` for each block, and the weights of their designs.

    Args:
        width: `x1_0`, `x0_75`, `x0_5` or `x0_25`.
        num_classes: identities to classify.
        stem: whether the stem has instance norm; it is not searched for (the paper's has it).
        affine: whether norms scale and shift; without, as in the paper, a norm cannot undo what it does.

    Attributes:
        architecture: weights (6, 4) of the designs of each block, which count as far as they are above zero.
        temperature: of the Gumbel-softmax; high, and all designs share alike; low, and one design has nearly
            all.
    """

    def __init__(self, width: str, num_classes: int, *, stem: bool = True, affine: bool = False) -> None:
        super().__init__(Variant(width, _placement(stem, [0] * BLOCKS), stream_list=True), num_classes)
        channels = self.variant.channels
        for stage, inputs, outputs in zip(
            (self.conv2, self.conv3, self.conv4), channels, channels[1:], strict=False
        ):
            stage[0], stage[1] = SearchBlock(inputs, outputs), SearchBlock(outputs, outputs)
        self._initialise()
        if not affine:
            _fix_norms(self)
        self.architecture = nn.Parameter(torch.ones(BLOCKS, len(DESIGNS)))
        self.temperature = 1.0

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Embed a batch as `OSNet` does, with other shares at every call while training."""
        shares = self.sample_shares() if self.training else self.probabilities()
        blocks = iter(zip((*self.conv2, *self.conv3, *self.conv4), shares, strict=True))
        x = self.maxpool(self.conv1(x))
        for pool in (self.pool2, self.pool3, nn.Identity()):
            for _ in range(2):
                block, share = next(blocks)
                x = block.mix(x, share)
            x = pool(x)
        return self.head(x)

    def sample_shares(self) -> Tensor:
        """Draw shares (6, 4), rows of sum 1, by Gumbel-softmax (Jang et al., ICLR 2017).

        The weights' gradient flows through them; the chance is torch's.
        """
        gumbel = -torch.log(-torch.log(torch.rand_like(self.architecture) + _TINY) + _TINY)
        logits = torch.log(F.relu(self.architecture) + _TINY) + gumbel
        return torch.softmax(logits / self.temperature, dim=1)

    def probabilities(self) -> Tensor:
        """Return how likely each design is to have the largest share, (6, 4), rows of sum 1."""
        above = F.relu(self.architecture) + _TINY
        return above / above.sum(dim=1, keepdim=True)

    def placement(self) -> Placement:
        """Return the likeliest design of each block."""
        return _placement(self.variant.placement.stem, self.probabilities().argmax(dim=1).tolist())


def _placement(stem: bool, chosen: list[int]) -> Placement:
    one, two, three, four, five, six = (DESIGNS[index] for index in chosen)
    return Placement(stem, (one, two, three, four, five, six))


def _fix_norms(model: nn.Module) -> None:
    """Take scale and shift off every norm."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.InstanceNorm2d):
            module.affine = False
            module.register_parameter("weight", None)
            module.register_parameter("bias", None)
