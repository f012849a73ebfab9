"""MSMT17 as its authors lay it out: lists, in two versions of its folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from empty_files import people, touch

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.data import open_set, training_pictures

MSMT17 = {"train": 30_248, "val": 2_373, "query": 11_659, "gallery": 82_161}


def msmt17(root: Path, train: str = "train", test: str = "test", *, most: int = 10**6) -> Path:
    for folder in (train, test):
        (root / folder).mkdir(parents=True)
    for name, count in MSMT17.items():
        people = 1_041 if name in ("train", "val") else 3_060
        numbers = ((k, k % people) for k in range(min(count, most)))
        lines = (
            f"{who:04d}/{who:04d}_000_{1 + k % 15:02d}_0303morning_{name}{k}_0.jpg {who}\n"
            for k, who in numbers
        )
        (root / f"list_{name}.txt").write_text("".join(lines))
    return root


def test_both_versions_of_msmt17_are_known_by_their_folders(tmp_path: Path) -> None:
    for version, train, test in (("1", "train", "test"), ("2", "mask_train_v2", "mask_test_v2")):
        root = tmp_path / version
        touch(root / f"MSMT17_V{version}", f"{train}/x", f"{test}/x")
        for name in MSMT17:
            line = "0007/0007_000_15_0303morning_1_0.jpg 7"
            (root / f"MSMT17_V{version}" / f"list_{name}.txt").write_text(line)
        found = open_set(str(root))
        assert found.train[0].path.parents[1].name == train
        assert found.query[0].path.parents[1].name == test
        assert found.train[0].camera == 15


def test_msmt17_is_read_from_its_lists(tmp_path: Path) -> None:
    folder = msmt17(tmp_path / "MSMT17_V2", "mask_train_v2", "mask_test_v2")
    found = open_set(str(tmp_path))
    assert (len(found.train), len(found.query), len(found.gallery)) == (30_248, 11_659, 82_161)
    assert (len(people(found.train)), len(people(found.query))) == (1_041, 3_060)
    assert not people(found.train) & people(found.query + found.gallery)
    assert {p.camera for p in found.train} == set(range(1, 16))
    assert found.train[0].path == folder / "mask_train_v2" / "0000/0000_000_01_0303morning_train0_0.jpg"
    # 4,101 people in all; the validation images are of people to train on.
    everything = training_pictures([f"msmt17={folder}"], combineall=True)
    assert len(everything) == sum(MSMT17.values())
    assert {p.identity for p in everything} == set(range(4_101))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: (root / "list_val.txt").unlink(), "list_val.txt, which is not there"),
        (lambda root: (root / "list_query.txt").write_text("0000/a.jpg 0\n"), "'0000/a.jpg 0' in line 1"),
        (lambda root: (root / "list_query.txt").write_text("\n"), "names no image"),
        (lambda root: (root / "test").rmdir(), "expected train/ and test/, or mask_train_v2/"),
    ],
)
def test_msmt17_with_a_part_missing_is_refused(
    tmp_path: Path, spoil: Callable[[Path], Any], words: str
) -> None:
    spoil(msmt17(tmp_path / "set", most=5))
    with pytest.raises(InputError, match=words):
        open_set(str(tmp_path / "set"))
