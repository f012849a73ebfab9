"""A plain training loop: cross-entropy over identities, one device, from random weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from osnet_edge.runtime.errors import CheckError, InputError
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.preprocessing import Preprocessing, normalize, resize
from osnet_edge.train.augment import augment
from osnet_edge.train.data.reid_set import Picture
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.variants import Variant


@dataclass(frozen=True)
class FitSettings:
    """What a training run is made of.

    Attributes:
        epochs: passes over the pictures.
        batch: pictures a step.
        learning_rate: of AdamW, after a warm-up over the first tenth and before a fall to zero at the end.
        weight_decay: of AdamW, on weights but not on norms and biases.
        label_smoothing: share of the target spread over all identities (paper, section 5.1).
        height: rows of the pictures trained on.
        width: columns of them.
        seed: of weights, order and augmentation.
    """

    epochs: int = 20
    batch: int = 32
    learning_rate: float = 2.5e-3
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    height: int = 256
    width: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        if self.epochs < 1 or not 0 < self.learning_rate < math.inf:
            raise InputError(
                f"expected epochs and a rate above 0, got {self.epochs} and {self.learning_rate}"
            )
        if not 0 <= self.seed < 2**63:
            raise InputError(f"expected a seed of 0 or more, below 2**63, got {self.seed}")
        if self.batch < 2:
            raise InputError(f"expected a batch of 2 or more, since batch norm needs it, got {self.batch}")


@dataclass(frozen=True)
class EpochReport:
    """How an epoch went: its number from 1, mean loss, and share of pictures put to the right identity."""

    epoch: int
    loss: float
    accuracy: float


def fit(
    pictures: Sequence[Picture],
    variant: Variant,
    settings: FitSettings,
    *,
    progress: Callable[[int], None] = lambda count: None,
    report: Callable[[EpochReport], None] = lambda epoch: None,
) -> OSNet:
    """Train an OSNet from random weights to tell identities apart.

    Args:
        pictures: the training split.
        variant: the network.
        settings: how.
        progress: told the number of pictures just trained on.
        report: told of each epoch when it ends.

    Returns:
        The model in eval mode.

    Raises:
        InputError: fewer than two identities, or fewer pictures than a batch.
        CheckError: the loss is no longer a number.
    """
    identities = sorted({picture.identity for picture in pictures})
    if len(identities) < 2 or len(pictures) < settings.batch:
        raise InputError(
            f"expected 2 identities and {settings.batch} pictures (a batch) or more to train on, "
            f"got {len(identities)} and {len(pictures)}"
        )
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    model = OSNet(variant, num_classes=len(identities)).train()
    # torch's stubs miss this overload of `to`.
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    labels = torch.tensor([identities.index(picture.identity) for picture in pictures])
    steps = len(pictures) // settings.batch
    optimizer = _optimizer(model, settings)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate(settings.epochs * steps))
    for epoch in range(1, settings.epochs + 1):
        order = rng.permutation(len(pictures))[: steps * settings.batch]
        losses, right = [], 0
        for chosen in np.split(order, steps):
            batch = _load([pictures[index] for index in chosen], settings, rng)
            loss, hits = _step(model, optimizer, batch, labels[chosen], settings)
            schedule.step()
            if not math.isfinite(loss):
                raise CheckError(f"the loss became {loss} in epoch {epoch}; lower the learning rate")
            losses.append(loss)
            right += hits
            progress(len(chosen))
        report(EpochReport(epoch, float(np.mean(losses)), right / len(order)))
    return model.eval()


def _step(
    model: OSNet, optimizer: torch.optim.Optimizer, batch: Tensor, labels: Tensor, settings: FitSettings
) -> tuple[float, int]:
    """Take one step; return its loss and how many pictures were put to the right identity."""
    _, logits = model(batch)
    loss = F.cross_entropy(logits, labels, label_smoothing=settings.label_smoothing)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.item(), int((logits.argmax(1) == labels).sum())


def _optimizer(model: OSNet, settings: FitSettings) -> torch.optim.Optimizer:
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups = [
        {"params": weights, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate)


def _rate(steps: int) -> Callable[[int], float]:
    """Return the factor on the learning rate at each step: up over a tenth, level, down over a quarter."""
    up, down = max(1, steps // 10), max(1, steps // 4)

    def factor(step: int) -> float:
        return min(1.0, (step + 1) / up, (steps - step) / down)

    return factor


def _load(pictures: Sequence[Picture], settings: FitSettings, rng: np.random.Generator) -> Tensor:
    how = Preprocessing(height=settings.height, width=settings.width)
    crops = [
        augment(resize(read_picture(picture.path), how.height, how.width, how.interpolation), rng)
        for picture in pictures
    ]
    batch = torch.from_numpy(normalize(np.stack(crops), how))
    return batch.contiguous(memory_format=torch.channels_last)
