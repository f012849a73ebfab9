"""Opening a set by its specification: a name, a folder, a table or a pattern.

A specification is one of these:

    market1501               the folder of that name, or of another usual one, in the folder OSNET_EDGE_DATA
    msmt17=sets/MSMT17_V2    that folder, as MSMT17
    sets/street              a folder, whose layout is recognised
    pictures.csv             a table
    cams::{camera}/{identity}_*.jpg      images below cams/ by a pattern on their names
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.data.csv_set import read_csv
from osnet_edge.train.data.cuhk03 import PACKED
from osnet_edge.train.data.layouts import LAYOUTS, MARKET1501, Layout, folder_names, plain, recognise
from osnet_edge.train.data.market1501 import SPLIT_FOLDERS
from osnet_edge.train.data.pattern_set import read_pattern
from osnet_edge.train.data.reid_set import DataWarning, ReidSet, files_left_out
from osnet_edge.train.data.unknown_folder import advice

#: Names the folder in which sets are looked up.
DATA_VARIABLE = "OSNET_EDGE_DATA"

_WITHDRAWN = (
    "DukeMTMC-reID was withdrawn by its authors in 2019; this reads the copy that you have, "
    "and whether you may use it is for you to answer"
)
_Reader = Callable[[int, int], ReidSet]


def open_set(spec: str, *, split: int = 0, seed: int = 0) -> ReidSet:
    """Read the names of a set's images; no image is opened, and nothing is downloaded.

    Problems that a reader skipped are in the set's `warnings`, and are shown by `warnings.warn`, once in a
    process.

    Args:
        spec: a name, `name=FOLDER`, a folder, a CSV or `FOLDER::PATTERN`, see the module.
        split: index of the test split, among those that `open_sets` returns.
        seed: draws the splits of sets without fixed ones; the same seed draws the same splits.

    Raises:
        InputError: nothing is found, the layout is unknown, a file is wrong, or there is no such split.
        UnavailableError: the set needs a library that is not installed.
    """
    read, count = _reader(spec)
    if not 0 <= split < count:
        raise InputError(f"expected a split of {spec} from 0 to {count - 1}, got {split}")
    return _told(read, split, seed)


def open_sets(spec: str, *, seed: int = 0) -> tuple[ReidSet, ...]:
    """Read all test splits of a set, over which its scores are averaged.

    Returns:
        One set for those with a fixed split; ten for GRID, PRID-2011, PRID450S and i-LIDS; twenty for VIPeR
        and CUHK01, where each of ten draws is scored in both directions, and for CUHK03's first protocol.

    Raises:
        InputError: as `open_set`.
        UnavailableError: as `open_set`.
    """
    read, count = _reader(spec)
    return tuple(_told(read, split, seed) for split in range(count))


def count_splits(spec: str) -> int:
    """Return how many test splits a set has.

    Raises:
        InputError: nothing is found.
    """
    return _reader(spec)[1]


def parse_specs(text: str) -> tuple[str, ...]:
    """Split a list of specifications such as `market1501,msmt17` at its commas.

    Raises:
        InputError: a specification is empty.

    Example:
        >>> parse_specs("market1501,msmt17=sets/MSMT17_V2")
        ('market1501', 'msmt17=sets/MSMT17_V2')
    """
    if Path(text).exists():
        return (text,)
    specs = tuple(part.strip() for part in text.split(","))
    if not all(specs):
        raise InputError(f"expected sets such as market1501,msmt17; got {text!r}")
    return specs


def _told(read: _Reader, split: int, seed: int) -> ReidSet:
    """Read one split, and show its warnings."""
    if seed < 0:
        raise InputError(f"expected a seed of 0 or more, got {seed}")
    found = read(split, seed)
    for text in found.warnings:
        _say(text)
    return found


def _reader(spec: str) -> tuple[_Reader, int]:
    """Return the reader of a set, and its number of splits."""
    path = Path(spec)
    if path.is_file() and path.suffix.lower() == ".csv":
        return (lambda split, seed: read_csv(path)), 1
    if spec and path.is_dir():
        return _folder(path, path.resolve().name, None)
    root, mark, pattern = spec.partition("::")
    if mark:
        return (lambda split, seed: _with_left_out(read_pattern(root, pattern))), 1
    name, _, folder = spec.partition("=")
    if name in LAYOUTS and folder:
        return _folder(Path(folder), name, LAYOUTS[name])
    if folder and Path(folder).is_dir():
        raise InputError(
            f"expected one of {', '.join(LAYOUTS)} before =, got {name}; "
            f"for a set of your own, give {folder} alone"
        )
    return _folder(_look_up(spec), spec, LAYOUTS.get(spec))


def _look_up(name: str) -> Path:
    """Return the folder of a set by its name."""
    home = os.environ.get(DATA_VARIABLE)
    if home and name and Path(name).name == name:
        if (Path(home) / name).is_dir():
            return Path(home) / name
        folders = {plain(path.name): path for path in sorted(Path(home).glob("*")) if path.is_dir()}
        for usual in folder_names(name) if name in LAYOUTS else ():
            if usual in folders:
                return folders[usual]
    if Path(name).is_file():
        if Path(name).name == PACKED:
            raise InputError(
                f"expected a set as a folder or a .csv, but {name} holds all of CUHK03; "
                f"make a folder of it: osnet-edge data unpack {name} -o FOLDER"
            )
        raise InputError(
            f"expected a set as a folder or a .csv, but {name} is a file; unpack an archive first"
        )
    raise InputError(
        f"expected a set as a folder, a CSV, FOLDER::PATTERN, or a name in ${DATA_VARIABLE}; "
        f"found nothing called {name}" + (f" in {home}" if home else f", and ${DATA_VARIABLE} is not set")
    )


def _folder(root: Path, name: str, layout: Layout | None) -> tuple[_Reader, int]:
    """Return the reader of a folder: for the layout that was named, or that is recognised."""
    if layout:
        found, known = (layout.find(root), layout)
        if found is None and layout.converted and MARKET1501.find(root):
            found, known = root, MARKET1501
        if found is None:
            raise InputError(
                f"expected {name} with {' or '.join(layout.marks)} in {root}, found none; "
                "give the folder that holds them, or leave the name out to go by what is there"
            )
    elif (root / "query").is_dir() and (root / "gallery").is_dir():
        # Not Market-1501's names, which would miss a folder here.
        raise _unknown(root)
    elif recognised := recognise(root):
        known, found = recognised
    elif root.resolve().name not in SPLIT_FOLDERS.values():
        raise _unknown(root)
    else:
        # Its errors tell what is missing, and guess at a folder one too deep.
        known, found = MARKET1501, root
    duke = any("dukemtmc" in plain(text) for text in (name, root.resolve().name))

    def read(split: int, seed: int) -> ReidSet:
        made = known.read(found, split, seed)
        withdrawn = [_WITHDRAWN] if duke else []
        return _with_left_out(replace(made, name=name, warnings=(*withdrawn, *made.warnings)))

    return read, known.splits


def _unknown(root: Path) -> InputError:
    return InputError(f"{root} is no re-ID set that is known by its folders; {advice(root)}")


def _with_left_out(found: ReidSet) -> ReidSet:
    everything = (*found.train, *found.validation, *found.query, *found.gallery)
    left_out = files_left_out(picture.path.parent for picture in everything)
    return replace(found, warnings=(*found.warnings, *left_out))


@cache
def _say(text: str) -> None:
    """Warn once in a process, since all splits of a set have the same warnings."""
    warnings.warn(text, DataWarning, stacklevel=3)
