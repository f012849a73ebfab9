"""CUHK03 as its authors publish it, `cuhk-03.mat`, unpacked into the images and splits that `cuhk03` reads.

The file is HDF5, in which a MATLAB array stands transposed and a cell holds a reference to what is in it:

    detected, labeled    1x5 cells, one for each pair of cameras: of 10xN cells, ten for each of its N people
                         each an image of 3 x width x height bytes, or empty: five by the pair's first
                         camera, then five by its second
    testsets             1x20 cells, one for each split: 2x100 numbers, camera pair and person from 1

Everything later works on files of images, and so they are written once, as PNG, which loses nothing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import write_folder_aside
from osnet_edge.runtime.preprocessing import Picture
from osnet_edge.train.data.cuhk03 import FIRST_PROTOCOL, IMAGES, NEW_PROTOCOL
from osnet_edge.train.data.matlab import damage_named, open_hdf5

#: The kinds of boxes, as the file spells them.
BOXES = ("detected", "labeled")
#: Cells of a person, the first half by the first camera.
_SHOTS = 10
#: No crop of a person has more pixels a side; what says it has is a damaged file.
_LARGEST = 4096
#: Camera pair and person, both counted from 1, as tests are listed by.
_Person = tuple[int, int]


def unpack_cuhk03(
    file: Path | str, folder: Path | str, *, progress: Callable[[str], None] = lambda step: None
) -> dict[str, int]:
    """Write the images of both kinds of boxes, the first protocol's splits, and the new one's if it is there.

    The new protocol is by other authors; its files are copied if they lie beside `cuhk-03.mat`.

    Args:
        file: the authors' file.
        folder: where to write; it must not exist, and is there whole or not at all.
        progress: called with a line for each step.

    Returns:
        How many images there are of each kind of boxes.

    Raises:
        InputError: the file cannot be read, is another, or holds no image; or the folder is there already.
        UnavailableError: h5py is not installed.
    """
    file = Path(file)
    counts = {}
    with open_hdf5(file) as found, write_folder_aside(folder) as fresh:
        tests = _tests(found, file)
        for boxes in BOXES:
            names: dict[str, _Person] = {}
            (fresh / IMAGES.format(boxes)).mkdir()
            progress(f"unpacking {boxes} boxes")
            for name, person, pixels in _images(found, file, boxes):
                Image.fromarray(pixels).save(fresh / IMAGES.format(boxes) / name)
                names[name] = person
            if not names:
                raise InputError(f"expected images under {boxes} in {file}, found none; copy it again")
            splits = json.dumps([_split(names, tested) for tested in tests])
            (fresh / FIRST_PROTOCOL.format(boxes)).write_text(splits, encoding="utf-8")
            counts[boxes] = len(names)
            protocol = file.with_name(NEW_PROTOCOL.format(boxes))
            if protocol.is_file():
                shutil.copyfile(protocol, fresh / protocol.name)
    return counts


def _tests(found: Any, file: Path) -> list[set[_Person]]:
    """Return who is tested on, split by split."""
    with damage_named(file):
        tests = []
        for reference in found["testsets"][0]:
            pairs, people = found[reference][()].astype(int).tolist()
            tests.append(set(zip(pairs, people, strict=True)))
        return tests


def _images(found: Any, file: Path, boxes: str) -> Iterator[tuple[str, _Person, Picture]]:
    """Yield name, person and pixels of every image of one kind of boxes."""
    with damage_named(file):
        pairs = [found[reference][()] for reference in found[boxes][0]]
    for pair, cells in enumerate(pairs, 1):
        with damage_named(file):
            people = cells.reshape(_SHOTS, -1).T
        for who, shots in enumerate(people, 1):
            for shot, reference in enumerate(shots, 1):
                with damage_named(file):
                    pixels = _pixels(found[reference], file)
                if pixels is not None:
                    camera = 1 if shot <= _SHOTS // 2 else 2
                    yield f"{pair}_{who:03d}_{camera}_{shot:02d}.png", (pair, who), pixels


def _pixels(cell: Any, file: Path) -> Picture | None:
    """Return an image as height x width x 3, or None of an empty cell, which stands as its two sizes."""
    if cell.ndim < 3:
        return None
    if cell.ndim != 3 or cell.shape[0] != 3 or cell.dtype != np.uint8 or not 0 < max(cell.shape) <= _LARGEST:
        raise InputError(
            f"expected images of 3 x width x height bytes in {file}, got {cell.shape} of {cell.dtype}; "
            "copy it again"
        )
    pixels: Picture = np.ascontiguousarray(cell[()].T)
    return pixels


def _split(names: dict[str, _Person], tested: set[_Person]) -> dict[str, list[list[str | int]]]:
    """Return one split as `cuhk03` reads it: images of who is tested on are queries, and the gallery."""
    parts: tuple[list[list[str | int]], ...] = [], []
    numbers: tuple[dict[_Person, int], ...] = {}, {}
    for name, person in names.items():
        part = person in tested
        who = numbers[part].setdefault(person, len(numbers[part]))
        parts[part].append([name, who, int(name.split("_")[2]) - 1])
    return {"train": parts[0], "query": parts[1], "gallery": parts[1]}
