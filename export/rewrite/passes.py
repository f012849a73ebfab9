"""The passes by name, in the order in which they are applied, and the pass that each requires."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from osnet_edge.export.rewrite.block import FoldedBlock
from osnet_edge.export.rewrite.carry_streams import carry_streams
from osnet_edge.export.rewrite.dense_lite import dense_lite
from osnet_edge.export.rewrite.fold_projection import fold_projection
from osnet_edge.export.rewrite.fold_sum import fold_sum
from osnet_edge.export.rewrite.group_streams import group_streams
from osnet_edge.export.rewrite.one_gate import one_gate
from osnet_edge.export.rewrite.unroll_gate import unroll_gate
from osnet_edge.runtime.errors import InputError
from osnet_edge.train.osnet import Block, OSNet


@dataclass(frozen=True)
class Pass:
    """One rewrite of a block.

    Attributes:
        name: its name in `--rewrite`.
        apply: replaces a part of a block by one that computes the same.
        needs: the pass that must come before it; empty for none.
    """

    name: str
    apply: Callable[[FoldedBlock], None]
    needs: str = ""


PASSES = (
    Pass("streams", group_streams),
    Pass("carry", carry_streams, "streams"),
    Pass("dense", dense_lite),
    Pass("gate", one_gate),
    Pass("unroll", unroll_gate, "gate"),
    Pass("sum", fold_sum),
    Pass("projection", fold_projection, "sum"),
)
NAMES = tuple(item.name for item in PASSES)


def parse_rewrite(text: str) -> tuple[str, ...]:
    """Parse the value of `--rewrite`.

    Args:
        text: `none`, `auto` (all passes, the fastest choice on GPUs), or names of `PASSES`, separated by
            commas, in any order.

    Returns:
        The passes' names in the order in which they are applied.

    Raises:
        InputError: a pass is unknown, or the pass that another one requires is missing.

    Example:
        >>> parse_rewrite("dense,streams")
        ('streams', 'dense')
    """
    if text in ("none", "auto"):
        return NAMES if text == "auto" else ()
    asked = {name.strip() for name in text.split(",")}
    unknown = sorted(asked - set(NAMES))
    if unknown:
        raise InputError(f"expected none, auto or some of {', '.join(NAMES)}, got {', '.join(unknown)!r}")
    for item in PASSES:
        if item.name in asked and item.needs and item.needs not in asked:
            raise InputError(f"the pass {item.name} needs the pass {item.needs} before it; add {item.needs}")
    return tuple(name for name in NAMES if name in asked)


def rewrite(model: OSNet, passes: Iterable[str]) -> OSNet:
    """Return a network with other operations that computes the same up to rounding, in eval mode.

    Args:
        model: a network from `osnet_edge.export.folding.fold_batch_norms`; it is not changed.
        passes: names as `parse_rewrite` returns them; without any, the network is returned as it is.
    """
    chosen = tuple(passes)
    rewritten = copy.deepcopy(model)
    if not chosen:
        return rewritten
    for stage in (rewritten.conv2, rewritten.conv3, rewritten.conv4):
        for index, layer in enumerate(stage):
            if isinstance(layer, Block):
                block = FoldedBlock(layer)
                for item in PASSES:
                    if item.name in chosen:
                        item.apply(block)
                stage[index] = block
    return rewritten.eval()
