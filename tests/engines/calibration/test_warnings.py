"""What a set is warned of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from calibration.sets import calibrate, crossing
from osnet_edge.cli.main import main
from osnet_edge.runtime.pictures import read_picture


def test_a_small_set_of_one_grey_camera_is_doubted_in_every_way(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (people / "bounding_box_train").iterdir():
        if "_c1" in path.name:
            Image.fromarray(read_picture(path)).convert("L").save(path)
        else:
            path.unlink()
    document = calibrate(tmp_path / "calib.json", "--data", str(people), "--images", "4")
    warnings = document["warnings"]
    assert [text.split(":")[0] for text in warnings] == [
        "fewer than 64 images",
        "one camera only",
        "grey images",
        "nobody is held out",
    ]
    assert capsys.readouterr().err.splitlines() == [f"warning: {text}" for text in warnings]
    assert document["drawn"]["grey"] == 4


def test_a_set_of_enough_pictures_in_colour_by_two_cameras_is_not_doubted(
    pool: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "calib.json"
    data = ["--data", crossing(tmp_path, people=64, cameras=2)]
    assert main(["calibrate", "-o", str(file), *data, "--images", "64", "--json"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert (document["pictures"], document["held_out"]) == (64, 64)
    assert document["warnings"] == []
    assert "warning" not in captured.err


def test_fewer_than_were_asked_for_are_all_taken_and_it_is_said(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = calibrate(tmp_path / "calib.json", "--data", str(people), "--images", "99")
    taken = len(document["pictures"]) + document["drawn"]["near_duplicates"]
    assert taken == 16
    assert "asked for 99 images, took all" in capsys.readouterr().err
