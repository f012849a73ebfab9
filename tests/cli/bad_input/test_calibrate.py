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
    ("frames that are none", lambda b: framed(b, frames={}), "use calibrate --detections FILE"),
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


BOXES = b"file,x1,y1,x2,y2\n"


def detected(boxes: bytes, *names: str) -> Arguments:
    """A calibration set from frames of these names, and a detector's table of boxes."""

    def given(bench: Bench) -> list[str]:
        frames = bench.folder_of(**{".": dict.fromkeys(names or ("1.jpg",), b"x")})
        return ["calibrate", "-o", "x", "--frames", frames, "--detections", bench.file(boxes, "boxes.csv")]

    return given


@each(
    (
        "crops in an empty folder",
        lambda b: ["calibrate", "-o", "x", "--crops", b.folder_of(crops={"notes.txt": b""})],
        "holds no image that ends in .jpg",
    ),
    (
        "a crop that is text",
        lambda b: ["calibrate", "-o", "x", "--crops", b.folder_of(crops={"1.jpg": b"x"})],
        "is no image that Pillow can read",
    ),
    (
        "the images of a set as crops without identities",
        lambda b: [*calibrated()(b), "--crops", f"{b.folder}/set"],
        "expected other images in --crops than in --data",
    ),
    (
        "less than no images to measure on",
        lambda b: ["calibrate", "-o", "x", "--crops", f"{b.folder_of(a={'1.jpg': b''})}", "--held-out", "-1"],
        "0 or more to set aside",
    ),
    (
        "a folder of crops for a set",
        lambda b: ["calibrate", "-o", "x", "--data", b.folder_of(**{".": {"1.jpg": b"x"}})],
        "osnet-edge calibrate --crops",
    ),
    ("boxes of no frames", lambda b: detected(BOXES)(b)[:3] + detected(BOXES)(b)[5:], "got 1 for 0"),
    ("a table of nothing", detected(b""), "found no line in"),
    ("a table without its columns", detected(b"file,x,y\n1,2,3\n"), "the columns file,x1,y1,x2,y2 in"),
    ("a box in words", detected(BOXES + b"1,2,3,4,5\n1,left,3,4,5\n"), "four numbers of pixels in line 3"),
    ("a box of three numbers", detected(BOXES + b"1,2,3,4\n"), "four numbers of pixels in line 2"),
    ("a box without end", detected(BOXES + b"1,2,3,inf,5\n"), "four numbers of pixels in line 2"),
    ("fractions of a frame", detected(BOXES + b"1,0.1,0.2,0.5,0.9\n"), "which are fractions of a frame"),
    ("fractions in MOT's layout", detected(b"1,-1,0.1,0.2,0.5,0.7\n"), "which are fractions of a frame"),
    ("boxes of other frames", detected(BOXES + b"a.jpg,2,3,4,5\n"), "boxes of frames such as 'a.jpg' in"),
    ("two frames of one number", detected(BOXES + b"1,2,3,4,5\n", "a1.jpg", "b1.jpg"), "found a1.jpg and b1"),
    ("boxes in another encoding", detected(b"file,x1\n\xff\xfe"), "cannot be read as a table of boxes"),
)
def test_images_without_identities(case: Case, refused: Refused) -> None:
    refused(case)
