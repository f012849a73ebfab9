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
        "no such image",
        lambda b: ["embed", str(b.package), "missing.jpg", "-o", "out.npz"],
        "found nothing at missing.jpg",
    ),
    (
        "a folder without images",
        lambda b: ["embed", str(b.package), str(b.folder), "-o", "out.npz"],
        "holds no image",
    ),
    (
        "text as a image",
        lambda b: ["embed", str(b.package), b.file(b"hello", "x.jpg"), "-o", "out.npz"],
        "is no image that Pillow can read",
    ),
    (
        "a truncated image",
        lambda b: ["embed", str(b.package), half_of(Bench.picture, "x.png")(b), "-o", "out.npz"],
        "cannot be decoded",
    ),
    (
        "no image at all",
        lambda b: ["embed", str(b.package), "-o", "out.npz"],
        "Missing argument 'IMAGES...'",
    ),
    (
        "an image of 16 bits",
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
        "expected --threads of 1",
    ),
)
def test_options(case: Case, refused: Refused) -> None:
    refused(case)
