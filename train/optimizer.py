"""The optimiser of a recipe, and its learning-rate schedule."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from osnet_edge.train.recipe import Optimizer, Schedule


def make_optimizer(model: nn.Module, how: Optimizer) -> torch.optim.Optimizer:
    """Return an optimiser over all parameters of `model`.

    Weights are those of convolutions and linear layers; norms and biases have one dimension.
    """
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": weights, "weight_decay": how.weight_decay},
        {"params": others, "weight_decay": how.weight_decay if how.decay_norms else 0.0},
    ]
    if how.name == "sgd":
        # Its fused kernel fails when the classifier has had steps and the rest has not.
        return torch.optim.SGD(groups, lr=how.learning_rate, momentum=how.momentum)
    if how.name == "amsgrad":
        return torch.optim.Adam(groups, lr=how.learning_rate, amsgrad=True, fused=True)
    return torch.optim.AdamW(groups, lr=how.learning_rate, fused=True)


def rate_factor(schedule: Schedule, epoch: float, epochs: int) -> float:
    """Return the factor on the learning rate.

    Args:
        schedule: the learning-rate schedule.
        epoch: number of epochs done, a fraction within an epoch.
        epochs: number of epochs of the whole run.

    Returns:
        From 0 to 1.

    Example:
        >>> [rate_factor(Schedule(milestones=(2,)), epoch, 4) for epoch in (0, 1.9, 2)]
        [1.0, 1.0, 0.1]
    """
    if schedule.name == "step":
        # The public schedules step between epochs, not within.
        factor = schedule.factor ** sum(milestone <= epoch for milestone in schedule.milestones)
    elif schedule.name == "cosine":
        factor = 0.5 * (1 + math.cos(math.pi * epoch / epochs))
    else:
        factor = min(1.0, 4 * (epochs - epoch) / epochs)
    if epoch < schedule.warmup_epochs:
        # Not from 0, where the first step would learn nothing.
        factor *= max(0.01, epoch / schedule.warmup_epochs)
    return factor
