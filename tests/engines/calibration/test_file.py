"""The file of a calibration set: what it says, that it leads to its images, and that it is held to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.sets import blotches, calibrate
from osnet_edge.engines.calibration import load_pictures, read_calibration_set
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.pictures import read_picture


def test_the_file_says_how_it_was_drawn_and_leads_to_the_crops(people: Path, tmp_path: Path) -> None:
    file = tmp_path / "calib.json"
    document = calibrate(file, "--data", str(people), "--images", "4", "--exclude", str(people))
    how = document["drawn"]
    assert (how["asked"], how["available"], how["identities"], how["cameras"]) == (4, 16, 4, 2)
    assert how["sources"] == how["excluded"] == [str(people)]
    names = [Path(p["path"]) for p in document["pictures"]]
    assert all(name.parent == Path("people/bounding_box_train") for name in names)
    crops = list(load_pictures(read_calibration_set(file).pictures))
    for name, crop in zip(names, crops, strict=True):
        np.testing.assert_array_equal(crop, read_picture(tmp_path / name))


def test_file_and_pictures_can_move_together(people: Path, tmp_path: Path) -> None:
    calibrate(people / "calib.json", "--data", str(people), "--images", "3")
    moved = people.rename(tmp_path / "elsewhere")
    assert len(list(load_pictures(read_calibration_set(moved / "calib.json").pictures))) == 3


def test_a_link_to_the_folder_does_not_lead_astray(people: Path, tmp_path: Path) -> None:
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "deeper")
    file = tmp_path / "link" / "calib.json"
    # The system goes up from where the link leads to, not from where it is.
    calibrate(file, "--data", str(tmp_path / "link" / ".." / ".." / "people"), "--images", "3")
    assert len(list(load_pictures(read_calibration_set(file).pictures))) == 3


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(lambda path: path.unlink(), "found nothing there", id="vanished"),
        pytest.param(lambda path: blotches(7).save(path), "but it was changed", id="changed"),
        pytest.param(lambda path: path.write_bytes(b""), "but it was changed", id="emptied"),
    ],
)
def test_a_picture_that_vanished_or_was_changed_is_named(
    people: Path, tmp_path: Path, spoil: Callable[[Path], object], words: str
) -> None:
    calibrate(tmp_path / "calib.json", "--data", str(people), "--images", "4")
    found = read_calibration_set(tmp_path / "calib.json")
    last = Path(found.pictures[-1].path)
    spoil(last)
    with pytest.raises(InputError, match=f"{last.name}.*{words}"):
        list(load_pictures(found.pictures))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        pytest.param(lambda d: d.update(format="a list"), "expected 'osnet-edge calibration set'", id="else"),
        pytest.param(lambda d: d.update(version=2), "version: expected 1, got 2", id="a later version"),
        pytest.param(lambda d: d.update(pictures=[]), "one calibration image or more", id="no image"),
        pytest.param(lambda d: d["pictures"][0].pop("sha256"), "'sha256' is missing", id="no hash"),
        pytest.param(lambda d: d["pictures"][0].update(sha256="0"), "64 hexadecimal", id="a short hash"),
        pytest.param(lambda d: d["pictures"][0].update(box=[9, 0, 9, 9]), "expected a box", id="no pixel"),
        pytest.param(lambda d: d["pictures"][0].update(box=[1, 2]), "a list of 4", id="half a box"),
    ],
)  # fmt: skip
def test_a_file_that_was_edited_is_refused_by_its_field(
    people: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], object], words: str
) -> None:
    file = tmp_path / "calib.json"
    document = calibrate(file, "--data", str(people), "--images", "2")
    edit(document)
    file.write_text(json.dumps(document))
    with pytest.raises(InputError, match=words):
        read_calibration_set(file)


@pytest.mark.parametrize("content", [b"", b"[1", b"\xff\xfe", b"[" * 100_000, b"3"])
def test_what_is_no_calibration_set_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "calib.json").write_bytes(content)
    with pytest.raises(InputError, match=r"calib\.json"):
        read_calibration_set(tmp_path / "calib.json")
    with pytest.raises(InputError, match="found nothing at"):
        read_calibration_set(tmp_path / "none.json")


def test_a_box_outside_its_frame_is_refused_when_it_is_cut(street: Path, tmp_path: Path) -> None:
    file = tmp_path / "calib.json"
    document = calibrate(file, "--frames", str(street), "--images", "1")
    document["pictures"][0]["box"] = [5000, 0, 5009, 9]
    document["pictures"][0]["path"] = str(tmp_path / document["pictures"][0]["path"])
    file.write_text(json.dumps(document))
    with pytest.raises(InputError, match="inside the frame"):
        list(load_pictures(read_calibration_set(file).pictures))
