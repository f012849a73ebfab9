"""A user's own images, by a table or by a pattern: what is read, and what a wrong line is told."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, features

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.pictures import find_pictures, read_picture
from osnet_edge.train.data import ReidSet, open_set
from osnet_edge.train.data.open_set import _say
from osnet_edge.train.data.pattern_set import compile_pattern
from osnet_edge.train.data.reid_set import DataWarning


def table(folder: Path, text: str, *pictures: str) -> str:
    for name in pictures or ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "people.csv").write_text(text, encoding="utf-8")
    return str(folder / "people.csv")


def told(found: ReidSet) -> list[list[tuple[str, int, int]]]:
    return [
        [(p.path.name, p.identity, p.camera) for p in x] for x in (found.train, found.query, found.gallery)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "path,identity,camera,split\na.jpg,zoe,b,train\nb.jpg,anna,a,query\nc.jpg,anna,b,gallery\nd.jpg,,b,gallery\n",
            [[("a.jpg", 2, 2)], [("b.jpg", 1, 1)], [("c.jpg", 1, 2), ("d.jpg", 0, 2)]],
            id="identities and cameras are numbered in sorted order, nobody is 0",
        ),
        pytest.param(
            "identity, path\n2,a.jpg\n1,b.jpg\n",
            [[("a.jpg", 2, 1), ("b.jpg", 1, 1)], [], []],
            id="without split all is to train on, and cameras may be left out",
        ),
        pytest.param(
            "\ufeffpath,identity,remark\r\n a.jpg , 7 ,\"x, y\"\r\n\r\n",
            [[("a.jpg", 1, 1)], [], []],
            id="a spreadsheet's mark, spaces, quotes, other columns and empty lines",
        ),
    ],
)  # fmt: skip
def test_a_table_says_who_is_on_a_picture(
    tmp_path: Path, text: str, expected: list[list[tuple[str, int, int]]]
) -> None:
    found = open_set(table(tmp_path, text))
    assert told(found) == expected
    assert (found.name, found.root) == ("people", tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "is empty; its first line must be path,identity,camera,split", id="an empty file"),
        pytest.param("path,identity\n", "names no image", id="a heading alone"),
        pytest.param("path,camera,split\na.jpg,1,train\n", "identity cannot be left out", id="no identity"),
        pytest.param("a.jpg,1\n", "got a.jpg,1; path and identity cannot be left out", id="no heading"),
        pytest.param("path,identity,path\na.jpg,1,b.jpg\n", "got path more than once", id="a column twice"),
        pytest.param(
            "path,identity,camera,split\na.jpg,1,1,test\n", "got 'test' in line 2", id="another split"
        ),
        pytest.param(
            "path,identity,split\na.jpg,1,query\nb.jpg,1,gallery\n", "camera in line 2", id="no camera"
        ),
        pytest.param(
            "path,identity,camera\na.jpg,1,1\nb.jpg,1,\n", "expected a camera in line 3", id="one empty"
        ),
        pytest.param(
            "path,identity\na.jpg,1\n\nb.jpg,\n", "expected an identity in line 4", id="no identity"
        ),
        pytest.param("path,identity\na.jpg,1\nno.jpg,1\n", "no.jpg, which line 3", id="a missing image"),
        pytest.param(
            "path,identity\na.jpg,1,2\n", "as many cells as columns in line 2", id="a cell too many"
        ),
        pytest.param("path,identity\na.jpg\n", "as many cells as columns in line 2", id="a cell too few"),
        pytest.param(
            "path,identity,camera,split\na.jpg,1,1,query\nb.jpg,2,1,train\n./a.jpg,1,2,gallery\n",
            "in line 2 of .* and in line 4",
            id="one image in two splits",
        ),
        pytest.param(
            "path,identity,camera,split\na.jpg,1,1,query\n", "query and gallery", id="a query alone"
        ),
        pytest.param('path,identity\n"a.jpg,1\n', "cannot be read as a CSV", id="an open quote"),
    ],
)
def test_a_wrong_table_is_refused_by_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        open_set(table(tmp_path, text))
    assert "\n" not in str(refused.value)


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00path")
    with pytest.raises(InputError, match="cannot be read as a CSV"):
        open_set(str(tmp_path / "x.csv"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), min_size=1, max_size=4))
def test_any_identities_and_cameras_are_numbered_or_refused_in_words(
    tmp_path: Path, rows: list[tuple[str, str]]
) -> None:
    names = "abcd"
    for name in names:
        (tmp_path / name).touch()
    with open(tmp_path / "x.csv", "w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("path", "identity", "camera"), *((names[k], *row) for k, row in enumerate(rows))])
    try:
        found = open_set(str(tmp_path / "x.csv"))
    except InputError:
        return
    assert [p.path.name for p in found.train] == list(names[: len(rows)])
    people = {p.identity for p in found.train}
    assert people == set(range(1, len(people) + 1))


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        pytest.param(
            "{identity}_{camera}_*.jpg", "anna_c1_0_17.jpg", ("anna", "c1"), id="fields take little"
        ),
        pytest.param("{camera}/{identity}.*", "north/anna.b.png", ("anna", "north"), id="folders"),
        pytest.param("{identity}_{camera}.png", "a_b_c.png", ("a", "b_c"), id="what fits the whole name"),
        pytest.param("{identity}_{camera}.png", "x/a_b.png", None, id="no field reaches past a folder"),
        pytest.param("{identity}_{camera}.png", "_b.png", None, id="no field is empty"),
        pytest.param(
            "p.{identity}[{camera}]*.jpg", "p.1[2].jpg", ("1", "2"), id="other signs are themselves"
        ),
    ],
)
def test_a_pattern_finds_its_fields(pattern: str, name: str, expected: tuple[str, str] | None) -> None:
    fits = compile_pattern(pattern).fullmatch(name)
    assert (fits and (fits["identity"], fits["camera"])) == expected


def test_pictures_below_a_folder_are_read_by_a_pattern_and_the_others_counted(tmp_path: Path) -> None:
    for name in (
        "train/zoe_2_1.jpg",
        "query/anna_1_1.JPG",
        "gallery/anna_2_1.jpg",
        "gallery/notes.txt",
        "gallery/._anna_2_1.jpg",
        "other.jpg",
        "train/x.jpg",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.warns(match=r"images that do not fit .*: 2, such as other\.jpg"):
        found = open_set(f"{tmp_path}::{{split}}/{{identity}}_{{camera}}_*")
    assert told(found) == [[("zoe_2_1.jpg", 2, 2)], [("anna_1_1.JPG", 1, 1)], [("anna_2_1.jpg", 1, 2)]]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("{camera}/*.jpg", "with {identity} and perhaps"),
        ("{identity}_{identity}.jpg", "each once"),
        ("{identity}_{who}.jpg", "got '{identity}_{who}.jpg'"),
        ("", "expected a pattern such as"),
        ("{identity}_{camera}.png", "no image in .* fits .* of 1 the first is a.jpg"),
        ("{split}.jpg{identity}", "no image in"),
        ("{identity}.{split}", "expected a split of train, query, gallery, got 'jpg' in a.jpg"),
    ],
)
def test_a_pattern_that_fits_nothing_is_refused(tmp_path: Path, pattern: str, words: str) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(InputError, match=words):
        open_set(f"{tmp_path}::{pattern}")


def test_a_pattern_for_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere does not exist"):
        open_set(f"{tmp_path}/nowhere::{{identity}}.jpg")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="it holds none at all"):
        open_set(f"{tmp_path}/empty::{{identity}}.jpg")


def test_images_of_every_kind_are_taken_and_other_files_are_counted(tmp_path: Path) -> None:
    suffixes = ("jpg", "JPEG", "jfif", "png", "bmp", "webp", "tif", "TIFF", "gif", "avif")
    for number, suffix in enumerate((*suffixes, "heic", "heic", "txt")):
        (tmp_path / f"{number:04d}_c1s1_1_00.{suffix}").touch()
    (tmp_path / "Thumbs.db").touch()
    (tmp_path / "bounding_box_train").mkdir()
    for path in list(tmp_path.glob("*.*")):
        path.rename(tmp_path / "bounding_box_train" / path.name)
    said = "files left out, which do not end as images do: 3 (.heic 2, .txt 1)"
    for spec in (str(tmp_path), f"{tmp_path}::bounding_box_train/{{identity}}_c*"):
        with pytest.warns(DataWarning, match=re.escape(said)):
            assert len(open_set(spec).train) == len(suffixes)
        _say.cache_clear()


@pytest.mark.parametrize("suffix", ["jpg", "jfif", "png", "bmp", "webp", "tif", "gif", "avif"])
def test_what_is_taken_for_an_image_can_be_read(suffix: str, tmp_path: Path) -> None:
    if suffix == "avif" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    Image.new("RGB", (20, 40), (90, 120, 30)).save(tmp_path / f"x.{suffix}")
    (found,) = find_pictures([str(tmp_path)])
    assert read_picture(found).shape == (40, 20, 3)
