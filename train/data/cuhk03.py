"""CUHK03 in images: detected or labelled boxes, under the new protocol or the first one.

The authors' file is `cuhk-03.mat`, of which `cuhk03_mat` makes images, one for each box, with the names that
others gave them:

    images_detected/1_001_2_06.png     camera pair 1, person 1 of it, its second camera, image 6
    images_labeled/...

The new protocol (767 people to train on, 700 to test on; Zhong et al., "Re-ranking Person Re-identification
with k-reciprocal Encoding", 2017) is in `cuhk03_new_protocol_config_detected.mat`, or in
`splits_new_detected.json` as torchreid writes it; that of labelled boxes is in the like-named files. The
first protocol (1,367 and 100, twenty times; Li et al., "DeepReID", 2014) is in
`splits_classic_detected.json`, made of `cuhk-03.mat` too. The release of Zhong et al., in the Market-1501
layout under `detected/` and `labeled/`, is read as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.data.market1501 import read_market1501
from osnet_edge.train.data.matlab import read_matlab
from osnet_edge.train.data.reid_set import Picture, ReidSet

#: The authors' file, and the folder of their archive.
PACKED, RELEASE = "cuhk-03.mat", "cuhk03_release"
#: The folder of one kind of boxes, and the files of its protocols.
IMAGES, FIRST_PROTOCOL = "images_{}", "splits_classic_{}.json"
NEW_PROTOCOL = "cuhk03_new_protocol_config_{}.mat"
#: More people than any camera pair has.
_PAIR = 1000
_NAME = re.compile(r"([1-5])_(\d{3})_([12])_\d{2}\.(?:png|jpg)", re.ASCII)
Lists = dict[str, list[str]]


def read_cuhk03(root: Path, boxes: str, *, classic: bool = False, split: int = 0) -> ReidSet:
    """Read one kind of boxes under one protocol.

    Args:
        root: the folder that holds the images' folders and the protocol's files.
        boxes: "detected" or "labeled", as the files spell it.
        classic: the first protocol, with its twenty splits, instead of the new one.
        split: which of the twenty.

    Raises:
        InputError: images or protocol are missing, or are not as published.
    """
    name = "cuhk03" + ("-labelled" if boxes == "labeled" else "") + ("-classic" if classic else "")
    if not classic and (root / boxes).is_dir():
        found = read_market1501(root / boxes)
        return ReidSet(name, root, found.train, found.query, found.gallery)
    folder = root / IMAGES.format(boxes)
    if not folder.is_dir():
        raise InputError(
            f"expected CUHK03's images in {folder}, or in the Market-1501 layout in {root / boxes}; "
            f"make images of cuhk-03.mat first: osnet-edge data unpack {_packed(root)} -o FOLDER"
        )
    lists = _classic(root, boxes, split) if classic else _new(root, boxes)
    train, query, gallery = (_pictures(folder, lists[part]) for part in ("train", "query", "gallery"))
    protocol = "single-gallery-shot" if classic else "market1501"
    return ReidSet(name, root, train, query, gallery, protocol)  # type: ignore[arg-type]


def _packed(root: Path) -> Path:
    """Return the authors' file where it lies as it was unpacked, else its name."""
    places = (root / PACKED, root / RELEASE / PACKED)
    return next(filter(Path.is_file, places), Path(PACKED))


def _new(root: Path, boxes: str) -> Lists:
    listed, matlab = root / f"splits_new_{boxes}.json", root / NEW_PROTOCOL.format(boxes)
    if listed.is_file():
        return _from_json(listed, 0)
    if not matlab.is_file():
        raise InputError(
            f"expected the 767/700 protocol of CUHK03 in {matlab} or {listed}, found neither; "
            "copy one there, from github.com/zhunzhong07/person-re-ranking for instance"
        )
    variables = read_matlab(matlab)
    try:
        names = [str(cell.ravel()[0]) for cell in np.ravel(variables["filelist"])]
        # MATLAB counts from 1.
        return {
            part: [names[index - 1] for index in np.ravel(variables[f"{part}_idx"]).astype(int).tolist()]
            for part in ("train", "query", "gallery")
        }
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        raise InputError(
            f"expected filelist, train_idx, query_idx and gallery_idx in {matlab}; copy it again"
        ) from None


def _classic(root: Path, boxes: str, split: int) -> Lists:
    file = root / FIRST_PROTOCOL.format(boxes)
    if not file.is_file():
        raise InputError(
            f"expected the twenty splits of CUHK03's first protocol in {file}, as torchreid writes them, and "
            "osnet-edge data unpack cuhk-03.mat"
        )
    return _from_json(file, split)


def _from_json(file: Path, split: int) -> Lists:
    try:
        document: Any = json.loads(file.read_text(encoding="utf-8"))
        # Paths are those of the machine that wrote them, and of no use but for their names.
        return {
            part: [re.split(r"[/\\]", item[0])[-1] for item in document[split][part]]
            for part in ("train", "query", "gallery")
        }
    except (OSError, RecursionError, ValueError, KeyError, IndexError, TypeError):
        raise InputError(
            f"expected lists of [image, identity, camera] under train, query and gallery of split {split} "
            f"in {file}; copy it again"
        ) from None


def _pictures(folder: Path, names: Iterable[str]) -> tuple[Picture, ...]:
    pictures = []
    for name in names:
        fits = _NAME.fullmatch(name)
        if not fits:
            raise InputError(f"expected names such as 1_001_2_06.png in CUHK03's lists, got {name[:80]!r}")
        pair, person, camera = map(int, fits.groups())
        pictures.append(Picture(folder / name, _PAIR * pair + person, camera))
    if not pictures:
        raise InputError(f"a list of CUHK03's protocol names no image of {folder}; copy the protocol again")
    return tuple(pictures)
