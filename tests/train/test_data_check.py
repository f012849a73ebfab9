"""`osnet-edge data check`: counts, what looks wrong, files that cannot be decoded, the contact sheet."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawn_people import draw_people
from PIL import Image

from osnet_edge.cli.main import main
from osnet_edge.train.data import open_set
from osnet_edge.train.data.check import check_set, count_files
from osnet_edge.train.data.contact_sheet import draw_contact_sheet

PACKAGE = Path(__file__).parents[1] / "frozen/before/float32"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_people(tmp_path_factory.mktemp("sets") / "people", train=3, cameras=3)


@pytest.fixture
def people(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "people"))


def warnings_of(folder: Path) -> str:
    return "\n".join(check_set(open_set(str(folder))).warnings)


def test_a_sound_set_is_counted_and_nothing_more_is_said(
    people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "check", str(people)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["train", "3", "3", "18"] in lines
    assert ["query", "2", "3", "6"] in lines
    assert ["gallery", "2", "3", "6"] in lines
    assert lines[-1] == ["every", "image", "can", "be", "decoded"]
    assert not any(line[:1] == ["warning:"] for line in lines)


def test_progress_counts_every_file_once(people: Path) -> None:
    seen: list[int] = []
    found = open_set(str(people))
    check_set(found, seen.append)
    assert sum(seen) == count_files(found) == 30


def test_every_file_that_cannot_be_decoded_is_listed_and_the_exit_code_is_1(
    people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = sorted((people / "bounding_box_train").iterdir())
    train[0].write_bytes(b"hello")
    train[4].write_bytes(train[4].read_bytes()[:600])
    assert main(["data", "check", str(people), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [Path(each["path"]) for each in document["unreadable"]] == [train[0], train[4]]
    assert document["splits"]["train"] == {"identities": 3, "cameras": 3, "pictures": 18}
    assert main(["data", "check", str(people)]) == 1
    out = capsys.readouterr().out
    assert out.count("unreadable: ") == 2
    assert "2 images cannot be decoded" in out


def rename(folder: str, old: str, new: str) -> Callable[[Path], object]:
    return lambda root: [
        p.rename(p.with_name(p.name.replace(old, new))) for p in (root / folder).glob(f"*{old}*")
    ]


def copied(root: Path) -> None:
    first, *_, last = sorted((root / "bounding_box_train").iterdir())
    shutil.copy(first, first.with_name("0001_c1s1_000009_00.jpg"))
    shutil.copy(first, last)


def resized(width: int, height: int) -> Callable[[Path], object]:
    def save(root: Path) -> None:
        path = sorted((root / "query").iterdir())[0]
        Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(path)

    return save


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(
            lambda root: [p.unlink() for p in (root / "bounding_box_train").glob("0002_c[23]*")],
            ["people to train on with one camera only: 1 of 3, such as 2"],
            id="one camera",
        ),
        pytest.param(
            lambda root: [p.unlink() for p in (root / "bounding_box_test").glob("0004*")],
            ["queries without a match on another camera in the gallery: 3 of 6, such as 0004_c1s1"],
            id="no match",
        ),
        pytest.param(
            rename("bounding_box_train", "0003_", "0004_"),
            ["people both in training and test images: 1, such as 4"],
            id="one person in both",
        ),
        pytest.param(resized(12, 40), ["images smaller than 48x16: 1, such as", "(40x12)"], id="tiny"),
        pytest.param(resized(90, 60), ["images wider than high: 1, such as"], id="wide"),
        pytest.param(
            copied,
            ["copies of another image, byte by byte: 2,", "equal images under different identities: 3,"],
            id="copies",
        ),
    ],
)  # fmt: skip
def test_what_looks_wrong_is_counted(people: Path, spoil: Callable[[Path], object], words: list[str]) -> None:
    assert warnings_of(people) == ""
    spoil(people)
    told = warnings_of(people)
    assert all(word in told for word in words), told


def test_warnings_of_the_reader_are_in_the_report_and_not_beside_it(
    people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pattern = f"{people}::bounding_box_train/{{identity}}_{{camera}}s*.jpg"
    assert main(["data", "check", pattern]) == 0
    captured = capsys.readouterr()
    assert "warning: images that do not fit bounding_box_train/" in captured.out
    assert captured.err == ""


def test_other_commands_say_the_reader_s_warnings_as_notes(
    people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pattern = f"{people}::{{split}}/{{identity}}_{{camera}}s*.jpg"
    for old, new in (("bounding_box_train", "train"), ("bounding_box_test", "gallery")):
        (people / old).rename(people / new)
    shutil.copy(sorted((people / "train").iterdir())[0], people / "extra.jpg")
    assert main(["bench", str(PACKAGE), "--data", pattern, "--batch", "4096"]) == 2
    err = capsys.readouterr().err.splitlines()
    assert err[0].startswith(
        "note: images that do not fit {split}/{identity}_{camera}s*.jpg: 1, such as extra.jpg"
    )
    assert err[-1].startswith("error: ")


def test_a_contact_sheet_shows_people_in_rows_and_cameras_in_columns(people: Path, tmp_path: Path) -> None:
    broken = sorted((people / "bounding_box_train").glob("0002_c2*"))[0]
    broken.write_bytes(b"x")
    assert main(["data", "check", str(people), "--sheet", str(tmp_path / "sheet.png")]) == 1
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
        assert sheet.size == draw_contact_sheet(open_set(str(people))).size
    # 3 people to train on and 2 to test on, 144 pixels high each; 3 cameras with 2 images of 72 pixels.
    assert pixels.shape[0] > 5 * 144
    assert pixels.shape[1] > 3 * 2 * 72
    red = (np.abs(pixels - (192, 57, 43)) < 3).all(2)
    assert red.sum() > 500, "the broken image is a crossed box"
    rows, columns = np.nonzero(red)
    assert rows.max() - rows.min() < 144
    assert columns.max() - columns.min() < 72


def test_a_sheet_of_many_people_and_cameras_stays_small(tmp_path: Path) -> None:
    folder = tmp_path / "bounding_box_train"
    folder.mkdir()
    crop = Image.new("RGB", (16, 48), "navy")
    for who in range(1, 40):
        for camera in range(1, 21):
            crop.save(folder / f"{who:04d}_c{camera}.png")
    sheet = draw_contact_sheet(open_set(str(tmp_path)))
    assert sheet.width < 2000
    assert sheet.height < 1500
