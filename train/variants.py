"""The OSNet family as data: widths, placements of instance normalisation, and placement files.

Sources: "Learning Generalisable Omni-Scale Representations for Person Re-Identification" (Zhou et al., TPAMI
2021), section 3 for OSNet and its widths, section 4 for the four block designs and OSNet-AIN.

Example of a placement file, which a search writes; this is OSNet-AIN's:
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
        placement: placement of instance norm.
        stream_list: whether state-dict names are those of the AIN files (`conv2.0.conv2.3.layers.1`,
            `pool2.0`) or those of the first OSNet files (`conv2.0.conv2d.1`, `conv2.2.0`).
        linear: outputs of the last linear layer; None without one, and then the embedding is the output of
            the last convolution, averaged over the image.
    """

    width: str
    placement: Placement
    stream_list: bool
    linear: int | None = EMBEDDING_SIZE

    def __post_init__(self) -> None:
        """Refuse an unknown width."""
        if self.width not in WIDTHS:
            raise InputError(f"expected a width of {', '.join(WIDTHS)}, got {self.width!r}")

    @property
    def name(self) -> str:
        """The name of the public checkpoints, or `osnet_CODE_WIDTH` for a placement without one.

        A suffix gives the size of an embedding that has not 512 numbers, such as `osnet_x0_25_256d`, or is
        `pooled` if there is no last linear layer.
        """
        base = f"{_NAMES.get(self.placement, f'osnet_{self.placement.code}')}_{self.width}"
        if self.linear == EMBEDDING_SIZE:
            return base
        return f"{base}_{_POOLED}" if self.linear is None else f"{base}_{self.linear}d"

    @property
    def embedding_size(self) -> int:
        """Number of floats of an embedding."""
        return self.channels[-1] if self.linear is None else self.linear

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Channels of the stem and of the three stages."""
        return WIDTHS[self.width]


def variant_with(placement: Placement, width: str, linear: int | None = EMBEDDING_SIZE) -> Variant:
    """Return the variant of a placement and a width, with the names of public files if there are any.

    Args:
        placement: any placement.
        width: `x1_0`, `x0_75`, `x0_5` or `x0_25`.
        linear: outputs of its last linear layer; None for none.

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
        InputError: there is no variant of that name.
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
    """The content of a placement file; `found` says how it was found, and is only for people."""

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
    """Write a placement file atomically.

    Args:
        path: the file.
        placement: the placement.
        found: how it was found, as JSON values by name.
    """
    document = {"format": _FORMAT, "version": _VERSION, **to_json(placement), "found": found or {}}
    write_json(path, document)
