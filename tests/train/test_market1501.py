"""Reading re-ID sets: which names count, what is left out, what a person is told of a wrong folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from empty_files import touch
from hypothesis import given
from hypothesis import strategies as st

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.data import parse_name, read_market1501

SHARED = Path(__file__).parents[2].parent / "shared"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("0001_c1s1_000151_00.jpg", (1, 1), id="Market-1501's own names"),
        pytest.param("-1_c3s2_000101_02.jpg", (-1, 3), id="junk has identity -1"),
        pytest.param("0000_c6s3_077392_01.jpg", (0, 6), id="a distractor has identity 0"),
        pytest.param("0002_c12s1_000451_03.PNG", (2, 12), id="two-digit camera, PNG, upper-case suffix"),
        pytest.param("0001_c2_f0046182.jpeg", (1, 2), id="DukeMTMC has no sequence"),
        pytest.param("12_c1.jpg", (12, 1), id="nothing after the camera"),
        pytest.param("holiday.jpg", None, id="any other image"),
        pytest.param("c1s1_000151_00.jpg", None, id="no identity"),
        pytest.param("0001_s1_000151_00.jpg", None, id="no camera"),
        pytest.param("-2_c1s1_000151_00.jpg", None, id="no negative identity but -1"),
        pytest.param("0001_c1x_000151_00.jpg", None, id="letters right after the camera"),
        pytest.param("0001_c1s1_000151_00.heic", None, id="no image format that is read"),
        pytest.param("\u0660\u0661_c1s1_000151_00.jpg", None, id="digits of other scripts"),
    ],
)
def test_a_name_says_identity_and_camera(name: str, expected: tuple[int, int] | None) -> None:
    assert parse_name(name) == expected


@given(
    identity=st.integers(-1, 99_999),
    camera=st.integers(0, 99),
    sequence=st.one_of(st.none(), st.integers(1, 99)),
    rest=st.lists(st.integers(0, 9_999_999), max_size=3),
    suffix=st.sampled_from([".jpg", ".jpeg", ".png", ".JPG"]),
)
def test_every_name_of_the_layout_is_read_back(
    identity: int, camera: int, sequence: int | None, rest: list[int], suffix: str
) -> None:
    who = "-1" if identity < 0 else f"{identity:04d}"
    middle = "" if sequence is None else f"s{sequence}"
    end = "".join(f"_{number:02d}" for number in rest)
    assert parse_name(f"{who}_c{camera}{middle}{end}{suffix}") == (identity, camera)


@given(st.text(max_size=30))
def test_no_name_breaks_the_parser(name: str) -> None:
    parsed = parse_name(name)
    assert parsed is None or (parsed[0] >= -1 and parsed[1] >= 0)


def test_splits_are_sorted_and_junk_and_other_files_left_out(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "bounding_box_train/0007_c2s1_000002_00.jpg",
        "bounding_box_train/0002_c1s1_000001_00.png",
        "bounding_box_train/Thumbs.db",
        "bounding_box_train/._0007_c2s1_000002_00.jpg",
        "query/0001_c1s1_000001_00.jpeg",
        "bounding_box_test/0001_c2s1_000001_00.jpg",
        "bounding_box_test/-1_c1s1_000001_00.jpg",
        "bounding_box_test/0000_c1s1_000001_00.jpg",
        "bounding_box_test/readme.txt",
    )
    found = read_market1501(tmp_path)
    assert [(p.identity, p.camera) for p in found.train] == [(2, 1), (7, 2)]
    assert [(p.identity, p.camera) for p in found.query] == [(1, 1)]
    assert [(p.identity, p.camera) for p in found.gallery] == [(0, 1), (1, 2)]
    assert found.train[0].path == tmp_path / "bounding_box_train" / "0002_c1s1_000001_00.png"
    assert (found.name, found.root) == (tmp_path.name, tmp_path)


def test_a_split_that_is_missing_or_not_asked_for_is_empty(tmp_path: Path) -> None:
    touch(tmp_path, "query/0001_c1_1.jpg", "bounding_box_test/0001_c2_1.jpg")
    found = read_market1501(str(tmp_path))
    assert (len(found.train), len(found.query), len(found.gallery)) == (0, 1, 1)
    only = read_market1501(tmp_path, splits=("query",))
    assert (len(only.query), len(only.gallery)) == (1, 0)


def test_a_folder_named_like_a_picture_is_no_picture(tmp_path: Path) -> None:
    touch(tmp_path, "bounding_box_train/0001_c1_1.jpg", "bounding_box_train/0002_c1_1.jpg/inner.txt")
    assert [p.identity for p in read_market1501(tmp_path).train] == [1]


@pytest.mark.parametrize(
    ("files", "root", "words"),
    [
        pytest.param([], "nowhere", ["nowhere", "does not exist"], id="no such folder"),
        pytest.param(["set.zip"], "set.zip", ["set.zip is a file", "unpack"], id="an archive"),
        pytest.param(["notes.txt"], "", ["bounding_box_train/", "found none"], id="no split at all"),
        pytest.param(
            ["query/0001_c1_1.jpg"],
            "query",
            ["found none", "not that folder itself"],
            id="too deep",
        ),
        pytest.param(["v15/query/0001_c1_1.jpg"], "", ["did you mean", "v15"], id="too shallow"),
        pytest.param(["query/0001_c1_1.jpg"], "", ["no bounding_box_test/"], id="query without gallery"),
        pytest.param(["bounding_box_test/0001_c1_1.jpg"], "", ["no query/"], id="gallery without query"),
        pytest.param(
            ["bounding_box_train/a.txt"], "", ["no image that ends in .jpg"], id="a split without images"
        ),
        pytest.param(["bounding_box_train/-1_c1_1.jpg"], "", ["only 1 junk"], id="a split of junk alone"),
        pytest.param(
            ["bounding_box_train/0001_c1_1.jpg", "bounding_box_train/b.jpg", "bounding_box_train/a.jpg"],
            "",
            ["0001_c1s1_000151_00.jpg", "got a.jpg"],
            id="the first image whose name does not fit is named",
        ),
    ],
)
def test_a_wrong_folder_is_refused_in_one_line(
    tmp_path: Path, files: list[str], root: str, words: list[str]
) -> None:
    touch(tmp_path, *files)
    with pytest.raises(InputError) as refused:
        read_market1501(tmp_path / root)
    message = str(refused.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


@pytest.mark.parametrize("splits", [(), ("train", "val")])
def test_unknown_splits_are_refused(tmp_path: Path, splits: tuple[str, ...]) -> None:
    touch(tmp_path, "bounding_box_train/0001_c1_1.jpg")
    with pytest.raises(InputError, match="splits among train, query, gallery"):
        read_market1501(tmp_path, splits=splits)


@pytest.mark.skipif(not (SHARED / "data" / "viper").is_dir(), reason="the shared data is not here")
@pytest.mark.parametrize(
    ("name", "counts", "identities"),
    [
        pytest.param("viper", (0, 632, 632), 632, id="VIPeR: two cameras, a person once on each"),
        pytest.param("cuhk03", (2969, 0, 0), 743, id="CUHK03: a train folder alone"),
    ],
)
def test_real_sets_are_read(name: str, counts: tuple[int, int, int], identities: int) -> None:
    found = read_market1501(SHARED / "data" / name)
    assert (len(found.train), len(found.query), len(found.gallery)) == counts
    assert len({picture.identity for picture in found.train + found.query}) == identities
