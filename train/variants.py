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

#: What the published networks map to.
EMBEDDING_SIZE = 512
#: How the name of a network without a last linear layer ends, whose embeddings are the pooled features.
_POOLED = "pooled"

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
        linear: what the last linear layer maps to; None where there is none, and the embedding is what the
            last convolution gives, averaged over the image.
    """

    width: str
    placement: Placement
    stream_list: bool
    linear: int | None = EMBEDDING_SIZE

    def __post_init__(self) -> None:
        """Refuse a width that there is not."""
        if self.width not in WIDTHS:
            raise InputError(f"expected a width of {', '.join(WIDTHS)}, got {self.width!r}")

    @property
    def name(self) -> str:
        """The name that public checkpoints go by, or `osnet_CODE_WIDTH` of a placement without one.

        Behind it stands the size of an embedding that is not of 512 numbers, such as `osnet_x0_25_256d`, or
        `pooled` where there is no last linear layer.
        """
        base = f"{_NAMES.get(self.placement, f'osnet_{self.placement.code}')}_{self.width}"
        if self.linear == EMBEDDING_SIZE:
            return base
        return f"{base}_{_POOLED}" if self.linear is None else f"{base}_{self.linear}d"

    @property
    def embedding_size(self) -> int:
        """How many numbers an embedding has."""
        return self.channels[-1] if self.linear is None else self.linear

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Channels of the stem and of the three stages."""
        return WIDTHS[self.width]


def variant_with(placement: Placement, width: str, linear: int | None = EMBEDDING_SIZE) -> Variant:
    """Return the network of a placement and a width, under the names of public files where there are any.

    Args:
        placement: any of them.
        width: `x1_0`, `x0_75`, `x0_5` or `x0_25`.
        linear: what its last linear layer maps to; None for none.

    Example:
        >>> variant_with(AIN, "x0_5").name, variant_with(placement_of("sbippop"), "x0_25").name
        ('osnet_ain_x0_5', 'osnet_sbippop_x0_25')

    Raises:
        InputError: there is no such width.
    """
    return Variant(width, placement, placement not in (PLAIN, IBN), linear)


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
        >>> variant_named("osnet_x0_5_128d").embedding_size, variant_named("osnet_x0_5_pooled").embedding_size
        (128, 256)

    Raises:
        InputError: there is none of that name.
    """
    known = {known: placement for placement, known in _NAMES.items()}
    sizes = rf"(?:_({_POOLED}|[1-9][0-9]{{0,4}}d))?"
    match = re.fullmatch(rf"(osnet(?:_[a-z]+)?)_({'|'.join(WIDTHS)}){sizes}", name)
    if match:
        size = match[3] or f"{EMBEDDING_SIZE}d"
        linear = None if size == _POOLED else int(size.removesuffix("d"))
        if match[1] in known:
            return variant_with(known[match[1]], match[2], linear)
        if re.fullmatch("osnet_[sn][piob]{6}", match[1]):
            return variant_with(placement_of(match[1].removeprefix("osnet_")), match[2], linear)
    raise InputError(
        f"expected an OSNet variant, got {name!r}; choose one of {', '.join(VARIANTS)}, or osnet_CODE_WIDTH "
        "with the code of a placement, such as osnet_sbippop_x0_5; behind it may stand the size of an "
        "embedding that is not of 512, such as _256d"
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
