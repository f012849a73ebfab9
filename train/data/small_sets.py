"""The small sets as their authors publish them: VIPeR, PRID-2011, PRID450S, CUHK01, GRID and i-LIDS.

    VIPeR     cam_a/000_45.bmp           person 0 from 45 degrees; 632 people, once on each camera
    PRID-2011 single_shot/cam_a/person_0001.png     385 people on camera a, 749 on b, the first 200 on both
    PRID450S  cam_a/img_001.png          450 people, once on each camera
    CUHK01    campus/0001003.png         person 1, image 3 of 4: two from each camera; 971 people
    GRID      probe/0001_1_25004_...jpeg       person 1 on camera 1; 250 people, and 775 others in gallery/
    i-LIDS    Persons/0001002.jpg        person 1, image 2; 119 people, 476 images, cameras not told

All are split by `halves`: VIPeR and CUHK01 twice for each draw, with either camera as the query's.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.data.halves import Splits, draw_half, shared_identities, split_views
from osnet_edge.train.data.matlab import read_matlab
from osnet_edge.train.data.reid_set import DISTRACTOR, Picture, ReidSet, list_pictures

#: People that PRID-2011's two cameras share; from 201 on, one number is two people.
_PRID_SHARED = 200
_GRID_PARTITIONS = "features_and_partitions.mat"
#: Images of the query's side, and of the gallery's.
Views = tuple[list[Picture], list[Picture]]


class _Names(NamedTuple):
    """How a set names its images: as an expression, and as an example for people."""

    pattern: str
    example: str


_VIPER = _Names(r"(?P<who>\d+)_\d+", "000_45.bmp")
_PRID2011 = _Names(r"person_(?P<who>\d+)", "person_0001.png")
_PRID450S = _Names(r"img_(?P<who>\d+)", "img_001.png")
_GRID = _Names(r"(?P<who>\d+)_(?P<camera>\d+)_.*", "0001_1_25004_107_32_106_221.jpeg")
_CUHK01 = _ILIDS = _Names(r"(?P<who>\d{4})(?P<camera>\d{3})", "0001002.jpg")


def read_viper(root: Path, split: int = 0, seed: int = 0) -> ReidSet:
    """Read VIPeR: even splits look for people of camera a on camera b, odd ones the other way."""
    views = _view(root / "cam_a", _VIPER, 1, first=1), _view(root / "cam_b", _VIPER, 2, first=1)
    return _halved("viper", root, views, split, seed, people=632, both_ways=True)


def read_prid450s(root: Path, split: int = 0, seed: int = 0) -> ReidSet:
    """Read PRID450S: people of camera a are looked for on camera b."""
    # The folders also hold seg_*.png and part_*.png, which are no images of people.
    a, b = (_view(root / f"cam_{c}", _PRID450S, k, first=1, others=True) for k, c in enumerate("ab", 1))
    return _halved("prid450s", root, (a, b), split, seed, people=450)


def read_prid2011(root: Path, split: int = 0, seed: int = 0) -> ReidSet:
    """Read PRID-2011's single shots: 100 people of camera a among 649 of camera b."""
    a, b = _view(root / "cam_a", _PRID2011, 1), _view(root / "cam_b", _PRID2011, 2)
    a = [p for p in a if p.identity <= _PRID_SHARED]
    b = [p if p.identity <= _PRID_SHARED else replace(p, identity=DISTRACTOR) for p in b]
    return _halved("prid2011", root, (a, b), split, seed, people=_PRID_SHARED)


def read_cuhk01(root: Path, split: int = 0, seed: int = 0) -> ReidSet:
    """Read CUHK01: two images from each of two cameras, either camera's looked for on the other's."""
    found = _view(root, _CUHK01)
    a, b = (
        [Picture(p.path, p.identity, camera) for p in found if (p.camera + 1) // 2 == camera]
        for camera in (1, 2)
    )
    return _halved("cuhk01", root, (a, b), split, seed, people=971, both_ways=True)


def read_grid(root: Path, split: int = 0, seed: int = 0) -> ReidSet:
    """Read GRID: 125 people of probe/ among 125 and 775 others of gallery/, by its own ten partitions.

    Without its file of partitions, people are halved as in the other sets, and a warning says so.
    """
    views = _view(root / "probe", _GRID), _view(root / "gallery", _GRID)
    file = root / _GRID_PARTITIONS
    if not file.is_file():
        found = _halved("grid", root, views, split, seed, people=250)
        return replace(
            found, warnings=(*found.warnings, f"{file} is missing: people are halved at random instead")
        )
    partitions = read_matlab(file)
    try:
        # Ten structures, one a partition, whose third field is the identities to train on.
        partition = np.ravel(partitions["trainIdxAll"])[split]
        training = {int(who) for who in np.ravel(partition.ravel()[0].item()[2])}
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        raise InputError(
            f"expected ten partitions of people under trainIdxAll in {file}, found another structure; "
            "copy the file again, or move it away to halve people at random"
        ) from None
    return _set("grid", root, views, split_views(*views, training), people=250)


def read_ilids(root: Path, split: int = 0, seed: int = 0) -> ReidSet:
    """Read i-LIDS: of each of 60 people one image is looked for, and another one is in the gallery.

    The set does not tell cameras, so an image's number stands for one: no two images of a person share it.
    """
    found = _view(root, _ILIDS, first=1)
    training = draw_half({p.identity for p in found}, split, seed)
    shots = defaultdict(list)
    for picture in found:
        shots[picture.identity].append(picture)
    rng = np.random.default_rng([seed, split, 1])
    pairs = [
        (shots[who][first], shots[who][second])
        for who in sorted(shots.keys() - training)
        if len(shots[who]) > 1
        for first, second in [rng.choice(len(shots[who]), 2, replace=False)]
    ]
    train = tuple(p for p in found if p.identity in training)
    splits = (train, tuple(first for first, _ in pairs), tuple(second for _, second in pairs))
    return _set("ilids", root, (found, found), splits, people=119)


def _halved(
    name: str,
    root: Path,
    views: Views,
    split: int,
    seed: int,
    *,
    people: int,
    both_ways: bool = False,
) -> ReidSet:
    """Halve the people; with `both_ways`, an odd split is the one before it with the views exchanged."""
    draw, turned = divmod(split, 2) if both_ways else (split, 0)
    training = draw_half(shared_identities(*views), draw, seed)
    ordered = views[::-1] if turned else views
    return _set(name, root, views, split_views(*ordered, training), people=people)


def _set(name: str, root: Path, views: Views, splits: Splits, *, people: int) -> ReidSet:
    found = len(shared_identities(*views))
    if found < 2 or not all(splits):
        raise InputError(
            f"expected {name} with {people} people on both of its cameras in {root}, of whom {found} were "
            "found, too few to train on some and test on others; copy the set again"
        )
    warnings: tuple[str, ...] = ()
    if found != people:
        warnings = (f"{name} as published has {people} people on both cameras, this copy has {found}",)
    return ReidSet(name, root, *splits, warnings=warnings)


def _view(
    folder: Path, names: _Names, camera: int | None = None, *, first: int = 0, others: bool = False
) -> list[Picture]:
    """Read the images of a folder.

    Args:
        folder: which.
        names: how they are named.
        camera: whose they are, where names do not tell.
        first: added to numbers of people, for sets in which 0 may be one and no distractor.
        others: whether names that do not fit are passed over.
    """
    if not folder.is_dir():
        raise InputError(f"expected the folder {folder}, which is not there; copy the set again")
    pictures = []
    for path in list_pictures(folder):
        fits = re.fullmatch(names.pattern, path.stem, re.ASCII)
        if fits:
            pictures.append(Picture(path, first + int(fits["who"]), camera or int(fits["camera"])))
        elif not others:
            raise InputError(
                f"expected names such as {names.example} in {folder}, got {path.name}; move it out"
            )
    return pictures
