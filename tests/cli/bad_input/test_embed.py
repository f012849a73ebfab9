"""Pictures, and options, that `embed` refuses."""

from __future__ import annotations

import numpy as np
from PIL import Image

from bad_input.cases import Bench, Case, Refused, each, half_of


def deep_picture(bench: Bench) -> str:
    path = bench.folder / "deep.png"
    Image.fromarray(np.full((9, 9), 30_000, np.uint16)).save(path)
    return str(path)


@each(
    (
        "no such picture",
        lambda b: ["embed", str(b.package), "missing.jpg", "-o", "out.npz"],
        "found nothing at missing.jpg",
    ),
    (
        "a folder without pictures",
        lambda b: ["embed", str(b.package), str(b.folder), "-o", "out.npz"],
        "holds no picture",
    ),
    (
        "text as a picture",
        lambda b: ["embed", str(b.package), b.file(b"hello", "x.jpg"), "-o", "out.npz"],
        "is no picture that Pillow can read",
    ),
    (
        "a truncated picture",
        lambda b: ["embed", str(b.package), half_of(Bench.picture, "x.png")(b), "-o", "out.npz"],
        "cannot be decoded",
    ),
    (
        "no picture at all",
        lambda b: ["embed", str(b.package), "-o", "out.npz"],
        "Missing argument 'PICTURES...'",
    ),
    (
        "a picture of 16 bits",
        lambda b: ["embed", str(b.package), deep_picture(b), "-o", "out.npz"],
        "more than 8 bits a channel",
    ),
)
def test_pictures(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    (
        "an output of another kind",
        lambda b: ["embed", str(b.package), b.picture(), "-o", "out.csv"],
        "ending in .npz",
    ),
    (
        "no thread",
        lambda b: ["embed", str(b.package), b.picture(), "-o", "out.npz", "--threads", "0"],
        "expected 1 to 512 threads, got 0",
    ),
)
def test_options(case: Case, refused: Refused) -> None:
    refused(case)
