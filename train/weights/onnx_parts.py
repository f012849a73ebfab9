"""The parts of a network as an ONNX graph has them, and the names and batch norms that OSNet gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.placement import BlockDesign, Placement
from osnet_edge.train.osnet import STREAM_DEPTHS
from osnet_edge.train.variants import WIDTHS, Variant, variant_with
from osnet_edge.train.weights.recognise import State

Array = np.ndarray[Any, Any]
#: Of torch's norms.
EPSILON = 1e-5


@dataclass(frozen=True, eq=False)
class Affine:
    """A convolution or linear layer, and the norm behind it.

    Attributes:
        weight: as the graph has it.
        bias: of the layer; None for none.
        norm: `batch` with scale, bias, mean and variance, `instance` with scale and bias, or none.
    """

    weight: Array
    bias: Array | None
    norm: tuple[Array, ...] = ()


@dataclass(eq=False)
class Block:
    """An omni-scale block: its layers, streams by depth, and the norms inside and behind its sum."""

    conv1: Affine
    streams: list[list[tuple[Array, Affine]]]
    gate: tuple[Affine, Affine]
    conv3: Affine
    downsample: Affine | None
    inside: tuple[Array, ...]
    outside: tuple[Array, ...]

    @property
    def design(self) -> BlockDesign:
        """Where instance norm stands."""
        if self.inside:
            return "both" if self.outside else "inside"
        return "outside" if self.outside else "plain"


@dataclass(eq=False)
class Network:
    """The parts of a network, in the order in which they compute."""

    stem: Affine
    blocks: list[Block]
    reduces: list[Affine]
    conv5: Affine
    linear: Affine | None
    where: str

    def variant(self) -> Variant:
        """Return the variant that these parts are of.

        Raises:
            InputError: no variant has this width.
        """
        stem = self.stem.weight.shape[0]
        width = next((name for name, channels in WIDTHS.items() if channels[0] == stem), None)
        if width is None:
            known = ", ".join(str(channels[0]) for channels in WIDTHS.values())
            raise InputError(f"{self.where} is no OSNet: its stem has {stem} channels, expected {known}")
        one, two, three, four, five, six = (block.design for block in self.blocks)
        placement = Placement(len(self.stem.norm) == 2, (one, two, three, four, five, six))
        return variant_with(placement, width, None if self.linear is None else len(self.linear.weight))

    def state(self) -> State:
        """Return the weights under the names that the variant has."""
        variant = self.variant()
        state: dict[str, Array] = {}
        _put(state, "conv1.conv", "conv1.bn", self.stem)
        for number, block in enumerate(self.blocks):
            self._put_block(state, f"conv{2 + number // 2}.{number % 2}", block, variant.stream_list)
        for number, reduce in enumerate(self.reduces):
            name = f"pool{2 + number}.0" if variant.stream_list else f"conv{2 + number}.2.0"
            _put(state, f"{name}.conv", f"{name}.bn", reduce)
        _put(state, "conv5.conv", "conv5.bn", self.conv5)
        if self.linear is not None:
            _put(state, "fc.0", "fc.1", self.linear, linear=True)
        return {name: torch.from_numpy(np.array(value, np.float32)) for name, value in state.items()}

    def _put_block(self, state: dict[str, Array], name: str, block: Block, stream_list: bool) -> None:
        _put(state, f"{name}.conv1.conv", f"{name}.conv1.bn", block.conv1)
        for depth, layers in zip(STREAM_DEPTHS, block.streams, strict=True):
            for number, (pointwise, depthwise) in enumerate(layers):
                own = f"{name}.conv2{'abcd'[depth - 1]}" + (f".{number}" if depth > 1 else "")
                if stream_list:
                    own = f"{name}.conv2.{depth - 1}.layers.{number}"
                state[f"{own}.conv1.weight"] = pointwise
                _put(state, f"{own}.conv2", f"{own}.bn", depthwise)
        for number, layer in enumerate(block.gate, 1):
            state[f"{name}.gate.fc{number}.weight"] = layer.weight
            state[f"{name}.gate.fc{number}.bias"] = _bias(layer)
        if block.inside:
            # A bias before an instance norm is taken off by it again.
            state[f"{name}.conv3.conv.weight"] = block.conv3.weight
        else:
            _put(state, f"{name}.conv3.conv", f"{name}.conv3.bn", block.conv3)
        if block.downsample is not None:
            _put(state, f"{name}.downsample.conv", f"{name}.downsample.bn", block.downsample)
        both = block.design == "both"
        for norm, own in (
            (block.inside, "IN_in" if both else "IN"),
            (block.outside, "IN_out" if both else "IN"),
        ):
            if norm:
                state[f"{name}.{own}.weight"], state[f"{name}.{own}.bias"] = norm


def _bias(layer: Affine) -> Array:
    return np.zeros(len(layer.weight), np.float32) if layer.bias is None else layer.bias


def _put(state: dict[str, Array], conv: str, norm: str, layer: Affine, *, linear: bool = False) -> None:
    """Write a layer and its norm; a batch norm that was folded becomes one that adds the bias only."""
    state[f"{conv}.weight"] = layer.weight
    bias = _bias(layer)
    if linear:
        state[f"{conv}.bias"] = bias
        bias = np.zeros_like(bias)
    if len(layer.norm) == 2:
        state[f"{norm}.weight"], state[f"{norm}.bias"] = layer.norm
        return
    ones, zeros = np.ones_like(bias), np.zeros_like(bias)
    scale, shift, mean, variance = layer.norm or (ones, bias, zeros, ones * (1 - EPSILON))
    state[f"{norm}.weight"], state[f"{norm}.bias"] = scale, shift
    state[f"{norm}.running_mean"] = mean - bias if layer.norm else mean
    state[f"{norm}.running_var"] = variance
