"""The optimiser that a recipe asks for."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from osnet_edge.train.recipe import Optimizer


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
