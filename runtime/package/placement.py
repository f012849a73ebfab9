"""Where instance norm stands in an OSNet: one value that files, checkpoints and manifests carry.

Source: "Learning Generalisable Omni-Scale Representations for Person Re-Identification" (Zhou et al., TPAMI
2021), section 4: each of the six blocks has one of four designs, which makes 4^6 networks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from osnet_edge.runtime.errors import InputError

#: The four designs of a block (paper, Fig. 5): no instance norm, one inside the residual branch in place of
#: the last batch norm, one outside after the addition, or both.
BlockDesign = Literal["plain", "inside", "outside", "both"]
DESIGNS: tuple[BlockDesign, ...] = get_args(BlockDesign)

_BY_LETTER: dict[str, BlockDesign] = {design[0]: design for design in DESIGNS}


@dataclass(frozen=True)
class Placement:
    """Where instance norm stands: in the stem or not, and the design of each of the six blocks."""

    stem: bool
    blocks: tuple[BlockDesign, BlockDesign, BlockDesign, BlockDesign, BlockDesign, BlockDesign]

    @property
    def code(self) -> str:
        """Seven letters: `s` or `n` for a stem with or without, then the first letter of each design.

        Example:
            >>> Placement(True, ("inside", "inside", "plain", "inside", "inside", "plain")).code
            'siipiip'
        """
        return ("s" if self.stem else "n") + "".join(design[0] for design in self.blocks)

    def __str__(self) -> str:
        return f"{self.code} ({'instance norm in the stem' if self.stem else 'none in the stem'}; " + (
            f"blocks {', '.join(self.blocks)})"
        )


def placement_of(code: str) -> Placement:
    """Return the placement that a code names.

    Example:
        >>> placement_of("siipiip").blocks[2]
        'plain'

    Raises:
        InputError: it is no such code.
    """
    if not re.fullmatch("[sn][piob]{6}", code):
        raise InputError(
            "expected a placement code of s or n for the stem and p, i, o or b for each of six blocks, "
            f"such as siipiip; got {code!r}"
        )
    one, two, three, four, five, six = (_BY_LETTER[letter] for letter in code[1:])
    return Placement(code[0] == "s", (one, two, three, four, five, six))


def require_placement(expected: Placement | None, found: Placement | None, where: str) -> None:
    """Hold a network to the placement that its user expects; None expects nothing.

    Args:
        expected: what the user's placement file says, if there is one.
        found: what the network has, or None where it does not say.
        where: how the user knows the network, such as its file's name.

    Raises:
        InputError: they are not the same.
    """
    if expected not in (None, found):
        raise InputError(
            f"expected {where} to have the placement {expected}, got {found or 'one that is not named'}; "
            "give the placement file that it was trained with, or none"
        )
