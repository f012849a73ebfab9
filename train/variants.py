"""The OSNet family as data: widths, and where instance normalisation sits.

Sources: "Learning Generalisable Omni-Scale Representations for Person Re-Identification" (Zhou et al., TPAMI
2021), section 3 for OSNet and its widths, section 4 for the four block designs and OSNet-AIN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from osnet_edge.runtime.errors import InputError

#: The four designs of a block (paper, Fig. 5): no instance norm, one inside the residual branch in place of
#: the last batch norm, one outside after the addition, or both.
BlockDesign = Literal["plain", "inside", "outside", "both"]

EMBEDDING_SIZE = 512


@dataclass(frozen=True)
class Placement:
    """Where instance norm stands: in the stem or not, and the design of each of the six blocks."""

    stem: bool
    blocks: tuple[BlockDesign, BlockDesign, BlockDesign, BlockDesign, BlockDesign, BlockDesign]


@dataclass(frozen=True)
class Variant:
    """One public network.

    Attributes:
        name: the name that public checkpoints go by.
        channels: channels of the stem and of the three stages.
        placement: where instance norm stands.
        stream_list: whether state-dict names are those of the AIN files (`conv2.0.conv2.3.layers.1`,
            `pool2.0`) rather than those of the first OSNet files (`conv2.0.conv2d.1`, `conv2.2.0`).
    """

    name: str
    channels: tuple[int, int, int, int]
    placement: Placement
    stream_list: bool


_WIDTHS: dict[str, tuple[int, int, int, int]] = {
    "x1_0": (64, 256, 384, 512),
    "x0_75": (48, 192, 288, 384),
    "x0_5": (32, 128, 192, 256),
    "x0_25": (16, 64, 96, 128),
}
PLAIN = Placement(stem=False, blocks=("plain",) * 6)
IBN = Placement(stem=True, blocks=("outside", "outside", "plain", "plain", "plain", "plain"))
AIN = Placement(stem=True, blocks=("inside", "inside", "plain", "inside", "inside", "plain"))

VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        *(Variant(f"osnet_{width}", channels, PLAIN, False) for width, channels in _WIDTHS.items()),
        Variant("osnet_ibn_x1_0", _WIDTHS["x1_0"], IBN, False),
        *(Variant(f"osnet_ain_{width}", channels, AIN, True) for width, channels in _WIDTHS.items()),
    )
}


def variant_named(name: str) -> Variant:
    """Return the variant called `name`.

    Raises:
        InputError: there is none of that name.
    """
    if name not in VARIANTS:
        raise InputError(f"expected an OSNet variant, got {name!r}; choose one of {', '.join(VARIANTS)}")
    return VARIANTS[name]
