"""Frames with boxes as a source: which lines count, and what is cut."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from calibration.sets import calibrate
from osnet_edge.engines.calibration import load_pictures, read_calibration_set
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.train.data.boxed_frames import read_boxed_frames


def test_boxes_of_frames_are_cut_as_a_camera_would(street: Path, tmp_path: Path) -> None:
    document = calibrate(tmp_path / "calib.json", "--frames", str(street))
    assert document["drawn"]["available"] == 6
    assert document["drawn"]["cameras"] == 1
    crops = list(load_pictures(read_calibration_set(tmp_path / "calib.json").pictures))
    assert len(crops) == len(document["pictures"]) >= 3
    for each, crop in zip(document["pictures"], crops, strict=True):
        x1, y1, x2, y2 = each["box"]
        frame = read_picture(street / "img1" / Path(each["path"]).name)
        np.testing.assert_array_equal(crop, frame[y1:y2, x1:x2])


def test_boxes_over_the_edge_are_clipped_and_those_outside_counted(street: Path, tmp_path: Path) -> None:
    frames = Path(shutil.copytree(street, tmp_path / "frames"))
    (frames / "gt" / "gt.txt").write_text("1,1,-20,-10,60,100\n1,2,900,10,40,90\n")
    document = calibrate(tmp_path / "calib.json", "--frames", str(frames))
    assert [p["box"] for p in document["pictures"]] == [[0, 0, 40, 90]]
    assert document["drawn"]["outside"] == 1


@pytest.mark.parametrize(
    ("lines", "people"),
    [
        pytest.param("1,1,2,3,40,90\n\n2,1,2,3,40,90\n", 1, id="six numbers"),
        pytest.param("1,1,2,3,40,90,1,1,1\n1,2,2,3,40,90,0,1,1\n", 1, id="not considered"),
        pytest.param("1,1,2,3,40,90,1,1,1\n1,2,2,3,40,90,1,7,1\n", 1, id="of another class"),
        pytest.param("1,1,2,3,40,90,1,1,1\n1,2,2,3,40,90,1,1,0.1\n", 1, id="hidden"),
        pytest.param("1,-1,2,3,40,90,0.9,-1,-1,-1\n2,-1,2,3,40,90,0.8,-1,-1,-1\n", 2, id="a detector's"),
        pytest.param("1,1,2,3,40,90\n9,2,2,3,40,90\n", 1, id="a frame that is not there"),
    ],
)
def test_lines_of_boxes_that_count(street: Path, tmp_path: Path, lines: str, people: int) -> None:
    frames = Path(shutil.copytree(street, tmp_path / "frames"))
    (frames / "gt" / "gt.txt").write_text(lines)
    found = read_boxed_frames([frames])
    assert len({each.identity for each in found}) == people
    assert {each.box for each in found} == {(2, 3, 42, 93)}


def test_sequences_in_a_folder_are_cameras_with_people_of_their_own(street: Path, tmp_path: Path) -> None:
    for name in "ab":
        shutil.copytree(street, tmp_path / "all" / name)
    found = read_boxed_frames([tmp_path / "all"])
    assert {(each.camera, each.identity) for each in found} == {(k // 3, k) for k in range(6)}


def test_real_frames_give_boxes_and_frames_follow_sets_in_numbers(
    shared: Path, people: Path, tmp_path: Path
) -> None:
    sequence = shared / "data" / "mot17-mini" / "MOT17-09-FRCNN"
    document = calibrate(
        tmp_path / "calib.json", "--data", str(people), "--frames", str(sequence), "--images", "8"
    )
    by_source = {p["box"] is None: p["camera"] for p in document["pictures"]}
    assert by_source[True] in (0, 1)
    assert by_source[False] == 2
    assert len({p["identity"] for p in document["pictures"]}) == 8
