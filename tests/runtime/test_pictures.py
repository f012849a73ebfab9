"""Pictures as cameras, phones and archives store them, all read as H x W x 3 uint8 RGB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.pictures import find_pictures, read_picture

RED = (200, 30, 40)


@pytest.mark.parametrize(
    ("mode", "colour", "suffix", "expected"),
    [
        ("RGB", RED, "png", RED),
        ("RGBA", (*RED, 10), "png", RED),  # transparency is dropped, not blended
        ("P", None, "png", RED),  # a palette
        ("L", 77, "png", (77, 77, 77)),  # an infrared camera's grey
        ("1", 1, "png", (255, 255, 255)),
        ("RGB", RED, "bmp", RED),
        ("RGB", RED, "jpg", RED),
        ("CMYK", (0, 200, 190, 40), "jpg", None),  # from a print archive
    ],
)
def test_every_mode_is_read_as_rgb(
    mode: str, colour: object, suffix: str, expected: tuple[int, ...] | None, tmp_path: Path
) -> None:
    path = tmp_path / f"x.{suffix}"
    picture = Image.new("RGB", (8, 12), RED).quantize() if mode == "P" else Image.new(mode, (8, 12), colour)
    picture.save(path)
    read = read_picture(path)
    assert (read.shape, read.dtype) == ((12, 8, 3), np.uint8)
    if expected:
        assert np.abs(read.astype(int) - expected).max() <= (3 if suffix == "jpg" else 0)


def test_folders_give_their_pictures_in_order_and_files_stay_where_they_are_named(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "notes.txt"):
        Image.new("RGB", (4, 4)).save(tmp_path / name, "png")
    named = str(tmp_path / "b.png")
    found = [path.name for path in find_pictures([named, str(tmp_path), named])]
    assert found == ["b.png", "a.JPG", "b.png", "b.png"]


@pytest.mark.parametrize("cut", [1, 40, 0.5, 0.99])
def test_a_picture_cut_anywhere_is_refused(cut: float, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(cut * len(content)) if cut < 1 else int(cut)])
    with pytest.raises(InputError, match=str(path)):
        read_picture(path)
