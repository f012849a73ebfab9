"""Sets as their authors lay them out: the published numbers of people and pictures, and the standard splits.

Readers go by names alone, so empty files stand for all pictures of the small sets.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from osnet_edge.runtime.errors import InputError, UnavailableError
from osnet_edge.train.data import DISTRACTOR, Picture, ReidSet, open_set, open_sets, training_pictures


def touch(root: Path, *names: str) -> Path:
    for folder in {(root / name).parent for name in names}:
        folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (root / name).touch()
    return root


def viper(root: Path) -> Path:
    """632 people whose numbers have gaps, as VIPeR's do, from 0 on."""
    who = [k + k // 3 for k in range(632)]
    return touch(
        root / "VIPeR", *(f"cam_{c}/{k:03d}_{a}.bmp" for k in who for c, a in (("a", 0), ("b", 90)))
    ).parent


def prid2011(root: Path) -> Path:
    names = [f"cam_{c}/person_{k + 1:04d}.png" for c, most in (("a", 385), ("b", 749)) for k in range(most)]
    return touch(root / "prid_2011" / "single_shot", *names).parents[1]


def prid450s(root: Path) -> Path:
    kinds = ("img", "seg", "part")
    return touch(
        root, *(f"cam_{c}/{kind}_{k + 1:03d}.png" for c in "ab" for k in range(450) for kind in kinds)
    )


def cuhk01(root: Path) -> Path:
    return touch(
        root / "campus", *(f"{k + 1:04d}{n:03d}.png" for k in range(971) for n in (1, 2, 3, 4))
    ).parent


def grid(root: Path) -> Path:
    probe = [f"probe/{k + 1:04d}_{1 + k % 8}_25004_107_32_106_221.jpeg" for k in range(250)]
    gallery = [f"gallery/{k + 1:04d}_{1 + (k + 3) % 8}_25023_1_2_3_4.jpeg" for k in range(250)]
    others = [f"gallery/0000_{1 + k % 8}_{25000 + k}_1_2_3_4.jpeg" for k in range(775)]
    return touch(root / "underground_reid", *probe, *gallery, *others).parent


def ilids(root: Path) -> Path:
    """119 people with 476 pictures, 2 to 8 each."""
    counts = [2, 8, 2, 4, 4] * 23 + [4, 4, 4, 4]
    assert (len(counts), sum(counts)) == (119, 476)
    names = [f"{k + 1:04d}{n + 1:03d}.jpg" for k, count in enumerate(counts) for n in range(count)]
    return touch(root / "i-LIDS_Pedestrian" / "Persons", *names).parents[1]


SMALL = [
    pytest.param(viper, "viper", 20, (632, 316, 316), (316, 316), id="VIPeR: 316 and 316 people, both ways"),
    pytest.param(prid2011, "prid2011", 10, (200, 100, 649), (100, 100), id="PRID-2011: 100 among 649"),
    pytest.param(prid450s, "prid450s", 10, (450, 225, 225), (225, 225), id="PRID450S: 225 and 225"),
    pytest.param(
        cuhk01, "cuhk01", 20, (1940, 972, 972), (485, 486), id="CUHK01: 485 and 486, two pictures a side"
    ),
    pytest.param(grid, "grid", 10, (250, 125, 900), (125, 125), id="GRID: 125 among 125 and 775 distractors"),
    pytest.param(ilids, "ilids", 10, None, (59, 60), id="i-LIDS: 59 and 60, one picture a side"),
]


def people(pictures: tuple[Picture, ...]) -> set[int]:
    return {picture.identity for picture in pictures} - {DISTRACTOR}


@pytest.mark.filterwarnings("ignore:.*features_and_partitions.mat is missing")
@pytest.mark.parametrize(("make", "name", "splits", "counts", "halves"), SMALL)
def test_small_sets_are_halved_as_their_protocol_says(
    tmp_path: Path,
    make: Callable[[Path], Path],
    name: str,
    splits: int,
    counts: tuple[int, int, int] | None,
    halves: tuple[int, int],
) -> None:
    folder = make(tmp_path / "copy")
    found = open_sets(str(folder))
    assert len(found) == splits
    for each in found:
        if counts:
            assert (len(each.train), len(each.query), len(each.gallery)) == counts
        else:
            assert (len(each.query), len(each.gallery)) == (60, 60)
        assert (len(people(each.train)), len(people(each.query))) == halves
        assert people(each.query) == people(each.gallery)
        assert not people(each.train) & people(each.query)
        assert not {p.path for p in each.query} & {p.path for p in each.gallery}
        sides = [{(p.identity, p.camera) for p in side} for side in (each.query, each.gallery)]
        assert not sides[0] & sides[1], "every query finds its match on another camera"
    # Draws differ, and the same seed draws them again.
    assert len({frozenset(people(each.train)) for each in found}) == 10
    assert open_set(str(folder), split=7) == found[7]
    assert people(open_set(str(folder), seed=1).train) != people(found[0].train)
    assert open_set(f"{name}={folder}", split=3).train == found[3].train


def test_an_odd_split_exchanges_the_views_of_the_one_before(tmp_path: Path) -> None:
    folder = viper(tmp_path)
    there, back = (open_set(str(folder), split=split) for split in (4, 5))
    assert (back.query, back.gallery) == (there.gallery, there.query)
    assert set(back.train) == set(there.train)
    assert {p.camera for p in there.query} == {1}


def test_people_whom_only_one_camera_of_prid2011_saw_are_distractors_or_left_out(tmp_path: Path) -> None:
    found = open_set(str(prid2011(tmp_path)))
    assert {p.path.name for p in found.gallery if p.identity == DISTRACTOR} == {
        f"person_{k:04d}.png" for k in range(201, 750)
    }
    assert max(people(found.train + found.query)) <= 200


def partitions(file: Path, *, count: int = 10) -> list[list[int]]:
    """GRID's file: a cell array of structures, of which the third field is the people to train on."""
    drawn = [sorted(np.random.default_rng(k).permutation(250)[:125] + 1) for k in range(count)]
    cells = np.empty((1, count), object)
    for k, who in enumerate(drawn):
        cells[0, k] = {"a": 0.0, "b": 0.0, "c": np.array(who, float)[None]}
    savemat(file, {"trainIdxAll": cells})
    return [[int(w) for w in who] for who in drawn]


def test_grid_is_split_by_its_own_partitions(tmp_path: Path) -> None:
    folder = grid(tmp_path)
    drawn = partitions(folder / "underground_reid" / "features_and_partitions.mat")
    found = open_sets(str(folder))
    assert [sorted(people(each.train)) for each in found] == drawn
    assert {(len(each.query), len(each.gallery)) for each in found} == {(125, 900)}
    assert found[0].warnings == ()


def test_grid_without_its_partitions_says_so(tmp_path: Path) -> None:
    with pytest.warns(match="features_and_partitions.mat is missing: people are halved"):
        open_set(str(grid(tmp_path)))


def test_partitions_without_scipy_name_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (grid(tmp_path) / "underground_reid" / "features_and_partitions.mat").touch()
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(UnavailableError, match=r"pip install 'osnet-edge\[data\]'"):
        open_set(str(tmp_path))


@pytest.mark.parametrize(
    "content", [b"", b"MATLAB 5.0 MAT-file" + b"\0" * 200, None], ids=["empty", "cut", "other"]
)
def test_partitions_that_are_none_are_refused(tmp_path: Path, content: bytes | None) -> None:
    file = grid(tmp_path) / "underground_reid" / "features_and_partitions.mat"
    if content is None:
        savemat(file, {"trainIdxAll": np.zeros((1, 10))})
    else:
        file.write_bytes(content)
    with pytest.raises(InputError, match=r"features_and_partitions\.mat"):
        open_set(str(tmp_path))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["cam_a/000_0.bmp", "cam_b/001_0.bmp"], "expected viper with 632 people .* 0 were found"),
        (["cam_a/000_0.bmp", "cam_a/x.bmp"], "names such as 000_45.bmp in .*cam_a, got x.bmp"),
        (["cam_a/img_001.png"], "expected the folder .*cam_b"),
        (["probe/0001_1_x.jpeg", "gallery/0001_2_x.jpeg"], "expected grid with 250 people"),
    ],
)
def test_a_small_set_that_cannot_be_split_is_refused(tmp_path: Path, files: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_set(str(touch(tmp_path, *files)))


def test_a_copy_that_lacks_people_says_how_many(tmp_path: Path) -> None:
    folder = viper(tmp_path)
    (folder / "VIPeR" / "cam_b" / "000_90.bmp").unlink()
    with pytest.warns(match="632 people on both cameras, this copy has 631"):
        found = open_set(str(folder))
    assert len(found.train) == 2 * 315


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
    # 4,101 people in all; the validation pictures are of people to train on.
    everything = training_pictures([f"msmt17={folder}"], combineall=True)
    assert len(everything) == sum(MSMT17.values())
    assert {p.identity for p in everything} == set(range(4_101))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: (root / "list_val.txt").unlink(), "list_val.txt, which is not there"),
        (lambda root: (root / "list_query.txt").write_text("0000/a.jpg 0\n"), "'0000/a.jpg 0' in line 1"),
        (lambda root: (root / "list_query.txt").write_text("\n"), "names no picture"),
        (lambda root: (root / "test").rmdir(), "expected train/ and test/, or mask_train_v2/"),
    ],
)
def test_msmt17_with_a_part_missing_is_refused(
    tmp_path: Path, spoil: Callable[[Path], Any], words: str
) -> None:
    spoil(msmt17(tmp_path / "set", most=5))
    with pytest.raises(InputError, match=words):
        open_set(str(tmp_path / "set"))


#: The new protocol as published: pictures to train on, queries, gallery.
CUHK03 = {"detected": (7_365, 1_400, 5_332), "labeled": (7_368, 1_400, 5_328)}


def cuhk03_names(boxes: str) -> dict[str, list[str]]:
    """767 people to train on, and 700 with a query on each camera, over the camera pairs that there are."""
    everyone = [(pair, k + 1) for pair, most in enumerate((843, 440, 77, 58, 49), 1) for k in range(most)]
    train, query, gallery = CUHK03[boxes]

    def shots(who: list[tuple[int, int]], count: int, first: int) -> list[str]:
        order = [(pair, k, camera) for camera in (1, 2) for pair, k in who]
        turns = [(*order[n % len(order)], first + n // len(order)) for n in range(count)]
        return [f"{pair}_{k:03d}_{camera}_{shot:02d}.png" for pair, k, camera, shot in turns]

    return {
        "train": shots(everyone[:767], train, 1),
        "query": shots(everyone[767:], query, 1),
        "gallery": shots(everyone[767:], gallery, 2),
    }


def cuhk03(root: Path, boxes: str, form: str) -> Path:
    (root / f"images_{boxes}").mkdir(parents=True)
    names = cuhk03_names(boxes)
    if form == "json":
        there = f"C:\\data\\cuhk03/images_{boxes}/"
        lists = {part: [[there + name, 0, 0] for name in each] for part, each in names.items()}
        (root / f"splits_new_{boxes}.json").write_text(json.dumps([lists]))
        return root
    every = sorted(name for each in names.values() for name in each)
    place = {name: k + 1 for k, name in enumerate(every)}
    indices = {f"{part}_idx": [[place[name]] for name in each] for part, each in names.items()}
    filelist = np.array(every, object)[:, None]
    savemat(root / f"cuhk03_new_protocol_config_{boxes}.mat", {"filelist": filelist, **indices})
    return root


@pytest.mark.parametrize("form", ["json", "matlab"])
@pytest.mark.parametrize(("boxes", "name"), [("detected", "cuhk03"), ("labeled", "cuhk03-labelled")])
def test_cuhk03_has_767_and_700_people(tmp_path: Path, boxes: str, name: str, form: str) -> None:
    found = open_set(f"{name}={cuhk03(tmp_path, boxes, form)}")
    assert (len(found.train), len(found.query), len(found.gallery)) == CUHK03[boxes]
    assert (len(people(found.train)), len(people(found.query))) == (767, 700)
    assert not people(found.train) & people(found.query)
    assert (found.name, found.protocol) == (name, "market1501")
    assert found.query[0].path.parent == tmp_path / f"images_{boxes}"


def test_cuhk03_in_the_market1501_layout_keeps_its_two_kinds_of_boxes_apart(tmp_path: Path) -> None:
    for boxes, camera in (("detected", 1), ("labeled", 2)):
        touch(tmp_path / boxes, f"bounding_box_train/0001_c{camera}_1.png")
    assert [p.camera for p in open_set(f"cuhk03={tmp_path}").train] == [1]
    assert [p.camera for p in open_set(f"cuhk03-labelled={tmp_path}").train] == [2]


def test_the_first_protocol_of_cuhk03_has_twenty_splits_and_its_own_score(tmp_path: Path) -> None:
    (tmp_path / "images_detected").mkdir()
    splits = []
    for k in range(20):
        test = [
            [f"1_{100 * k % 800 + n + 1:03d}_{camera}_01.png", n, 0] for n in range(100) for camera in (1, 2)
        ]
        splits.append({"train": [["1_843_1_01.png", 0, 0]], "query": test, "gallery": test})
    (tmp_path / "splits_classic_detected.json").write_text(json.dumps(splits))
    found = open_sets(f"cuhk03-classic={tmp_path}")
    assert len(found) == 20
    assert {each.protocol for each in found} == {"single-gallery-shot"}
    assert {len(people(each.query)) for each in found} == {100}
    assert people(found[0].query) != people(found[1].query)


@pytest.mark.parametrize(
    ("files", "spec", "words"),
    [
        pytest.param(
            ["cuhk03_release/cuhk-03.mat"], "", "make pictures of cuhk-03.mat first", id="as published"
        ),
        pytest.param(
            ["images_detected/x"], "", "767/700 protocol of CUHK03 in .* found neither", id="no protocol"
        ),
        pytest.param(["images_detected/x"], "cuhk03-classic=", "twenty splits", id="no first protocol"),
        pytest.param(
            ["bounding_box_train/0001_c1.png"], "cuhk03-labelled=", "images_labeled", id="which boxes?"
        ),
        pytest.param(
            ["images_detected/x", "splits_new_detected.json"],
            "",
            "expected lists of .picture",
            id="empty lists",
        ),
    ],
)
def test_cuhk03_that_cannot_be_told_is_refused(
    tmp_path: Path, files: list[str], spec: str, words: str
) -> None:
    touch(tmp_path, *files)
    with pytest.raises(InputError, match=words):
        open_set(f"{spec}{tmp_path}")


def test_a_layout_is_recognised_by_what_is_in_it_whatever_its_name(tmp_path: Path) -> None:
    touch(tmp_path / "viper", "query/0001_c1.png", "bounding_box_test/0001_c2.png")
    found: ReidSet = open_set(str(tmp_path / "viper"))
    assert (len(found.query), len(found.gallery)) == (1, 1)
    assert open_sets(f"viper={tmp_path / 'viper'}")[0].query == found.query
