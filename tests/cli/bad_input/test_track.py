"""Frames, boxes and options that `track` refuses."""

from __future__ import annotations

from pathlib import Path

from bad_input.cases import Arguments, Bench, Case, Refused, each


def tracked(*options: str) -> Arguments:
    """Frames without boxes, which are looked at last."""
    return lambda b: ["track", str(b.package), "--frames", str(b.folder), "-o", "out.txt", *options]


def with_boxes(content: bytes) -> Arguments:
    def make(bench: Bench) -> list[str]:
        bench.picture("000001.png")
        table = bench.file(content, "boxes.csv")
        return [*tracked()(bench), "--detections", table]

    return make


def sequence(bench: Bench, boxes: bytes, picture: bytes = b"hello") -> list[str]:
    root = bench.folder_of(img1={"000001.jpg": picture}, det={"det.txt": boxes})
    return ["track", str(bench.package), "--frames", root, "-o", "out.txt"]


def two_cameras(bench: Bench) -> list[str]:
    """Two sequences, for which a folder is made, where a file of tracks is."""
    picture = Path(bench.picture()).read_bytes()
    for camera in ("a", "b"):
        bench.folder_of(**{f"{camera}/img1": {"1.png": picture}, f"{camera}/det": {"det.txt": b""}})
    taken = bench.file(b"1,1,2.0,3.0,4.0,5.0,1,-1,-1,-1\n", "tracks.txt")
    return ["track", str(bench.package), "--frames", f"{bench.folder}/set", "-o", taken]


@each(
    ("frames of no sequence", tracked(), "with its frames in img1/, found none; give frames of another"),
    ("frames that are nowhere", lambda b: [*tracked()(b), "--frames", "none"], "found nothing at none"),
    ("a table without boxes", with_boxes(b"file,x1,y1,x2,y2\n"), "found none in"),
    ("a table of something else", with_boxes(b"path,identity\na.jpg,1\n"), "expected the columns file,x1"),
    ("a box without a number", with_boxes(b"file,x1,y1,x2,y2\n000001.png,1,1,x,9\n"), "in line 2 of"),
    ("a broken line of det.txt", lambda b: sequence(b, b"1,-1,2\n"), "in line 1 of"),
    (
        "a frame that is no image",
        lambda b: sequence(b, b"1,-1,1,1,9,9,0.9\n"),
        "is no image that Pillow can read",
    ),
)
def test_frames_and_boxes(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    ("nothing to go by", lambda b: ["track", "--frames", str(b.folder), "-o", "x"], "pass --motion-alone"),
    ("no time between frames", tracked("--rate", "0"), "expected a --rate above 0"),
    ("a rate that is no number", tracked("--rate", "nan"), "expected a --rate above 0"),
    ("no cosine", tracked("--threshold", "1.5"), "a cosine from -1 to 1, got 1.5"),
    ("looks of no use", tracked("--threshold", "0.5", "--motion-alone"), "motion alone compares no looks"),
    ("a video of another kind", tracked("--video", "x.avi"), "ending in .mp4, got x.avi"),
    ("a sheet of another kind", tracked("--contact-sheet", "x.jpg"), "ending in .png, got x.jpg"),
    ("a folder of tracks in place of a file", two_cameras, "is already there; remove it"),
)
def test_options_and_outputs(case: Case, refused: Refused) -> None:
    refused(case)
