"""Placement files: the outcome of a search, to train, export and build by.

Example of one, OSNet-AIN's, whose fields are those of `PlacementFile`:
    {"format": "osnet-edge placement", "version": 1, "stem": true,
     "blocks": ["inside", "inside", "plain", "inside", "inside", "plain"], "found": {}}
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import write_json
from osnet_edge.runtime.package.placement import Placement
from osnet_edge.runtime.package.schema import from_json, parse_json, to_json

FORMAT, VERSION = "osnet-edge placement", 1
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
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"{path} is no placement file; expected an object with 'format': '{FORMAT}'")
    if document.get("version") != VERSION:
        raise InputError(
            f"{path}: expected version {VERSION}, got {document.get('version')!r}; "
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
    document = {"format": FORMAT, "version": VERSION, **to_json(placement), "found": found or {}}
    write_json(path, document)
