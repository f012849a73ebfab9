"""The OSNet family as data: widths, where instance normalisation sits, and files that say so.

Sources: "Learning Generalisable Omni-Scale Representations for Person Re-Identification" (Zhou et al., TPAMI
2021), section 3 for OSNet and its widths, section 4 for the four block designs and OSNet-AIN.

Example of a placement file, the outcome of a search; it is OSNet-AIN's:
    {"format": "osnet-edge placement", "version": 1, "stem": true,
     "blocks": ["inside", "inside", "plain", "inside", "inside", "plain"], "found": {}}
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import write_json
from osnet_edge.runtime.package.placement import Placement, placement_of
from osnet_edge.runtime.package.schema import from_json, parse_json, to_json

EMBEDDING_SIZE = 512

#: Channels of the stem and of the three stages.
WIDTHS: dict[str, tuple[int, int, int, int]] = {
    "x1_0": (64, 256, 384, 512),
    "x0_75": (48, 192, 288, 384),
    "x0_5": (32, 128, 192, 256),
    "x0_25": (16, 64, 96, 128),
}
PLAIN = placement_of("npppppp")
IBN = placement_of("soopppp")
AIN = placement_of("siipiip")

#: Placements that people know by a name; any other goes by its code.
_NAMES = {PLAIN: "osnet", IBN: "osnet_ibn", AIN: "osnet_ain"}


@dataclass(frozen=True)
class Variant:
    """One network of the family.

    Attributes:
        width: a key of `WIDTHS`.
        placement: where instance norm stands.
        stream_list: whether state-dict names are those of the AIN files (`conv2.0.conv2.3.layers.1`,
            `pool2.0`) rather than those of the first OSNet files (`conv2.0.conv2d.1`, `conv2.2.0`).
    """

    width: str
    placement: Placement
    stream_list: bool

    def __post_init__(self) -> None:
        """Refuse a width that there is not."""
        if self.width not in WIDTHS:
            raise InputError(f"expected a width of {', '.join(WIDTHS)}, got {self.width!r}")

    @property
    def name(self) -> str:
        """The name that public checkpoints go by, or `osnet_CODE_WIDTH` of a placement without one."""
        return f"{_NAMES.get(self.placement, f'osnet_{self.placement.code}')}_{self.width}"

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Channels of the stem and of the three stages."""
        return WIDTHS[self.width]


def variant_with(placement: Placement, width: str) -> Variant:
    """Return the network of a placement and a width, under the names of public files where there are any.

    Args:
        placement: any of them.
        width: `x1_0`, `x0_75`, `x0_5` or `x0_25`.

    Example:
        >>> variant_with(AIN, "x0_5").name, variant_with(placement_of("sbippop"), "x0_25").name
        ('osnet_ain_x0_5', 'osnet_sbippop_x0_25')

    Raises:
        InputError: there is no such width.
    """
    return Variant(width, placement, stream_list=placement not in (PLAIN, IBN))


#: The nine networks with public checkpoints.
VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        *(variant_with(PLAIN, width) for width in WIDTHS),
        variant_with(IBN, "x1_0"),
        *(variant_with(AIN, width) for width in WIDTHS),
    )
}


def variant_named(name: str) -> Variant:
    """Return the variant called `name`: a public one, or `osnet_CODE_WIDTH` with the code of a placement.

    Example:
        >>> variant_named("osnet_siipiip_x0_25").name
        'osnet_ain_x0_25'

    Raises:
        InputError: there is none of that name.
    """
    known = {known: placement for placement, known in _NAMES.items()}
    match = re.fullmatch(rf"(osnet(?:_[a-z]+)?)_({'|'.join(WIDTHS)})", name)
    if match and match[1] in known:
        return variant_with(known[match[1]], match[2])
    if match and re.fullmatch("osnet_[sn][piob]{6}", match[1]):
        return variant_with(placement_of(match[1].removeprefix("osnet_")), match[2])
    raise InputError(
        f"expected an OSNet variant, got {name!r}; choose one of {', '.join(VARIANTS)}, or osnet_CODE_WIDTH "
        "with the code of a placement, such as osnet_sbippop_x0_5"
    )


_FORMAT, _VERSION = "osnet-edge placement", 1
#: The published placements, as such files.
PUBLISHED = Path(__file__).parent / "placements"


@dataclass(frozen=True)
class PlacementFile(Placement):
    """A placement as it is written, with how it was found, for people to read: nothing depends on that."""

    format: str
    version: int
    found: dict[str, Any] = field(default_factory=dict)


def read_placement(path: Path | str) -> Placement:
    """Read a placement file.

    Raises:
        InputError: it is missing, damaged, of another format or version, or names no design of a block.
    """
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise InputError(f"expected a placement file, found {found} at {path}; osnet-edge search writes one")
    document = parse_json(path.read_bytes(), str(path), "expected a placement file")
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise InputError(f"{path} is no placement file; expected an object with 'format': '{_FORMAT}'")
    if document.get("version") != _VERSION:
        raise InputError(
            f"{path}: expected version {_VERSION}, got {document.get('version')!r}; "
            "install the osnet-edge that wrote it"
        )
    read = from_json(PlacementFile, document, str(path))
    return Placement(read.stem, read.blocks)


def write_placement(path: Path | str, placement: Placement, found: dict[str, Any] | None = None) -> None:
    """Write a placement file, whole or not at all.

    Args:
        path: the file.
        placement: what it names.
        found: how it was found, as JSON values by name.
    """
    document = {"format": _FORMAT, "version": _VERSION, **to_json(placement), "found": found or {}}
    write_json(path, document)
