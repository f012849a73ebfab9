"""What a user types for a set, and several sets as one source."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from empty_files import touch

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.data import count_splits, open_set, open_sets, parse_specs, training_pictures

MARKET = ("bounding_box_train/0002_c1s1_1.jpg", "query/0001_c1s1_1.jpg", "bounding_box_test/0001_c2s1_1.jpg")


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("market1501", "market1501"),
        ("Market-1501-v15.09.15", "market1501"),
        ("street", "street"),
        ("VIPeR", "viper"),
        ("cuhk03-np", "cuhk03"),
        ("MSMT17_V1", "msmt17"),
    ],
)
def test_a_name_is_looked_up_under_the_usual_names_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, name: str
) -> None:
    touch(tmp_path / folder, *MARKET)
    monkeypatch.setenv("OSNET_EDGE_DATA", str(tmp_path))
    found = open_set(name)
    assert (found.name, found.root, len(found.query)) == (name, tmp_path / folder, 1)


def test_a_folder_here_goes_before_one_of_that_name_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "here" / "viper", *MARKET)
    touch(tmp_path / "there" / "viper", *MARKET)
    monkeypatch.setenv("OSNET_EDGE_DATA", str(tmp_path / "there"))
    monkeypatch.chdir(tmp_path / "here")
    assert open_set("viper").root == Path("viper")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("nowhere", r"found nothing called nowhere in "),
        ("market1501", r"found nothing called market1501 in "),
        ("", "found nothing called "),
        ("site=.", r"expected one of market1501, .* before =, got site; .* give \. alone"),
        ("../x", "found nothing called"),
        ("set.zip", "set.zip is a file; unpack"),
        ("missing.csv", "found nothing called missing.csv"),
        ("msmt17=other", r"expected msmt17 with list_\*\.txt in other"),
        ("grid=nowhere", "expected grid with .* in nowhere"),
        ("street/query", "not that folder itself"),
    ],
)
def test_what_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, words: str
) -> None:
    touch(tmp_path, "set.zip", "street/query/0001_c1.txt", "other/x")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OSNET_EDGE_DATA", str(tmp_path))
    with pytest.raises(InputError, match=words):
        open_set(spec)


def test_without_the_variable_a_name_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OSNET_EDGE_DATA", raising=False)
    with pytest.raises(InputError, match=r"\$OSNET_EDGE_DATA is not set"):
        open_set("market1501")


def test_a_set_has_only_its_splits(tmp_path: Path) -> None:
    touch(tmp_path, *MARKET)
    assert count_splits(str(tmp_path)) == len(open_sets(str(tmp_path))) == 1
    with pytest.raises(InputError, match="from 0 to 0, got 1"):
        open_set(str(tmp_path), split=1)
    with pytest.raises(InputError, match="seed of 0 or more"):
        open_set(str(tmp_path), seed=-1)


def test_the_reader_of_dukemtmc_says_once_that_it_was_withdrawn(tmp_path: Path) -> None:
    duke = touch(tmp_path / "DukeMTMC-reID", "bounding_box_train/0005_c2_f0046985.jpg")
    code = (
        "import sys; from osnet_edge.train.data import open_set\n"
        "for spec in sys.argv[1:] * 2: assert open_set(spec).train[0].identity == 5"
    )
    given = [str(duke), f"dukemtmc={duke}"]
    ran = subprocess.run([sys.executable, "-c", code, *given], capture_output=True, text=True, check=True)
    assert ran.stderr.count("withdrawn by its authors") == 1
    other = touch(tmp_path / "street", *MARKET)
    ran = subprocess.run(
        [sys.executable, "-c", code.replace("5", "2"), str(other)], capture_output=True, text=True
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_people_and_cameras_of_several_sources_never_collide(tmp_path: Path) -> None:
    one = touch(tmp_path / "one", *(f"bounding_box_train/{k:04d}_c{c}.jpg" for k in (2, 7) for c in (1, 3)))
    two = touch(
        tmp_path / "two", *(f"bounding_box_train/{k:04d}_c{c}.jpg" for k in (0, 2, 9) for c in (1, 2))
    )
    pictures = training_pictures([str(one), str(two), str(one)])
    # The name says who is on an image of one set; its folder and its turn say which set.
    turns = [one] * 4 + [two] * 6 + [one] * 4
    assert [p.path.parents[1] for p in pictures] == turns
    people = {(k < 4, k > 9, p.path.name[:4], p.identity) for k, p in enumerate(pictures)}
    cameras = {(k < 4, k > 9, p.path.name[4:], p.camera) for k, p in enumerate(pictures)}
    assert len(people) == len({p.identity for p in pictures}) == 7
    assert {p.identity for p in pictures} == set(range(7))
    assert len(cameras) == len({p.camera for p in pictures}) == 6
    assert {p.camera for p in pictures} == set(range(6))


def test_all_pictures_combined_leave_out_junk_and_distractors(tmp_path: Path) -> None:
    names = ("0000_c2s1_2.jpg", "-1_c1s1_2.jpg", "0001_c3s1_2.jpg")
    touch(tmp_path, *MARKET, *(f"bounding_box_test/{name}" for name in names))
    assert [p.path.name for p in training_pictures([str(tmp_path)])] == ["0002_c1s1_1.jpg"]
    everything = training_pictures([str(tmp_path)], combineall=True)
    assert sorted(p.path.name for p in everything) == [
        "0001_c1s1_1.jpg",
        "0001_c2s1_1.jpg",
        "0001_c3s1_2.jpg",
        "0002_c1s1_1.jpg",
    ]
    assert {p.identity for p in everything} == {0, 1}


def test_a_person_0_who_is_looked_for_is_no_distractor(tmp_path: Path) -> None:
    touch(tmp_path, "bounding_box_train/0001_c1.jpg", "query/0000_c1.jpg", "bounding_box_test/0000_c2.jpg")
    assert len(training_pictures([str(tmp_path)], combineall=True)) == 3


@pytest.mark.parametrize(
    ("files", "combineall", "words"),
    [
        (["query/0001_c1.jpg", "bounding_box_test/0001_c2.jpg"], False, "expected images to train on in"),
        ([*MARKET, "query/0002_c1.jpg"], True, "1 numbers are both, such as 2"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(
    tmp_path: Path, files: list[str], combineall: bool, words: str
) -> None:
    touch(tmp_path, *files)
    with pytest.raises(InputError, match=words):
        training_pictures([str(tmp_path)], combineall=combineall)
    with pytest.raises(InputError, match="expected a set to train on"):
        training_pictures([])


def test_several_sets_are_named_with_commas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_specs("market1501, msmt17") == ("market1501", "msmt17")
    touch(tmp_path / "a,b", *MARKET)
    assert parse_specs("a,b") == ("a,b",)
    with pytest.raises(InputError, match="expected sets such as market1501,msmt17"):
        parse_specs("market1501,")


def test_a_layout_is_recognised_by_what_is_in_it_whatever_its_name(tmp_path: Path) -> None:
    touch(tmp_path / "viper", "query/0001_c1.png", "bounding_box_test/0001_c2.png")
    found = open_set(str(tmp_path / "viper"))
    assert (len(found.query), len(found.gallery)) == (1, 1)
    assert open_sets(f"viper={tmp_path / 'viper'}")[0].query == found.query


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        pytest.param(["0001/1.jpg", "0001/2.jpg", "0002/1.png"], "{identity}/*", id="a folder a person"),
        pytest.param(["anna/c1_1.jpg", "ben/c2_1.jpg"], "{identity}/c{camera}_*", id="cameras in the names"),
        pytest.param(["0001_c1_1.jpg", "0002_c2_1.jpg"], "{identity}_c{camera}_*", id="all in one folder"),
        pytest.param(
            ["train/1_c1_1.jpg", "query/2_c1_1.jpg", "gallery/2_c2_1.jpg"],
            "{split}/{identity}_c{camera}_*",
            id="folders of splits",
        ),
        pytest.param(
            ["train/1/c1_1.jpg", "query/2/c1_1.jpg", "gallery/2/c2_1.jpg"],
            "{split}/{identity}/c{camera}_*",
            id="folders of splits, with a folder a person",
        ),
        pytest.param(
            ["day1/7_c1_1.jpg", "day2/8_c2_1.jpg"], "*/{identity}_c{camera}_*", id="folders of days"
        ),
    ],
)
def test_the_pattern_that_is_advised_for_a_folder_reads_it(
    names: list[str], pattern: str, tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).touch()
    with pytest.raises(InputError) as refused:
        open_set(str(tmp_path / "set"))
    advised = re.search(r"give '(.*)'", str(refused.value))
    assert advised
    assert advised[1].endswith(f"::{pattern}")
    found = open_set(advised[1])
    assert len(found.train) + len(found.query) + len(found.gallery) == len(names)


def test_people_in_folders_below_a_known_folder_get_their_pattern(tmp_path: Path) -> None:
    for name in ("0001/1.jpg", "0002/1.jpg"):
        (tmp_path / "bounding_box_train" / name).parent.mkdir(parents=True)
        (tmp_path / "bounding_box_train" / name).touch()
    with pytest.raises(InputError, match=r"bounding_box_train::{identity}/\*'"):
        open_set(str(tmp_path))


@pytest.mark.parametrize("names", [[], ["x.heic"], ["a b.jpg", "c/d.jpg"]])
def test_a_folder_that_fits_nothing_says_what_it_holds(names: list[str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"no image that ends in .jpg|holds 2 images, such as a b.jpg; give"):
        open_set(str(tmp_path))


def test_a_set_is_found_folders_further_in_if_it_is_the_only_one(tmp_path: Path) -> None:
    inner = tmp_path / "download/MSMT17/Market-1501"
    for name in ("query/0001_c1_1.jpg", "bounding_box_test/0001_c2_1.jpg"):
        (inner / name).parent.mkdir(parents=True)
        (inner / name).touch()
    assert len(open_set(str(tmp_path)).query) == 1
    shutil.copytree(inner, inner.with_name("copy"))
    with pytest.raises(InputError, match="is no re-ID set that is known"):
        open_set(str(tmp_path))
