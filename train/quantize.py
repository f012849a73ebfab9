"""Quantisation-aware training: layers compute with the INT8 rounding of the later engine.

Inputs of layers and weights are rounded to INT8 steps and back. Gradients pass unchanged inside the range and
are 0 outside, the straight-through estimator (Jacob et al., "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", CVPR 2018, section 3; Bengio et al., "Estimating or Propagating
Gradients Through Stochastic Neurons", 2013).

The network is rounded as a build will round it. A build first equalises channels, chooses ranges and corrects
biases. Here the weights themselves are not changed in this way, so that the checkpoint stays an ordinary one.
Instead, the steps of channels that a build divides by factors are larger by these factors. Weights are
rounded as if multiplied by the factors, with a scale for each output channel. And the amount by which
rounding moves the mean of a layer's output is subtracted, as bias correction would do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

from osnet_edge.runtime.package.schema import to_json
from osnet_edge.train.osnet import Block, OSNet

#: Steps from 0 to the largest weight; engines want -128 left out.
LEVELS = 127
#: The least step; what is 0 on all images stays 0 in any.
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Rounding:
    """How a tensor is rounded: its channels are divided by factors, and then share one step.

    Attributes:
        factors: (C,) divisors of the channels.
        step: step size of the divided tensor.
        lowest: the smallest integer, such as -128.
        highest: the largest integer, such as 127.
        mean: (C,) channel means of the divided tensor.
        shift: (C,) change of these means by rounding.
    """

    factors: tuple[float, ...]
    step: float
    lowest: int
    highest: int
    mean: tuple[float, ...]
    shift: tuple[float, ...]


@dataclass(frozen=True)
class NetworkRounding:
    """How the tensors of a network are rounded.

    Attributes:
        read: rounding of the inputs of layers, by the layer's name; their weights are rounded too.
        written: rounding of the outputs of a `Conv` after its norm, by its name: the operands of residual
            sums.
    """

    read: Mapping[str, Rounding]
    written: Mapping[str, Rounding]

    @property
    def sha256(self) -> str:
        """SHA-256 of all its numbers."""
        return hashlib.sha256(json.dumps(to_json(self), sort_keys=True).encode()).hexdigest()


class Int8Rounding:
    """INT8 rounding added to a network until it is removed; names and shapes of the weights do not change.

    Args:
        model: the network, on its device.
        how: how its tensors are rounded.

    Example:
        >>> from osnet_edge.train.variants import variant_named
        >>> model, images = OSNet(variant_named("osnet_x0_25")).eval(), torch.randn(2, 3, 64, 32)
        >>> exact = model(images)
        >>> colours = Rounding((1.0, 1.0, 1.0), 0.03, -128, 127, (0.0,) * 3, (0.0,) * 3)
        >>> rounding = Int8Rounding(model, NetworkRounding({"conv1.conv": colours}, {}))
        >>> torch.equal(model(images), exact)
        False
        >>> rounding.remove()
        >>> torch.equal(model(images), exact)
        True
    """

    def __init__(self, model: OSNet, how: NetworkRounding) -> None:
        device = next(model.parameters()).device
        modules = dict(model.named_modules())
        self._layers = [modules[name] for name in how.read]
        self._handles: list[RemovableHandle] = []
        for name, rounding in how.read.items():
            forward = partial(_rounded_forward, modules[name], _Grid(rounding, device))
            modules[name].forward = forward
        for name, rounding in how.written.items():
            hook = partial(_round_output, _Grid(rounding, device))
            self._handles.append(modules[name].register_forward_hook(hook))
        for name, block in modules.items():
            # Where a block keeps its width, its sum and its first convolution read the same.
            if isinstance(block, Block) and not block.project and f"{name}.conv3" in how.written:
                grid = _Grid(how.read[f"{name}.conv1.conv"], device)
                self._handles.append(block.register_forward_pre_hook(partial(_round_input, grid)))

    def remove(self) -> None:
        """Let the network compute in floating point again."""
        for layer in self._layers:
            del layer.forward
        for handle in self._handles:
            handle.remove()


def round_weights(weights: Tensor, factors: Tensor | None = None) -> Tensor:
    """Round (O, I, ...) weights to integers from -127 to 127 times a step for each output channel.

    Args:
        weights: of a layer.
        factors: (I,) by which they are multiplied before rounding, and divided after it.
    """
    if factors is not None:
        factors = factors.view(1, -1, *[1] * (weights.dim() - 2))
        return round_weights(weights * factors) / factors
    steps = weights.detach().flatten(1).abs().amax(1).clamp_min(_SMALLEST) / LEVELS
    zeros = torch.zeros_like(steps, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weights, steps, zeros, 0, -LEVELS, LEVELS)


class _Grid:
    """The numbers of a `Rounding`, as tensors, and for undivided channels."""

    def __init__(self, how: Rounding, device: torch.device) -> None:
        self.factors = torch.tensor(how.factors, device=device)
        self.mean = self.factors * torch.tensor(how.mean, device=device)
        self.shift = self.factors * torch.tensor(how.shift, device=device)
        self._steps = (self.factors * how.step).clamp_min(_SMALLEST)
        self._zeros = torch.zeros_like(self._steps, dtype=torch.int32)
        self._limits = how.lowest, how.highest

    def round(self, x: Tensor) -> Tensor:
        """Round (N, C, ...) values; gradients are 1 within the range and 0 beyond."""
        rounded = torch.fake_quantize_per_channel_affine(
            x.float(), self._steps, self._zeros, 1, *self._limits
        )
        return rounded.to(x.dtype)

    def drift(self, weights: Tensor, rounded: Tensor) -> Tensor:
        """Return (O,) by how much the mean of what a layer writes moves, but for an image's border.

        It is `(W' - W) x + W' (x' - x)` for means `x`, with `'` for what is rounded, as in
        `osnet_edge.engines.quantization.correction`.
        """
        lost, kept = (
            each.flatten(2).sum(2) if each.dim() > 2 else each for each in (rounded - weights, rounded)
        )
        if lost.shape[1] < len(self.mean):
            # Depthwise: each channel is made of its own alone.
            return lost[:, 0] * self.mean + kept[:, 0] * self.shift
        return lost @ self.mean + kept @ self.shift


def _rounded_forward(layer: nn.Conv2d | nn.Linear, grid: _Grid, x: Tensor) -> Tensor:
    x = grid.round(x)
    if isinstance(layer, nn.Linear):
        rounded = round_weights(layer.weight, grid.factors)
        return F.linear(x, rounded, layer.bias) - grid.drift(layer.weight, rounded)
    # A depthwise channel has a scale to itself, which takes its factor along.
    rounded = round_weights(layer.weight, grid.factors if layer.groups == 1 else None)
    made = F.conv2d(x, rounded, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups)
    return made - grid.drift(layer.weight, rounded).view(-1, 1, 1)


def _round_output(grid: _Grid, module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> Tensor:
    return grid.round(made)


def _round_input(grid: _Grid, module: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor]:
    return (grid.round(given[0]),)
