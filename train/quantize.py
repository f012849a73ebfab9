"""INT8 while training: layers compute with the rounding that an engine will add, and learn to bear it.

What layers read, and their weights, are rounded to the steps of INT8 and back; gradients pass as if nothing
had been, but not to values beyond the range (Jacob et al., "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", CVPR 2018, section 3; Bengio et al., "Estimating or Propagating
Gradients Through Stochastic Neurons", 2013, the straight-through estimator). Rounding stands where TensorRT
wants Q/DQ pairs: symmetric, on the input of every convolution and linear layer, on both sides of a residual
sum, none between a convolution and its ReLU; weights with a scale for each output channel. Instance norms
stay float. Batch norms keep their statistics: folded into its convolution, such a norm only scales channels
that have scales of their own, so that nothing need be folded here.

Ranges are found once, in the network that a run starts from, on the same pictures each time; whoever builds
the engine finds the trained network's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

from osnet_edge.train.osnet import Block, OSNet

#: Steps from 0 to the range; -128 is for activations alone, since engines want it left out of weights.
LEVELS = 127
#: Values of a tensor that are kept of each batch, some, to find its range from.
_KEPT = 8192
#: Ranges that are tried, as shares of the largest value.
_TRIED = torch.linspace(0.05, 1, 96)
#: The least step; what is 0 on all pictures stays 0 in any.
_SMALLEST = 1e-12


def round_activations(x: Tensor, step: Tensor) -> Tensor:
    """Round values to integers from -128 to 127 times a step, a scalar; gradients are 1 within and 0 beyond.

    Example:
        >>> round_activations(torch.tensor([0.3, 99.0]), torch.tensor(0.5)).tolist()
        [0.5, 63.5]
    """
    zero = torch.zeros_like(step, dtype=torch.int32)
    return torch.fake_quantize_per_tensor_affine(x, step, zero, -LEVELS - 1, LEVELS)


def round_weights(weights: Tensor) -> Tensor:
    """Round (O, ...) weights to integers from -127 to 127 times a step of their output channel's."""
    steps = weights.detach().flatten(1).abs().amax(1).clamp_min(_SMALLEST) / LEVELS
    zeros = torch.zeros_like(steps, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weights, steps, zeros, 0, -LEVELS, LEVELS)


class Int8Rounding:
    """INT8's rounding on a network, until it is removed; the names and shapes of its weights stay.

    Args:
        model: to put it on.
        batches: (N, 3, H, W) each, pictures to find ranges on, as the network takes them.

    Example:
        >>> from osnet_edge.train.variants import variant_named
        >>> model, pictures = OSNet(variant_named("osnet_x0_25")).eval(), torch.randn(2, 3, 64, 32)
        >>> exact = model(pictures)
        >>> rounding = Int8Rounding(model, [pictures])
        >>> torch.equal(model(pictures), exact)
        False
        >>> rounding.remove()
        >>> torch.equal(model(pictures), exact)
        True
    """

    def __init__(self, model: OSNet, batches: Iterable[Tensor]) -> None:
        self._layers = [
            module
            for name, module in model.named_modules()
            if isinstance(module, nn.Conv2d | nn.Linear) and name != "classifier"
        ]
        blocks = [module for module in model.modules() if isinstance(module, Block)]
        sums = [module for block in blocks for module in _summed(block)]
        steps = _find_steps(model, self._layers, sums, batches)
        self._handles: list[RemovableHandle] = []
        for layer in self._layers:
            layer.forward = partial(_rounded_forward, layer, steps[layer])  # type: ignore[method-assign]
        for module in sums:
            self._handles.append(module.register_forward_hook(partial(_round_output, steps[module])))
        for block in blocks:
            # Its first convolution reads the same; so does the sum, where the block keeps its width.
            step = steps[block.conv1.conv]
            self._handles.append(block.register_forward_pre_hook(partial(_round_input, step)))

    def remove(self) -> None:
        """Let the network compute in floating point again."""
        for layer in self._layers:
            del layer.forward
        for handle in self._handles:
            handle.remove()


def _summed(block: Block) -> list[nn.Module]:
    """Return what writes the sides of a block's residual sum, but for those that an instance norm writes."""
    if block.design in ("inside", "both"):
        return []
    return [block.conv3, block.downsample] if block.project else [block.conv3]


def _find_steps(
    model: OSNet, layers: Sequence[nn.Module], sums: Sequence[nn.Module], batches: Iterable[Tensor]
) -> dict[nn.Module, Tensor]:
    """Return the step of what each layer reads, and of what each module in `sums` writes."""
    kept: dict[nn.Module, list[Tensor]] = {module: [] for module in (*layers, *sums)}

    def keep(module: nn.Module, values: Tensor) -> None:
        flat = values.detach().abs().flatten()
        # An odd stride meets all channels, whose numbers are even, and the largest is never missed.
        some = flat[:: (flat.numel() // _KEPT) | 1]
        kept[module].append(torch.cat([some, flat.max()[None]]))

    handles = [m.register_forward_pre_hook(lambda m, given: keep(m, given[0])) for m in layers]
    handles += [m.register_forward_hook(lambda m, given, made: keep(m, made)) for m in sums]
    training = model.training
    with torch.no_grad():
        for batch in batches:
            model.eval()(batch)
    model.train(training)
    for handle in handles:
        handle.remove()
    return {module: _mse_step(torch.cat(values)) for module, values in kept.items()}


def _mse_step(magnitudes: Tensor) -> Tensor:
    """Return the step whose mean squared error is least: Banner et al. (2019), section 3, by search."""
    tried = (_TRIED.to(magnitudes) * magnitudes.max() / LEVELS).clamp_min(_SMALLEST)
    errors = [
        ((magnitudes / step).round().clamp_max(LEVELS) * step - magnitudes).square().mean() for step in tried
    ]
    return tried[int(torch.stack(errors).argmin())]


def _rounded_forward(layer: nn.Conv2d | nn.Linear, step: Tensor, x: Tensor) -> Tensor:
    x, weight = round_activations(x, step), round_weights(layer.weight)
    if isinstance(layer, nn.Linear):
        return F.linear(x, weight, layer.bias)
    return F.conv2d(x, weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups)


def _round_output(step: Tensor, module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> Tensor:
    return round_activations(made, step)


def _round_input(step: Tensor, module: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor]:
    return (round_activations(given[0], step),)
