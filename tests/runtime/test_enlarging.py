"""Crops are enlarged by OpenCV to the very bytes of Pillow, or not by OpenCV."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from osnet_edge.runtime.enlarging import enlarge
from osnet_edge.runtime.preprocessing import Picture, resize

pytest.importorskip("cv2", reason="needs OpenCV, the extra opencv")


def by_pillow(crop: Picture, height: int, width: int) -> Picture:
    """Return what training resizes to."""
    return np.asarray(Image.fromarray(crop).resize((width, height), Image.Resampling.BILINEAR))


def noise(height: int, width: int, seed: int) -> Picture:
    """Return bytes of chance, half of them black or white, whose sums lie farthest apart."""
    rng = np.random.default_rng(seed)
    some = rng.integers(0, 256, (height, width, 3))
    return np.where(rng.random(some.shape) < 0.5, some, some // 128 * 255).astype(np.uint8)


@given(
    st.sampled_from([(256, 128), (128, 64), (64, 32), (512, 256)]),
    st.floats(0, 2.5),
    st.floats(0, 1),
    st.booleans(),
    st.integers(0, 9),
)
def test_any_crop_that_is_not_wider_has_pillows_bytes(
    size: tuple[int, int], down: float, across: float, bgr: bool, seed: int
) -> None:
    height, width = size
    crop = noise(max(1, round(down * height)), max(1, round(across * width)), seed)
    enlarged = enlarge(crop[..., ::-1] if bgr else crop, height, width, bgr=bgr)
    assert enlarged is not None, "this OpenCV does not enlarge as Pillow does"
    assert np.array_equal(enlarged, by_pillow(crop, height, width))


@pytest.mark.parametrize(
    ("crop", "size"),
    [
        # The width shrinks, where Pillow's filter widens.
        ((100, 130), (256, 128)),
        # Shares of a pixel that are no 2048ths.
        ((100, 100), (384, 128)),
        ((100, 50), (160, 64)),
    ],
)
def test_others_are_left_to_pillow(crop: tuple[int, int], size: tuple[int, int]) -> None:
    picture = noise(*crop, 0)
    assert enlarge(picture, *size) is None
    assert np.array_equal(resize(picture, *size, "pillow-bilinear"), by_pillow(picture, *size))


def test_a_part_of_a_frame_that_is_mirrored_is_read_as_it_is_seen() -> None:
    frame = noise(200, 200, 3)
    part = frame[150:20:-1, 120:60:-1]
    assert np.array_equal(resize(part, 256, 128, "pillow-bilinear"), by_pillow(part.copy(), 256, 128))
    turned = resize(part[..., ::-1], 256, 128, "pillow-bilinear", bgr=True)
    assert np.array_equal(turned, by_pillow(part.copy(), 256, 128))


def test_without_opencv_pillow_enlarges() -> None:
    code = (
        "import sys; sys.modules['cv2'] = None\n"
        "import numpy as np\n"
        "from osnet_edge.runtime.enlarging import enlarge\n"
        "print(enlarge(np.zeros((9, 9, 3), np.uint8), 256, 128))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "None\n"
