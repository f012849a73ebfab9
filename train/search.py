"""Differentiable search for the placement of instance norm: weights and shares of designs learn together.

Source: "Learning Generalisable Omni-Scale Representations for Person Re-Identification" (Zhou et al., TPAMI
2021), section 4.2: the choice of a block's design is relaxed to a mixture of all four, with shares sampled by
Gumbel-softmax, and the architecture parameters are learned together with the network's weights. Only the
placement found is kept; a network with it is then trained from the start.

In the public search, each design of a block has weights of its own. Here the four designs share the block's
convolutions, gate and batch norms, and differ only in the position of instance norm, which is what the search
is about. So a step costs a half to a third (docs/SEARCH.md), and no design wins by having had more steps than
the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osnet_edge.runtime.errors import CheckError, InputError
from osnet_edge.runtime.package.placement import DESIGNS, Placement
from osnet_edge.runtime.preprocessing import Preprocessing
from osnet_edge.train.data import Picture
from osnet_edge.train.loader import TrainingLoader, to_input
from osnet_edge.train.machine import Machine
from osnet_edge.train.osnet import Block, OSNet
from osnet_edge.train.recipe import Augmentation, Batches
from osnet_edge.train.sampling import epoch_order
from osnet_edge.train.variants import Variant

BLOCKS = 6
#: Keeps the logarithms of shares that fell to zero finite.
_TINY = 1e-12


class SearchBlock(Block):
    """An omni-scale block with all four designs, mixed by shares."""

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
        affine: whether norms have scale and shift; without them, as in the paper, a norm cannot undo its
            effect.

    Attributes:
        architecture: (6, 4) architecture parameters of the designs of each block; negative ones count as
            zero.
        temperature: of the Gumbel-softmax; if it is high, all designs have similar shares; if it is low, one
            design has nearly all.
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
        """Embed a batch as `OSNet` does; in training mode, each call samples new shares."""
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
        """Sample shares (6, 4), whose rows sum to 1, by Gumbel-softmax (Jang et al., ICLR 2017).

        They are differentiable by the architecture parameters, and use torch's random generator.
        """
        gumbel = -torch.log(-torch.log(torch.rand_like(self.architecture) + _TINY) + _TINY)
        logits = torch.log(F.relu(self.architecture) + _TINY) + gumbel
        return torch.softmax(logits / self.temperature, dim=1)

    def probabilities(self) -> Tensor:
        """Return the probability that each design has the largest share, (6, 4); rows sum to 1."""
        above = F.relu(self.architecture) + _TINY
        return above / above.sum(dim=1, keepdim=True)

    def placement(self) -> Placement:
        """Return the most probable design of each block."""
        return _placement(self.variant.placement.stem, self.probabilities().argmax(dim=1).tolist())


def _placement(stem: bool, chosen: list[int]) -> Placement:
    one, two, three, four, five, six = (DESIGNS[index] for index in chosen)
    return Placement(stem, (one, two, three, four, five, six))


def _fix_norms(model: nn.Module) -> None:
    """Remove scale and shift from every norm."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.InstanceNorm2d):
            module.affine = False
            module.register_parameter("weight", None)
            module.register_parameter("bias", None)


#: Normalised images (N, 3, H, W) and the identities (N,) that they show, counted from 0.
Batch = tuple[Tensor, Tensor]
#: That of the published recipe of OSNet-AIN.
AUGMENTATION = Augmentation(flip=0.5, brightness=0.2, contrast=0.15)


@dataclass(frozen=True)
class SearchSettings:
    """Settings of a search; the defaults are the paper's.

    Attributes:
        epochs: passes over the images.
        batch: batch size.
        learning_rate: of SGD with momentum 0.9, with cosine annealing to 0. The paper's rate belongs to its
            batch size; smaller batches need a lower rate, or the shares follow a network that does not learn
            (docs/SEARCH.md).
        share_rate: learning rate of the architecture parameters; None for `learning_rate`, as in the paper.
        weight_decay: of the network's weights, but not of its norms and the architecture parameters.
        label_smoothing: share of the target that is spread over all identities.
        temperature: initial temperature of the Gumbel-softmax.
        lowest: final temperature.
        halve_every: number of epochs after which the temperature is halved; 0 for a sixth of all epochs, as
            the paper's 20 of 120.
        stem: whether the stem has instance norm, which is set and not searched for.
        affine: whether norms have scale and shift during the search.
        height: rows of the images, in pixels.
        width: columns of the images, in pixels.
        seed: of weights, shares, order and augmentation.
    """

    epochs: int = 120
    batch: int = 512
    learning_rate: float = 0.1
    share_rate: float | None = None
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    temperature: float = 10.0
    lowest: float = 1.0
    halve_every: int = 0
    stem: bool = True
    affine: bool = False
    height: int = 256
    width: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        if self.epochs < 1 or not 0 < self.learning_rate < math.inf:
            raise InputError(
                f"expected epochs and a rate above 0, got {self.epochs} and {self.learning_rate}"
            )
        if self.share_rate is not None and not 0 < self.share_rate < math.inf:
            raise InputError(f"expected a rate above 0 for the shares, got {self.share_rate}")
        if not 0 < self.lowest <= self.temperature < math.inf:
            raise InputError(
                "expected temperatures above 0, the lowest no higher than the first, "
                f"got {self.temperature} and {self.lowest}"
            )
        if self.halve_every < 0:
            raise InputError(f"expected halvings 1 epoch apart or more, or 0, got {self.halve_every}")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"expected a seed of 0 or more, below 2**63, got {self.seed}")
        if self.batch < 2:
            raise InputError(f"expected a batch of 2 or more, since batch norm needs it, got {self.batch}")

    def temperature_at(self, epoch: int) -> float:
        """Return the temperature in an epoch, counted from 1.

        Example:
            >>> [SearchSettings().temperature_at(epoch) for epoch in (1, 20, 21, 41, 61, 81, 120)]
            [10.0, 10.0, 5.0, 2.5, 1.25, 1.0, 1.0]
        """
        done = epoch - 1
        halvings = done // self.halve_every if self.halve_every else 6 * done // self.epochs
        return max(self.lowest, self.temperature * 0.5**halvings)


@dataclass(frozen=True)
class SearchEpoch:
    """The figures of an epoch of a search.

    Attributes:
        epoch: its number, from 1.
        temperature: of the Gumbel-softmax.
        loss: mean loss of its images.
        accuracy: share of images that were classified correctly, in [0, 1].
        probabilities: at its end, of the four designs in the order of `DESIGNS`, for each of the six blocks.
    """

    epoch: int
    temperature: float
    loss: float
    accuracy: float
    probabilities: tuple[tuple[float, ...], ...]


def search(
    pictures: Sequence[Picture],
    width: str,
    settings: SearchSettings,
    *,
    machine: Machine | None = None,
    progress: Callable[[int], None] = lambda count: None,
    report: Callable[[SearchEpoch], None] = lambda epoch: None,
) -> Placement:
    """Search for a placement on images of people, from cameras or sets that differ as much as possible.

    Args:
        pictures: the training images; identities need not be consecutive.
        width: of the network that is searched; the placement found may be trained at any width.
        settings: settings of the search.
        machine: device and workers; the search always computes in float32.
        progress: called with the number of images just trained on.
        report: called with the figures of each epoch.

    Raises:
        InputError: there are fewer than two identities or fewer images than a batch, or the width is unknown.
        CheckError: the loss became NaN or infinite.
        UnavailableError: this machine lacks the device.
    """
    machine = (machine or Machine()).resolved()
    identities = sorted({picture.identity for picture in pictures})
    if len(identities) < 2 or len(pictures) < settings.batch:
        raise InputError(
            f"expected 2 identities and {settings.batch} images (a batch) or more to search on, "
            f"got {len(identities)} and {len(pictures)}; ask for a smaller batch"
        )
    number = {identity: index for index, identity in enumerate(identities)}
    labels = torch.tensor([number[picture.identity] for picture in pictures])
    batches = _batches(pictures, labels, settings, machine)
    return search_batches(
        batches,
        len(identities),
        width,
        settings,
        device=machine.torch_device(),
        progress=progress,
        report=report,
    )


def search_batches(
    batches: Callable[[int], Iterable[Batch]],
    num_classes: int,
    width: str,
    settings: SearchSettings,
    *,
    device: torch.device | str = "cpu",
    progress: Callable[[int], None] = lambda count: None,
    report: Callable[[SearchEpoch], None] = lambda epoch: None,
) -> Placement:
    """Search as `search` does, on batches of the caller.

    Args:
        batches: called with the number of an epoch, from 1; returns its batches, all on one device.
        num_classes: number of identities.
        width: as for `search`.
        settings: as for `search`; the caller sees to batch size, height and width.
        device: device of the batches.
        progress: as for `search`.
        report: as for `search`.
    """
    torch.manual_seed(settings.seed)
    model = SuperNet(width, num_classes, stem=settings.stem, affine=settings.affine).train()
    # torch's stubs miss this overload of `to`.
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = _optimizer(model, settings)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs)
    for epoch in range(1, settings.epochs + 1):
        model.temperature = settings.temperature_at(epoch)
        loss, right, seen = 0.0, 0, 0
        for images, labels in batches(epoch):
            now, hits = _step(model, optimizer, images, labels, settings)
            if not math.isfinite(now):
                raise CheckError(f"the loss became {now} in epoch {epoch}; lower the learning rate")
            loss, right, seen = loss + now * len(labels), right + hits, seen + len(labels)
            progress(len(labels))
        schedule.step()
        shares = tuple(tuple(row) for row in model.probabilities().tolist())
        report(SearchEpoch(epoch, model.temperature, loss / seen, right / seen, shares))
    return model.placement()


def _step(
    model: SuperNet,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    settings: SearchSettings,
) -> tuple[float, int]:
    """Take one step of weights and architecture parameters; return loss and number of correct images."""
    _, logits = model(images)
    loss = F.cross_entropy(logits, labels, label_smoothing=settings.label_smoothing)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.item(), int((logits.argmax(1) == labels).sum())


def _optimizer(model: SuperNet, settings: SearchSettings) -> torch.optim.Optimizer:
    weights = [parameter for parameter in model.parameters() if parameter is not model.architecture]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in weights if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in weights if p.ndim <= 1]},
        {"params": [model.architecture], "lr": settings.share_rate or settings.learning_rate},
    ]
    return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=0.9)


def _batches(
    pictures: Sequence[Picture], labels: Tensor, settings: SearchSettings, machine: Machine
) -> Callable[[int], Iterator[Batch]]:
    """Return a function that reads the batches of an epoch; an incomplete last batch is left out."""
    preprocessing = Preprocessing(height=settings.height, width=settings.width)
    loader = TrainingLoader(
        pictures, preprocessing, AUGMENTATION, seed=settings.seed, workers=machine.workers or 0
    )
    device = machine.torch_device()

    def batches(epoch: int) -> Iterator[Batch]:
        order = epoch_order(labels.tolist(), Batches(size=settings.batch), settings.seed, epoch)
        for images, chosen in zip(loader.epoch(epoch, order), order, strict=True):
            yield to_input(images, preprocessing, device), labels[chosen].to(device)

    return batches
