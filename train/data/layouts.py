"""The known layouts: where the files of each set are, and which function reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from osnet_edge.train.data.cuhk03 import IMAGES, PACKED, RELEASE, read_cuhk03
from osnet_edge.train.data.halves import DRAWS
from osnet_edge.train.data.market1501 import SPLIT_FOLDERS, read_market1501
from osnet_edge.train.data.msmt17 import read_msmt17
from osnet_edge.train.data.reid_set import ReidSet
from osnet_edge.train.data.small_sets import (
    read_cuhk01,
    read_grid,
    read_ilids,
    read_prid450s,
    read_prid2011,
    read_viper,
)

#: Folders that are looked into for a set.
_MOST_FOLDERS = 64
_SEVEN = "[0-9]" * 7


@dataclass(frozen=True)
class Layout:
    """The layout of a set on the disk.

    Attributes:
        marks: glob patterns; a folder of this layout contains a match of at least one.
        read: reads the folder, given the index of the split and the seed.
        inside: subfolders that may contain the set, since archives unpack into folders of their own.
        splits: number of test splits.
        converted: whether the set may also be given in the Market-1501 layout under its name, since nothing
            there distinguishes, for example, CUHK03's detected boxes from its labelled ones.
    """

    marks: tuple[str, ...]
    read: Callable[[Path, int, int], ReidSet]
    inside: tuple[str, ...] = (".",)
    splits: int = 1
    converted: bool = True

    def find(self, root: Path) -> Path | None:
        """Return the set's folder in `root`, or None."""
        for inner in self.inside:
            if any(True for mark in self.marks for _ in (root / inner).glob(mark)):
                return root / inner
        return None


def _read_market1501(root: Path, split: int, seed: int) -> ReidSet:
    return read_market1501(root)


def _read_msmt17(root: Path, split: int, seed: int) -> ReidSet:
    return read_msmt17(root)


def _cuhk03(boxes: str, *marks: str, classic: bool = False) -> Layout:
    def read(root: Path, split: int, seed: int) -> ReidSet:
        return read_cuhk03(root, boxes, classic=classic, split=split)

    return Layout(
        # The authors' file is no set yet, and found so that the reader says what makes one of it.
        (IMAGES.format(boxes), *marks, PACKED, RELEASE),
        read,
        (".", "CUHK03-NP", "cuhk03-np"),
        splits=20 if classic else 1,
        converted=boxes == "detected" and not classic,
    )


MARKET1501 = Layout(tuple(SPLIT_FOLDERS.values()), _read_market1501)

#: By the name that a user gives; DukeMTMC-reID was published in Market-1501's layout.
LAYOUTS = {
    "market1501": MARKET1501,
    "dukemtmc": MARKET1501,
    "msmt17": Layout(("list_*.txt",), _read_msmt17, (".", "MSMT17_V1", "MSMT17_V2")),
    "cuhk03": _cuhk03("detected", "detected/bounding_box_*"),
    "cuhk03-labelled": _cuhk03("labeled", "labeled/bounding_box_*"),
    "cuhk03-classic": _cuhk03("detected", classic=True),
    "cuhk03-labelled-classic": _cuhk03("labeled", classic=True),
    "viper": Layout(("cam_a/[0-9]*_*",), read_viper, (".", "VIPeR"), splits=2 * DRAWS),
    "prid2011": Layout(
        ("cam_a/person_*.*",), read_prid2011, (".", "single_shot", "prid_2011/single_shot"), splits=DRAWS
    ),
    "prid450s": Layout(("cam_a/img_*",), read_prid450s, splits=DRAWS),
    "cuhk01": Layout((f"{_SEVEN}.png",), read_cuhk01, (".", "campus"), splits=2 * DRAWS),
    "grid": Layout(("probe/[0-9]*_*",), read_grid, (".", "underground_reid"), splits=DRAWS),
    "ilids": Layout(
        (f"{_SEVEN}.jpg",), read_ilids, (".", "Persons", "i-LIDS_Pedestrian/Persons"), splits=DRAWS
    ),
}

#: What folders of these sets are called besides their names, in lower case and without punctuation.
_FOLDERS = {
    "market1501": ("market1501v150915",),
    "dukemtmc": ("dukemtmcreid",),
    "msmt17": ("msmt17v1", "msmt17v2"),
    "cuhk03": ("cuhk03np", "cuhk03detected"),
    "cuhk03-labelled": ("cuhk03labeled", "cuhk03", "cuhk03np"),
    "cuhk03-classic": ("cuhk03",),
    "cuhk03-labelled-classic": ("cuhk03",),
    "prid2011": ("prid",),
    "grid": ("undergroundreid",),
    "ilids": ("ilidspedestrian",),
}


def folder_names(name: str) -> tuple[str, ...]:
    """Return the usual names of a set's folder, in the form that `plain` returns."""
    return (plain(name), *_FOLDERS.get(name, ()))


def plain(name: str) -> str:
    """Return a name in lower case without punctuation.

    Example:
        >>> plain("Market-1501-v15.09.15")
        'market1501v150915'
    """
    return "".join(character for character in name.lower() if character.isalnum())


def _recognise_in(root: Path) -> tuple[Layout, Path] | None:
    for layout in LAYOUTS.values():
        if folder := layout.find(root):
            return layout, folder
    return None


def recognise(root: Path) -> tuple[Layout, Path] | None:
    """Return the first layout whose marks are in `root`, and the set's folder.

    Archives unpack into folders of their own, so a set is also found up to three folders deeper, if it is the
    only one there.
    """
    folders = [root]
    for _ in range(4):
        found = [known for inner in folders if (known := _recognise_in(inner))]
        if found:
            return found[0] if len(found) == 1 else None
        folders = [inner for folder in folders for inner in sorted(folder.iterdir()) if inner.is_dir()]
        # A folder for each person is no archive's.
        if len(folders) > _MOST_FOLDERS:
            return None
    return None
