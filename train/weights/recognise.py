"""Recognises the variant of a state dict: by names the placement of instance norms, by shapes the width."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.placement import BlockDesign, Placement
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.variants import EMBEDDING_SIZE, WIDTHS, Variant

State = dict[str, Tensor]
_STEM = "conv1.conv.weight"


def recognise(state: State, where: str) -> Variant:
    """Return the variant of a state dict.

    Args:
        state: tensors under OSNet's own names; a classifier does not matter.
        where: the file, and the place in it, for the message.

    Raises:
        InputError: it fits no variant; the message names the nearest one and the first difference.
    """
    base = Variant("x1_0", _placement(state), any(".layers." in name for name in state), _linear(state))
    variants = [replace(base, width=width) for width in WIDTHS]
    stem = state.get(_STEM, torch.empty(0))
    differences: dict[Variant, list[str]] = {}
    # The width that the stem tells first: listing a network's shapes takes a tenth of a second.
    for variant in sorted(variants, key=lambda variant: variant.channels[0] not in stem.shape[:1]):
        differences[variant] = _differences(state, expected_shapes(variant))
        if not differences[variant]:
            return variant
    # Of widths that none fits, the one with the stem's own or the nearest number of channels.
    channels = stem.shape[0] if stem.ndim else 0
    nearest = min(variants, key=lambda each: (len(differences[each]), abs(each.channels[0] - channels)))
    raise InputError(
        f"{where} fits no OSNet variant; nearest is {nearest.name}, but {_shown(differences[nearest])}"
    )


def expected_shapes(variant: Variant) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of a variant's state dict, without a classifier and without counters."""
    with torch.device("meta"):
        state = OSNet(variant).state_dict()
    return {name: tuple(value.shape) for name, value in state.items() if not is_counter(name)}


def is_counter(name: str) -> bool:
    """Return whether a name is a batch norm's counter of batches, which inference never reads."""
    return name.endswith("num_batches_tracked")


def _linear(state: State) -> int | None:
    """Read what the last linear layer maps to; the usual size where too little of it is there to tell."""
    if not any(name.startswith("fc.") for name in state):
        return None
    for name, dimensions in (("fc.0.weight", 2), ("fc.0.bias", 1)):
        if name in state and state[name].ndim == dimensions:
            return state[name].shape[0] or None
    return EMBEDDING_SIZE


def _placement(state: State) -> Placement:
    """Read where instance norm stands from which norms a state dict has."""
    modules = {name.rpartition(".")[0] for name in state}

    def design(block: str) -> BlockDesign:
        if {f"{block}.IN_in", f"{block}.IN_out"} & modules:
            return "both"
        if f"{block}.IN" not in modules:
            return "plain"
        # Inside the residual branch it takes the place of the batch norm.
        return "outside" if f"{block}.conv3.bn" in modules else "inside"

    one, two, three, four, five, six = (design(f"conv{stage}.{k}") for stage in (2, 3, 4) for k in (0, 1))
    # Instance norm has a weight, but keeps no statistics.
    stem = "conv1.bn" in modules and not {"conv1.bn.running_mean", "conv1.bn.running_var"} & state.keys()
    return Placement(stem, (one, two, three, four, five, six))


def _differences(state: State, expected: dict[str, tuple[int, ...]]) -> list[str]:
    """List where a state dict differs from a variant: of another shape, missing, unknown."""
    found = {
        name: tuple(value.shape)
        for name, value in state.items()
        if not is_counter(name) and not name.startswith("classifier.")
    }
    other = [
        f"{name} is {found[name]}, expected {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    missing = [f"{name} is missing" for name in expected if name not in found]
    unknown = [f"{name} is unknown" for name in found if name not in expected]
    return other + missing + unknown


def _shown(differences: list[str]) -> str:
    """Name the first differences. How many more there are tells nothing about what to do."""
    return "; ".join(differences[:3]) + ("; and others" if len(differences) > 3 else "")
