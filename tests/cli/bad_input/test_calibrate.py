"""Sets, frames and options that `calibrate` refuses."""

from __future__ import annotations

from bad_input.cases import GALLERY, Arguments, Bench, Case, Refused, each, people


def calibrated(*options: str) -> Arguments:
    return lambda b: ["calibrate", "--data", people(b), "-o", "calib.json", *options]


def framed(bench: Bench, **folders: dict[str, bytes]) -> list[str]:
    """A calibration set from frames with these files."""
    return ["calibrate", "-o", "x", "--frames", bench.folder_of(**folders)]


@each(
    ("calibration from nothing", lambda b: ["calibrate", "-o", "x"], "expected --data with a re-ID set, or"),
    ("calibration without an output", lambda b: ["calibrate", "--data", "x"], "Missing option '-o'"),
    ("no image to calibrate with", calibrated("--images", "0"), "expected --images of 1 or more"),
    ("a drawing of no seed", calibrated("--seed", "-1"), "--seed of 0 or more, got 512 and -1"),
    ("too few people to hold out", calibrated("--held-out", "31"), "expected 32 held-out people or more"),
    ("people held out below none", calibrated("--held-out", "-1"), "or 0 for none"),
    (
        "a calibration set in a folder that is not there",
        lambda b: ["calibrate", "-o", "none/x", "--data", people(b)],
        "the folder none does not exist",
    ),
)
def test_options(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    ("calibration on a set nobody has", calibrated("--data", "nowhere"), "found nothing called nowhere"),
    (
        "a set to calibrate with that has no training images",
        lambda b: ["calibrate", "-o", "x", "--data", b.folder_of(query={"0001_c1.jpg": b"x"}, **GALLERY)],
        "expected images to train on",
    ),
    (
        "a training image that is text",
        lambda b: [
            "calibrate",
            "-o",
            "x",
            "--data",
            b.folder_of(bounding_box_train={"0001_c1s1_000001_00.jpg": b"x"}),
        ],
        "is no image that Pillow can read",
    ),
)
def test_sets(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    ("exclusion of a set nobody has", calibrated("--exclude", "nowhere"), "found nothing called nowhere"),
    (
        "exclusion of a set without tests",
        lambda b: [*calibrated()(b), "--exclude", f"{b.folder}/set"],
        "expected query or gallery images in",
    ),
)
def test_sets_to_exclude(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    ("frames that are none", lambda b: framed(b, frames={}), "expected frames in img1/ with boxes"),
    ("frames without boxes", lambda b: framed(b, img1={"1.jpg": b"x"}), "with boxes in gt/gt.txt in"),
    (
        "boxes in words",
        lambda b: framed(b, img1={"1.jpg": b"x"}, gt={"gt.txt": b"1,1,2,3,4,5\nleft,top\n"}),
        "more numbers in line 2 of",
    ),
    (
        "boxes of frames that are not there",
        lambda b: framed(b, img1={"1.jpg": b"x"}, gt={"gt.txt": b"2,1,2,3,4,5\n"}),
        "found none in gt/gt.txt for its 1 image;",
    ),
    (
        "a frame that is text",
        lambda b: framed(b, img1={"1.jpg": b"x"}, gt={"gt.txt": b"1,1,2,3,4,5\n"}),
        "is no image that Pillow can read",
    ),
)
def test_frames_and_boxes(case: Case, refused: Refused) -> None:
    refused(case)
