"""The search for a placement of instance norm: weights and shares learned together, by gradient.

Source: "Learning Generalisable Omni-Scale Representations for Person Re-Identification" (Zhou et al., TPAMI
2021), section 4.2. The searched network is thrown away: its placement is what is kept, and is trained anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from osnet_edge.runtime.errors import CheckError, InputError
from osnet_edge.runtime.package.placement import Placement
from osnet_edge.runtime.preprocessing import Preprocessing
from osnet_edge.train.data import Picture
from osnet_edge.train.loader import TrainingLoader, to_input
from osnet_edge.train.machine import Machine
from osnet_edge.train.recipe import Augmentation, Batches
from osnet_edge.train.sampling import epoch_order
from osnet_edge.train.supernet import SuperNet

#: Normalised pictures (N, 3, H, W) and the identities (N,) that they show, counted from 0.
Batch = tuple[Tensor, Tensor]
#: That of the published recipe of OSNet-AIN.
AUGMENTATION = Augmentation(flip=0.5, brightness=0.2, contrast=0.15)


@dataclass(frozen=True)
class SearchSettings:
    """What a search is made of; the paper's numbers unless told otherwise.

    Attributes:
        epochs: passes over the pictures.
        batch: pictures a step.
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
        height: rows of the pictures.
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
        loss: mean over its pictures.
        accuracy: share of pictures put to the right identity.
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
    """Search for a placement on pictures of people, of many cameras or sets as different as there are.

    Args:
        pictures: what to learn from; identities need not be consecutive.
        width: of the network that is searched; what is found may be trained at any.
        settings: how.
        machine: the device and how many processes decode; the search computes in float32 whatever it says.
        progress: told the number of pictures just learned from.
        report: told of each epoch when it ends.

    Raises:
        InputError: fewer than two identities, or fewer pictures than a batch, or there is no such width.
        CheckError: the loss is no longer a number.
        UnavailableError: there is no such device here.
    """
    machine = (machine or Machine()).resolved()
    identities = sorted({picture.identity for picture in pictures})
    if len(identities) < 2 or len(pictures) < settings.batch:
        raise InputError(
            f"expected 2 identities and {settings.batch} pictures (a batch) or more to search on, "
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
        progress: told the number of pictures just learned from.
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
    """Take one step for weights and shares; return its loss and how many pictures were put right."""
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
    """Return what reads the pictures of an epoch, those past the last whole batch left out."""
    how = Preprocessing(height=settings.height, width=settings.width)
    loader = TrainingLoader(pictures, how, AUGMENTATION, seed=settings.seed, workers=machine.workers or 0)
    device = machine.torch_device()

    def batches(epoch: int) -> Iterator[Batch]:
        order = epoch_order(labels.tolist(), Batches(size=settings.batch), settings.seed, epoch)
        for images, chosen in zip(loader.epoch(epoch, order), order, strict=True):
            yield to_input(images, how, device), labels[chosen].to(device)

    return batches
