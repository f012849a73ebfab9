"""The search for a placement of instance norm: weights and shares learned together, by gradient.

Source: "Learning Generalisable Omni-Scale Representations for Person Re-Identification" (Zhou et al., TPAMI
2021), section 4.2: the choice of a block's design is relaxed to a mixture of all four, with shares drawn by
Gumbel-softmax, and the shares' weights are learned together with the network's. The searched network is
thrown away: its placement is what is kept, and is trained anew.

In the public search each design of a block is a block of its own. Here the four share the block's
convolutions, gate and batch norms, and differ in where instance norm stands, which is all that the search is
about: a step costs a half to a third of what it would (docs/SEARCH.md), and no design wins by having had more
steps than the others.
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


#: Normalised images (N, 3, H, W) and the identities (N,) that they show, counted from 0.
Batch = tuple[Tensor, Tensor]
#: That of the published recipe of OSNet-AIN.
AUGMENTATION = Augmentation(flip=0.5, brightness=0.2, contrast=0.15)


@dataclass(frozen=True)
class SearchSettings:
    """What a search is made of; the paper's numbers unless told otherwise.

    Attributes:
        epochs: passes over the images.
        batch: images a step.
        learning_rate: of SGD with momentum 0.9, falling to zero as a cosine. The paper's goes with its batch;
            smaller batches want less, or the shares follow a network that does not learn (docs/SEARCH.md).
        share_rate: the same for the shares; None takes that of the weights, as the paper does.
        weight_decay: of SGD, on the network's weights but not on its norms and the shares.
        label_smoothing: share of the target spread over all identities.
        temperature: of the Gumbel-softmax at first.
        lowest: the temperature that it falls to.
        halve_every: epochs after which it halves; 0 for a sixth of all, which is the paper's 20 of 120.
        stem: whether the stem has instance norm, which is given rather than searched.
        affine: whether norms scale and shift while searching.
        height: rows of the images.
        width: columns of them.
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
        """Refuse what cannot search."""
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
    """How an epoch of a search went.

    Attributes:
        epoch: its number from 1.
        temperature: of its Gumbel-softmax.
        loss: mean over its images.
        accuracy: share of images put to the right identity.
        probabilities: of the four designs, in the order of `DESIGNS`, for each of the six blocks at its end.
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
    """Search for a placement on images of people, of many cameras or sets as different as there are.

    Args:
        pictures: what to learn from; identities need not be consecutive.
        width: of the network that is searched; what is found may be trained at any.
        settings: how.
        machine: the device and how many processes decode; the search computes in float32 whatever it says.
        progress: called with the number of images just learned from.
        report: told of each epoch when it ends.

    Raises:
        InputError: fewer than two identities, or fewer images than a batch, or there is no such width.
        CheckError: the loss is no longer a number.
        UnavailableError: there is no such device here.
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
    """Search as `search` does, on batches from anywhere.

    Args:
        batches: called with an epoch, from 1, for its batches, all on one device.
        num_classes: how many identities they show.
        width: as for `search`, like the rest.
        settings: how; its batch, height and width are the caller's to keep.
        device: where the batches are.
        progress: called with the number of images just learned from.
        report: told of each epoch when it ends.
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
    """Take one step for weights and shares; return its loss and how many images were put right."""
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
    """Return what reads the images of an epoch, those past the last whole batch left out."""
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
