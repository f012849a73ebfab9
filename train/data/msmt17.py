"""MSMT17 as published: list files that name an image and its identity, in version 1 and 2.

    list_train.txt     0000/0000_000_01_0303morning_0015_0.jpg 0     person 0 on camera 01
    list_val.txt, list_query.txt, list_gallery.txt
    train/, test/                       the images of version 1
    mask_train_v2/, mask_test_v2/       those of version 2, where faces are blurred

People to train on and people to test on are both counted from 0, and are others. `list_val.txt` holds
images of the people to train on, and is left out of training unless all images are combined.
"""

from __future__ import annotations

from pathlib import Path

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.data.reid_set import Picture, ReidSet

_FOLDERS = (("mask_train_v2", "mask_test_v2"), ("train", "test"))


def read_msmt17(root: Path) -> ReidSet:
    """Read MSMT17's list files; no image is opened, nor looked for.

    Raises:
        InputError: a list or a folder is missing, or a line fits no image.
    """
    for train, test in _FOLDERS:
        if (root / train).is_dir() and (root / test).is_dir():
            break
    else:
        raise InputError(
            f"expected train/ and test/, or mask_train_v2/ and mask_test_v2/, beside the lists in {root}; "
            "copy MSMT17's images there"
        )
    training = _read_list(root / "list_train.txt", root / train, 1)
    validation = _read_list(root / "list_val.txt", root / train, 1)
    # After the people to train on, so that one number is one person.
    first = 1 + max(p.identity for p in training + validation)
    query = _read_list(root / "list_query.txt", root / test, first)
    gallery = _read_list(root / "list_gallery.txt", root / test, first)
    return ReidSet("msmt17", root, training, query, gallery, validation=validation)


def _read_list(file: Path, folder: Path, first: int) -> tuple[Picture, ...]:
    if not file.is_file():
        raise InputError(f"expected the list {file}, which is not there; copy it from MSMT17's archive")
    pictures = []
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        name, _, identity = line.strip().rpartition(" ")
        parts = name.rpartition("/")[2].split("_")
        if not (identity.isdecimal() and len(parts) > 2 and parts[2].isdecimal()):
            raise InputError(
                f"expected lines such as 0000/0000_000_01_0303morning_0015_0.jpg 0 (image, identity), "
                f"got {line[:80]!r} in line {number} of {file}"
            )
        pictures.append(Picture(folder / name, first + int(identity), int(parts[2])))
    if not pictures:
        raise InputError(f"{file} names no image; copy it from MSMT17's archive again")
    return tuple(pictures)
