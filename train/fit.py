"""A plain training loop: cross-entropy over identities, one device, from random weights or a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from osnet_edge.runtime.errors import CheckError, InputError
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.preprocessing import Preprocessing, normalize, resize
from osnet_edge.train.data.market1501 import Picture
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.variants import Variant


@dataclass(frozen=True)
class FitSettings:
    """What a training run is made of.

    Attributes:
        epochs: passes over the pictures.
        batch: pictures a step.
        learning_rate: of AdamW at its highest: a warm-up over the first tenth, then a cosine to zero.
        weight_decay: of AdamW.
        label_smoothing: share of the target spread over all identities (paper, section 5.1).
        height: rows of the pictures trained on.
        width: columns of them.
        seed: of weights, order and augmentation.
    """

    epochs: int = 20
    batch: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    height: int = 256
    width: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        if self.epochs < 1 or self.learning_rate <= 0:
            raise InputError(
                f"expected epochs and a rate above 0, got {self.epochs} and {self.learning_rate}"
            )
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
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
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


def _rate(steps: int) -> Callable[[int], float]:
    """Return the factor on the learning rate at each step: a linear warm-up, then a cosine to zero."""
    warm_up = max(1, steps // 10)

    def factor(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))

    return factor


def _load(pictures: Sequence[Picture], settings: FitSettings, rng: np.random.Generator) -> Tensor:
    how = Preprocessing(height=settings.height, width=settings.width)
    crops = [
        _augment(resize(read_picture(picture.path), how.height, how.width, how.interpolation), rng)
        for picture in pictures
    ]
    batch = torch.from_numpy(normalize(np.stack(crops), how))
    return batch.contiguous(memory_format=torch.channels_last)


def _augment(crop: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Mirror half of the pictures, and shift each by up to a sixteenth, edges repeated."""
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    height, width = crop.shape[:2]
    dy, dx = height // 16, width // 16
    padded = np.pad(crop, ((dy, dy), (dx, dx), (0, 0)), mode="edge")
    top, left = rng.integers(0, 2 * dy + 1), rng.integers(0, 2 * dx + 1)
    return padded[top : top + height, left : left + width]
