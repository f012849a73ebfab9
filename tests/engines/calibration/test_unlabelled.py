"""Images without identities as a source: what is read, and that it is drawn evenly over folders and time."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.sets import blotches, calibrate, crossing
from osnet_edge.cli.main import main
from osnet_edge.engines.calibration import (
    UNKNOWN,
    Candidate,
    draw_pictures,
    load_pictures,
    read_calibration_set,
)
from osnet_edge.engines.int8 import Calibration
from osnet_edge.train.data import DataWarning
from osnet_edge.train.data.unlabelled import read_crops, read_detections


@settings(max_examples=40)
@given(frames=st.integers(1, 60), asked=st.integers(1, 60), seed=st.integers(0, 9))
def test_what_is_drawn_is_spread_over_time_however_little_it_is(
    pool: list[Path], frames: int, asked: int, seed: int
) -> None:
    candidates = [Candidate(path, UNKNOWN, 0) for path in pool[:frames]]
    drawn = draw_pictures(candidates, asked, seed=seed).pictures
    assert len(set(drawn)) == len(drawn) == min(asked, frames)
    times = [-1, *sorted(candidates.index(each) for each in drawn), frames]
    # By the three-gap theorem; by chance it would be four times the mean of ten already.
    assert max(np.diff(times)) <= 2 * frames / len(drawn)


@settings(max_examples=40)
@given(rhythm=st.integers(2, 6), seed=st.integers(0, 9))
def test_no_rhythm_in_the_frames_is_met(pool: list[Path], rhythm: int, seed: int) -> None:
    """Cameras in turn in one folder, or people with as many images each."""
    candidates = [Candidate(path, UNKNOWN, 0) for path in pool]
    drawn = draw_pictures(candidates, 30, seed=seed).pictures
    beats = Counter(candidates.index(each) % rhythm for each in drawn)
    assert len(beats) == rhythm
    assert max(beats.values()) - min(beats.values()) <= 4


@settings(max_examples=20)
@given(sizes=st.lists(st.integers(1, 20), min_size=1, max_size=3), asked=st.integers(1, 60))
def test_folders_and_cameras_of_sets_give_as_many_as_one_another_while_they_can(
    pool: list[Path], sizes: list[int], asked: int
) -> None:
    cameras = [camera for camera, size in enumerate(sizes) for _ in range(size)]
    # The first is of people who are known, the others are folders without identities.
    candidates = [
        Candidate(path, UNKNOWN if camera else k, camera)
        for k, (path, camera) in enumerate(zip(pool, cameras, strict=False))
    ]
    given = Counter(each.camera for each in draw_pictures(candidates, asked).pictures)
    for camera, size in enumerate(sizes):
        if given[camera] < size:
            assert max(given.values()) <= given[camera] + 1


def test_a_crowded_frame_gives_another_box_only_after_all_frames_gave_one(pool: list[Path]) -> None:
    boxes = [(0, 0, 32, 32), (0, 20, 32, 64), (4, 8, 30, 50)]
    candidates = [Candidate(pool[k], UNKNOWN, 0, box) for k in range(6) for box in boxes[: 1 + k % 3]]
    for count in range(1, 12):
        given = Counter(each.path for each in draw_pictures(candidates, count).pictures)
        assert len(given) == min(count, 6)


@pytest.mark.parametrize(
    ("there", "count", "aside", "expected"),
    [
        pytest.param(60, 20, 10, (20, 10), id="enough for both"),
        pytest.param(60, 50, 40, (40, 20), id="a third is set aside where there are too few"),
        pytest.param(60, 55, 5, (55, 5), id="just enough"),
        pytest.param(2, 9, 9, (2, 0), id="next to nothing is calibrated on"),
    ],
)
def test_what_is_set_aside_is_not_drawn(
    pool: list[Path], there: int, count: int, aside: int, expected: tuple[int, int]
) -> None:
    drawn = draw_pictures([Candidate(path, UNKNOWN, 0) for path in pool[:there]], count, aside=aside)
    assert (len(drawn.pictures), len(drawn.aside)) == expected
    assert set(drawn.pictures).isdisjoint(drawn.aside)


def test_a_folder_of_crops_makes_a_set_that_says_what_it_cannot_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for k, folder in enumerate(("north", "south/gate")):
        (tmp_path / "crops" / folder).mkdir(parents=True)
        for n in range(9, 15):
            blotches(100 * k + n).save(tmp_path / "crops" / folder / f"crop{n}.png")
    (tmp_path / "crops" / "north" / "notes.txt").touch()
    shutil.copy(tmp_path / "crops/north/crop9.png", tmp_path / "crops/north/crop99.png")
    crops = str(tmp_path / "crops")
    with pytest.warns(DataWarning, match=r"files left out, which do not end as images do: 1 \(.txt 1\)"):
        found = [each.path.name for each in read_crops([crops])]
    assert found[:3] == ["crop9.png", "crop10.png", "crop11.png"]
    document = calibrate(
        tmp_path / "calib.json", "--crops", crops, "--images", "8", "--held-out", "4", "--seed", "1"
    )
    how = document["drawn"]
    assert (how["kind"], how["sources"], how["identities"], how["cameras"]) == ("unlabelled", [crops], 0, 2)
    assert Counter(each["camera"] for each in document["pictures"]) == {0: 4, 1: 4}
    assert {each["identity"] for each in (*document["pictures"], *document["held_out"])} == {-1}
    assert (len(document["held_out"]), how["held_out"]) == (4, 0)
    captured = capsys.readouterr()
    assert "8 images without identities on 2 cameras (4 to 4 of each camera)" in captured.out
    assert "held out: 4 images\n" in captured.out
    assert "no identities: images are even over folders and time, not over people" in document["warnings"][-1]
    assert not [text for text in document["warnings"] if "nobody is held out" in text]
    made = read_calibration_set(tmp_path / "calib.json")
    assert len(list(load_pictures((*made.pictures, *made.held_out)))) == 12
    # All there is: the copy is no image of its own.
    document = calibrate(tmp_path / "all.json", "--crops", crops, "--images", "99", "--held-out", "0")
    assert (len(document["pictures"]), document["drawn"]["near_duplicates"]) == (12, 1)


FIVE = {7: (2, 3, 42, 93), 8: (5, 6, 45, 96)}


@pytest.mark.parametrize(
    "table",
    [
        pytest.param("file,x1,y1,x2,y2\n000007.png,2,3,42,93\n000008.png,5,6,45,96\n", id="names"),
        pytest.param("frame,x1,y1,x2,y2\n7,2,3,42,93\n8,5,6,45,96\n", id="numbers"),
        pytest.param("\ufeffScore, X1,y1,x2,y2,File\n.9,2,3,42,93,000007.png\n.1,5,6,45,96,8\n", id="other"),
        pytest.param("8,-1,5.2,6,40,90,0.5,-1,-1,-1\n7,-1,2,3,39.6,90,0.9,-1,-1,-1\n", id="det.txt"),
        pytest.param("8,4,5,6,40,90\n7,4,2,3,40,90\n", id="six numbers"),
    ],
)
def test_tables_of_boxes_that_say_the_same(tmp_path: Path, table: str) -> None:
    for number in (7, 8):
        blotches(number).save(tmp_path / f"{number:06d}.png")
    (tmp_path / "boxes.csv").write_text(table, encoding="utf-8")
    found = read_detections([(tmp_path, tmp_path / "boxes.csv")])
    # In the order of time, whatever that of the lines is.
    assert [(int(each.path.stem), each.box) for each in found] == list(FIVE.items())


def test_boxes_of_frames_that_are_not_there_are_counted(street: Path, tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text("file,x1,y1,x2,y2\n1,2,3,42,93\n99,2,3,42,93\n000099.jpg,2,3,42,93\n")
    with pytest.warns(DataWarning, match=r"boxes.csv in frames that are not in .*img1: 2$"):
        found = read_detections([(street, tmp_path / "boxes.csv")])
    assert [each.path.name for each in found] == ["000001.jpg"]


def test_boxes_over_the_edge_are_clipped_and_those_outside_counted(street: Path, tmp_path: Path) -> None:
    table = tmp_path / "boxes.csv"
    table.write_text("file,x1,y1,x2,y2\n1,-20,-10,40,90\n1,900,10,940,90\n2,60,9,60,90\n2,200,9,260,90\n")
    document = calibrate(
        tmp_path / "calib.json", "--frames", str(street), "--detections", str(table), "--held-out", "0"
    )
    assert sorted(each["box"] for each in document["pictures"]) == [[0, 0, 40, 90], [200, 9, 260, 90]]
    assert (document["drawn"]["outside"], document["drawn"]["kind"]) == (2, "unlabelled")


def test_crops_of_ones_own_beside_a_set_of_people_who_are_held_out(tmp_path: Path) -> None:
    for folder in ("set", "site"):
        (tmp_path / folder).mkdir()
    data = crossing(tmp_path / "set", people=66, cameras=2)
    for n in range(30):
        blotches(1000 + n).save(tmp_path / "site" / f"{n}.png")
    document = calibrate(
        tmp_path / "calib.json", "--data", data, "--crops", str(tmp_path / "site"), "--images", "30"
    )
    assert (document["drawn"]["kind"], document["drawn"]["held_out"]) == ("mixed", 33)
    # Two cameras and a folder.
    assert Counter(each["camera"] for each in document["pictures"]) == {0: 10, 1: 10, 2: 10}
    assert {each["camera"] for each in document["pictures"] if each["identity"] == UNKNOWN} == {2}
    # What a budget needs, which crops alone do not give.
    file = tmp_path / "calib.json"
    assert len(Calibration(read_calibration_set(file), file).people) == 66


def test_real_detections_and_a_seed(shared: Path, tmp_path: Path) -> None:
    sources = []
    for sequence in sorted((shared / "data" / "mot17-mini").iterdir()):
        sources += ["--frames", str(sequence), "--detections", str(sequence / "gt" / "gt.txt")]
    files = [tmp_path / name for name in "abc"]
    for file, seed in zip(files, "001", strict=True):
        assert (
            main(["calibrate", "-o", str(file), *sources, "--images", "8", "--held-out", "0", "--seed", seed])
            == 0
        )
    texts = [file.read_text() for file in files]
    assert texts[0] == texts[1] != texts[2]
    cameras = Counter(each["camera"] for each in json.loads(texts[0])["pictures"])
    assert cameras == dict.fromkeys(range(4), 2)
