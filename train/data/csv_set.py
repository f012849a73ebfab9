"""A user's own images in a table, a CSV file.

    path,identity,camera,split
    a/1.jpg,anna,north,train
    a/2.jpg,ben,south,query
    a/3.jpg,ben,north,gallery
    a/4.jpg,,north,gallery          nobody's right answer

Paths are relative to the table's folder. Without `split`, all images are training images, and then `camera`
may be left out too.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.data.described import Description, set_of
from osnet_edge.train.data.reid_set import ReidSet

_COLUMNS = ("path", "identity", "camera", "split")
_NEEDED = _COLUMNS[:2]


def read_csv(file: Path | str) -> ReidSet:
    """Read a table of images; no image is opened, but each must be there.

    Raises:
        InputError: the table is missing, empty or no CSV, lacks a column, or has a wrong line, which is
            named.
    """
    file = Path(file)
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            reader.fieldnames = columns = [name.strip() for name in reader.fieldnames or ()]
            _check_columns(file, columns)
            described = [_describe(file, reader.line_num, line) for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file} cannot be read as a CSV ({error}); write it as UTF-8 text") from None
    if not described:
        raise InputError(f"{file} names no image; put a line for each under {','.join(columns)}")
    return set_of(file.stem, file.parent, described)


def _check_columns(file: Path, columns: Sequence[str]) -> None:
    if not any(columns):
        raise InputError(f"{file} is empty; its first line must be {','.join(_COLUMNS)}")
    if missing := [name for name in _NEEDED if name not in columns]:
        raise InputError(
            f"expected the columns {','.join(_COLUMNS)} in {file}, got {','.join(columns)[:200]}; "
            f"{' and '.join(missing)} cannot be left out"
        )
    if twice := [name for name in _COLUMNS if columns.count(name) > 1]:
        raise InputError(f"expected each column of {file} once, got {twice[0]} more than once")


def _describe(file: Path, number: int, line: dict[str, str]) -> Description:
    source = f"line {number} of {file}"
    # The reader puts spare cells under None, and None into cells that are missing.
    if None in line or None in line.values():
        raise InputError(f"expected as many cells as columns in {source}; put names with commas in quotes")
    cells = {"camera": "", "split": "train"} | {name: line[name].strip() for name in _COLUMNS if name in line}
    path = file.parent / cells["path"]
    if not cells["path"] or not path.is_file():
        raise InputError(f"expected an image at {path}, which {source} names; found none there")
    return Description(path, cells["identity"], cells["camera"], cells["split"], source)
