"""The small sets as their authors lay them out: the published numbers of people and images, the halving.

Readers go by names alone, so empty files stand for all images.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from empty_files import people, touch
from scipy.io import savemat

from osnet_edge.runtime.errors import InputError, UnavailableError
from osnet_edge.train.data import DISTRACTOR, open_set, open_sets


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
    """119 people with 476 images, 2 to 8 each."""
    counts = [2, 8, 2, 4, 4] * 23 + [4, 4, 4, 4]
    assert (len(counts), sum(counts)) == (119, 476)
    names = [f"{k + 1:04d}{n + 1:03d}.jpg" for k, count in enumerate(counts) for n in range(count)]
    return touch(root / "i-LIDS_Pedestrian" / "Persons", *names).parents[1]


SMALL = [
    pytest.param(viper, "viper", 20, (632, 316, 316), (316, 316), id="VIPeR: 316 and 316 people, both ways"),
    pytest.param(prid2011, "prid2011", 10, (200, 100, 649), (100, 100), id="PRID-2011: 100 among 649"),
    pytest.param(prid450s, "prid450s", 10, (450, 225, 225), (225, 225), id="PRID450S: 225 and 225"),
    pytest.param(
        cuhk01, "cuhk01", 20, (1940, 972, 972), (485, 486), id="CUHK01: 485 and 486, two images a side"
    ),
    pytest.param(grid, "grid", 10, (250, 125, 900), (125, 125), id="GRID: 125 among 125 and 775 distractors"),
    pytest.param(ilids, "ilids", 10, None, (59, 60), id="i-LIDS: 59 and 60, one image a side"),
]


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
