"""One training step: forward and backward pass of a batch, and the optimiser's step, on all devices."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.preprocessing import Preprocessing
from osnet_edge.train.data import Picture
from osnet_edge.train.loader import to_input
from osnet_edge.train.losses import objective
from osnet_edge.train.machine import Group, Machine
from osnet_edge.train.optimizer import make_optimizer
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.quantize import Int8Rounding, NetworkRounding
from osnet_edge.train.recipe import Recipe
from osnet_edge.train.sampling import Order
from osnet_edge.train.variants import variant_named


@dataclass(frozen=True)
class StepResult:
    """The result of a step, over all processes except for `own_loss`.

    Attributes:
        loss: mean over the batch.
        own_loss: mean over this process's part of the batch.
        gradient: norm of the averaged gradients; 0 with loss scaling, where steps that overflow are skipped.
        hits: number of images that were classified correctly.
        stop: whether any process was asked to stop.
    """

    loss: float
    own_loss: float
    gradient: float
    hits: int
    stop: bool


class Learner:
    """A network in training.

    Args:
        pictures: the training split.
        recipe: the training recipe.
        machine: device, precision and workers, resolved.
        group: the processes that train together.
        weights: a network to start from; its classifier is kept if it has the same number of identities.
        teacher: a network for distillation.
        rounding: if the recipe quantises, how `weights` are rounded.

    Raises:
        InputError: the weights are of another variant than the recipe's; the recipe quantises, and weights or
            rounding are missing; or all losses have a weight of 0.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        recipe: Recipe,
        machine: Machine,
        group: Group,
        *,
        weights: OSNet | None = None,
        teacher: OSNet | None = None,
        rounding: NetworkRounding | None = None,
    ) -> None:
        _check_quantized(recipe, weights, rounding)
        self._recipe, self._machine, self._group = recipe, machine, group
        self._device = machine.torch_device()
        self.preprocessing = Preprocessing(height=recipe.network.height, width=recipe.network.width)
        known = sorted({picture.identity for picture in pictures})
        numbers = {identity: number for number, identity in enumerate(known)}
        self.labels = torch.tensor([numbers[picture.identity] for picture in pictures])
        self.model = _make_model(recipe, len(known), weights)
        # torch's stubs miss this overload of `to`.
        self.model.to(device=self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if not (recipe.loss.classifier or recipe.loss.triplet or (teacher and recipe.loss.teacher)):
            raise InputError(
                "expected something to learn from, got no loss with a weight above 0; "
                "pass --teacher, or --set loss.classifier=1"
            )
        self._rounding = (
            Int8Rounding(self.model, rounding) if rounding and recipe.network.quantize == "int8" else None
        )
        if teacher and teacher.variant.embedding_size != self.model.variant.embedding_size:
            sizes = (self.model.variant.embedding_size, teacher.variant.embedding_size)
            raise InputError(
                f"expected a teacher with embeddings of {sizes[0]} numbers, as the network's, got {sizes[1]}"
            )
        self._teacher = teacher.to(self._device).eval().requires_grad_(False) if teacher else None
        self.optimizer = make_optimizer(self.model, recipe.optimizer)
        self.scaler = torch.amp.GradScaler(self._device.type, enabled=machine.precision == "fp16")
        self._network: nn.Module = self.model
        self._classifier_only: bool | None = None

    def begin_epoch(self, *, classifier_only: bool) -> None:
        """Set which parameters learn in the next epoch; the network is wrapped again only if they change."""
        # Batches say little of what statistics will be, and steps of weights were found with these.
        set_learning(self.model, classifier_only=classifier_only, fixed_statistics=self._rounding is not None)
        if classifier_only != self._classifier_only:
            network = ClassifierOnly(self.model) if classifier_only else self.model
            self._network = self._group.wrap(network)
            if self._machine.compile:
                self._network.compile()
            self._classifier_only = classifier_only

    def gradients(self, images: Tensor, chosen: Order, *, stop: bool = False) -> StepResult:
        """Compute the gradients of a batch, without a step.

        Args:
            images: uint8 (N, H, W, 3) RGB, this process's part of the batch.
            chosen: (N,) indices of these images in the training split.
            stop: whether this process was asked to stop.
        """
        parts = self._recipe.batches.accumulate
        labels = self.labels[chosen].to(self._device)
        self.optimizer.zero_grad(set_to_none=True)
        figures = torch.zeros(4, device=self._device)
        for number, (part, theirs) in enumerate(zip(images.chunk(parts), labels.chunk(parts), strict=True)):
            x = to_input(part, self.preprocessing, self._device)
            with self._averaging(last=number == parts - 1):
                with self._machine.autocast():
                    embeddings, logits = self._network(x)
                    taught = self._teacher(x) if self._teacher else None
                    loss = objective(embeddings, logits, theirs, self._recipe.loss, taught) / parts
                self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            figures[0] += loss.detach()
            figures[1] += (logits.argmax(1) == theirs).sum()
        own = figures[0].item()
        figures[2] = stop
        if not self.scaler.is_enabled():
            figures[3] = self._gradient_norm()
        total, hits, stops, gradient = self._group.total(figures).tolist()
        size = self._group.size
        return StepResult(total / size, own, gradient / size, int(hits), stops > 0)

    def step(self, rate: float) -> bool:
        """Take an optimiser step at a learning rate; return whether it was skipped.

        It is skipped if float16 gradients overflowed; the loss scale is then lowered.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        before = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return self.scaler.get_scale() < before

    def finished(self) -> OSNet:
        """Return the network in eval mode, without the parts that only training needs."""
        if self._rounding:
            self._rounding.remove()
            self._rounding = None
        return self.model.eval()

    def _gradient_norm(self) -> Tensor:
        gradients = [value.grad for value in self.model.parameters() if value.grad is not None]
        norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        return norm

    def _averaging(self, *, last: bool) -> AbstractContextManager[Any]:
        """Return a context in which processes average gradients only at the last part of a batch."""
        if isinstance(self._network, DistributedDataParallel) and not last:
            return self._network.no_sync()
        return nullcontext()


def _check_quantized(recipe: Recipe, weights: OSNet | None, rounding: NetworkRounding | None) -> None:
    """Check that weights and rounding are given for quantisation-aware training."""
    if recipe.network.quantize == "none":
        return
    if weights is None:
        recipe.require_no_weights()
    if rounding is None:
        raise InputError(
            "expected --calibration with --quantize, got none; draw a set with osnet-edge calibrate"
        )


def _make_model(recipe: Recipe, identities: int, weights: OSNet | None) -> OSNet:
    """Return the network at the start; its classifier is new if the number of identities differs."""
    torch.manual_seed(recipe.seed)
    variant = variant_named(recipe.network.arch)
    model = OSNet(variant, num_classes=identities)
    if weights is None:
        return model
    if weights.variant != variant:
        given = weights.variant.name
        raise InputError(f"expected weights of {variant.name}, got {given}; pass --arch {given}")
    known = weights.state_dict()
    if weights.num_classes != identities:
        known = {name: value for name, value in known.items() if not name.startswith("classifier.")}
    model.load_state_dict(known, strict=False)
    return model


class ClassifierOnly(nn.Module):
    """An OSNet of which only the classifier learns; the rest is in eval mode and gets no gradients."""

    def __init__(self, model: OSNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, 3, H, W) to embeddings (N, 512) and logits (N, num_classes)."""
        with torch.no_grad():
            embeddings = self.model(x)
        return embeddings, self.model.classifier(embeddings)


def set_learning(model: OSNet, *, classifier_only: bool, fixed_statistics: bool = False) -> None:
    """Set train mode and gradients for an epoch in which the whole network learns, or only the classifier.

    Args:
        model: the network.
        classifier_only: whether everything except the classifier is frozen.
        fixed_statistics: whether batch norms use their running statistics and do not update them.
    """
    model.train(not classifier_only).requires_grad_(not classifier_only)
    model.classifier.requires_grad_(True)
    if fixed_statistics:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
                module.eval()
