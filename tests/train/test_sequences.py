"""Sequences to follow people in: the layouts that are read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.data.sequences import read_own_frames, read_sequences

TRUTH = "1,7,10,20,30,60,1,1,0.9\n2,7,12,20,30,60,0,1,0.2\n2,8,50,20,30,60,1,3,1\n9,7,0,0,5,5,1,1,1\n"


def sequence(folder: Path, files: dict[str, str], frames: int = 2) -> Path:
    """Write a sequence of black frames and these files."""
    (folder / "img1").mkdir(parents=True)
    for number in range(1, frames + 1):
        Image.new("RGB", (160, 120)).save(folder / "img1" / f"{number:06d}.jpg")
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_mot17_has_detections_and_truth_of_the_frames_that_are_there(tmp_path: Path) -> None:
    found = "1,-1,9,19,30,60,0.8\n2,-1,11,20,30,60,0.4,-1,-1,-1\n9,-1,0,0,5,5,1\n"
    facts = "[Sequence]\nname=x\nframeRate=14\nseqLength=600\n"
    sequence(tmp_path / "train/MOT17-02", {"det/det.txt": found, "gt/gt.txt": TRUTH, "seqinfo.ini": facts})
    (read,) = read_sequences([tmp_path])
    assert (read.name, read.site, read.rate, read.detector) == (
        "train/MOT17-02",
        "train/MOT17-02",
        14,
        "det.txt",
    )
    assert [path.name for path in read.frames] == ["000001.jpg", "000002.jpg"]
    assert read.detections[0].boxes.tolist() == [[9, 19, 39, 79]]
    assert [each.scores.tolist() for each in read.detections] == [[0.8], [0.4]]
    assert read.truth is not None
    assert [marked.ids.tolist() for marked in read.truth] == [[7], [7, 8]]
    # Lines that do not count are kept: TrackEval has rules of its own for them.
    assert read.truth[1].considered.tolist() == [False, True]
    assert read.truth[1].kinds.tolist() == [1, 3]


def test_without_det_txt_the_boxes_of_the_truth_are_found_as_in_dancetrack(tmp_path: Path) -> None:
    folder = sequence(tmp_path / "dancetrack0001", {"gt/gt.txt": "1,1,10,20,30,60,1,1,1\n" + TRUTH})
    (read,) = read_sequences([folder])
    assert (read.name, read.rate, read.detector) == ("dancetrack0001", 25, "gt.txt")
    # What is not considered, hardly visible, or no pedestrian is not found.
    assert [len(each.boxes) for each in read.detections] == [2, 0]


def test_cameras_of_one_site_say_so(tmp_path: Path) -> None:
    for camera in "ab":
        files = {"gt/gt.txt": TRUTH, "seqinfo.ini": "[Sequence]\nsite=shop\n"}
        sequence(tmp_path / f"shop/{camera}", files)
    assert [(each.name, each.site) for each in read_sequences([tmp_path])] == [
        ("shop/a", "shop"),
        ("shop/b", "shop"),
    ]


def test_own_frames_go_with_a_table_of_boxes(tmp_path: Path) -> None:
    frames = sequence(tmp_path / "own", {}) / "img1"
    table = tmp_path / "boxes.csv"
    table.write_text("file,x1,y1,x2,y2,score\n000002.jpg,10,20,40.5,80,0.7\n")
    read = read_own_frames(frames, table, rate=5)
    assert (read.rate, read.truth) == (5, None)
    assert [each.boxes.tolist() for each in read.detections] == [[], [[10, 20, 40.5, 80]]]
    assert np.concatenate([each.scores for each in read.detections]).tolist() == [0.7]


def test_own_frames_are_in_the_order_of_their_numbers_and_may_be_in_img1(tmp_path: Path) -> None:
    frames = sequence(tmp_path / "own", {}) / "img1"
    (frames / "000001.jpg").rename(frames / "door-10.jpg")
    (frames / "000002.jpg").rename(frames / "door-9.jpg")
    table = tmp_path / "boxes.csv"
    table.write_text("frame,x1,y1,x2,y2\n10,10,20,40,80\n")
    read = read_own_frames(frames.parent, table)
    assert [path.name for path in read.frames] == ["door-9.jpg", "door-10.jpg"]
    assert [len(each.boxes) for each in read.detections] == [0, 1]
    assert read.name == "own"


def test_sequences_of_one_name_are_told_apart_or_refused(tmp_path: Path) -> None:
    files = {"gt/gt.txt": TRUTH}
    first, second = (sequence(tmp_path / f"{site}/door", files, 1) for site in "ab")
    assert [each.name for each in read_sequences([first, second])] == ["a/door", "b/door"]
    with pytest.raises(InputError, match="expected sequences of different names, got a/door twice"):
        read_sequences([first, first.parent / "../a/door"])
    for folder in (first, second):
        (folder / "seqinfo.ini").write_text("[Sequence]\nsite=shop\n")
    with pytest.raises(InputError, match="expected one door at a site, found a/door and b/door, both of"):
        read_sequences([tmp_path])


@pytest.mark.parametrize(
    ("files", "frames", "message"),
    [
        # No boxes at all.
        ({}, 2, "expected boxes in det/det.txt or gt/gt.txt"),
        # No frame whose name is a number.
        ({"gt/gt.txt": TRUTH}, 0, "expected frames such as 000001.jpg"),
        # A line of words.
        ({"gt/gt.txt": "one,2,3\n"}, 1, "expected frame,id,x,y,w,h"),
        # A rate that nothing has.
        ({"gt/gt.txt": TRUTH, "seqinfo.ini": "[Sequence]\nframeRate=-3\n"}, 1, "expected frameRate of"),
        # Somebody twice in a frame, which TrackEval does not score.
        ({"gt/gt.txt": TRUTH + "2,8,0,0,5,5,1,1,1\n"}, 2, "got id 8 twice in frame 2"),
        # A second image of a frame.
        ({"gt/gt.txt": TRUTH, "img1/1.jpg": ""}, 1, "expected one frame 1 in .*, found 000001.jpg and 1.jpg"),
        # A file that is no ini.
        ({"gt/gt.txt": TRUTH, "seqinfo.ini": "frameRate=3\n"}, 1, "cannot be read"),
    ],
)
def test_what_is_no_sequence_is_refused(
    tmp_path: Path, files: dict[str, str], frames: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_sequences([sequence(tmp_path / "wrong", files, frames)])


def test_a_folder_without_sequences_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a sequence in"):
        read_sequences([tmp_path])
