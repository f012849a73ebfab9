"""Changes to training crops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osnet_edge.runtime.preprocessing import Picture
from osnet_edge.train.augment import augment, cut, erase, paste, shift, tint
from osnet_edge.train.recipe import Augmentation
from osnet_edge.train.synthetic import sample_crops

ALL = Augmentation(
    flip=0.5,
    crop=0.5,
    shift=0.05,
    brightness=0.2,
    contrast=0.2,
    saturation=0.2,
    cast=0.1,
    erase=0.5,
    patch=0.5,
)


@pytest.fixture(scope="module")
def crop() -> Picture:
    picture: Picture = sample_crops(1, 64, 32)[0]
    return picture


@given(st.integers(0, 2**32 - 1), st.integers(32, 90), st.integers(16, 60))
def test_any_change_keeps_shape_and_type_and_the_picture_it_was_given(
    seed: int, height: int, width: int
) -> None:
    rng = np.random.default_rng(seed)
    crop = rng.integers(0, 256, (height, width, 3), np.uint8)
    other = rng.integers(0, 256, (20, 10, 3), np.uint8)
    before = crop.copy()
    out = augment(crop, ALL, np.random.default_rng(seed), lambda: other)
    assert (out.shape, out.dtype) == (crop.shape, np.uint8)
    np.testing.assert_array_equal(crop, before)
    np.testing.assert_array_equal(out, augment(crop, ALL, np.random.default_rng(seed), lambda: other))


def test_a_recipe_of_nothing_changes_nothing(crop: Picture) -> None:
    out = augment(crop, Augmentation(flip=0), np.random.default_rng(0))
    np.testing.assert_array_equal(out, crop)


def test_a_sure_flip_swaps_left_and_right(crop: Picture) -> None:
    out = augment(crop, Augmentation(flip=1), np.random.default_rng(0))
    np.testing.assert_array_equal(out, crop[:, ::-1])


def test_flips_come_as_often_as_asked(crop: Picture) -> None:
    rng = np.random.default_rng(0)
    flipped = [(augment(crop, Augmentation(flip=0.3), rng) != crop).any() for _ in range(400)]
    assert np.mean(flipped) == pytest.approx(0.3, abs=0.08)


def test_a_cut_shows_a_larger_piece_of_the_same_picture(crop: Picture) -> None:
    out = cut(crop, np.random.default_rng(1)).astype(float)
    assert np.abs(out - crop).mean() < 40
    assert (out != crop).any()


def test_a_shift_moves_the_whole_picture(crop: Picture) -> None:
    out = shift(crop, 0.1, np.random.default_rng(3))
    inner = out[6:-6, 6:-6]
    moved = [crop[y : y + 52, x : x + 20] for y in range(13) for x in range(13)]
    assert any(np.array_equal(inner, other) for other in moved)


@pytest.mark.parametrize(
    ("how", "low", "high"),
    [
        # Brightness scales the mean.
        (Augmentation(brightness=0.2), 0.79, 1.21),
        # Contrast and saturation leave the grey level where it is.
        (Augmentation(contrast=0.3), 0.98, 1.02),
        (Augmentation(saturation=0.5), 0.98, 1.02),
    ],
)
def test_light_changes_the_mean_within_what_was_asked(how: Augmentation, low: float, high: float) -> None:
    # Dim and not black, so that nothing is clipped.
    picture = np.random.default_rng(0).integers(60, 120, (32, 32, 3), np.uint8)
    grey = np.array([0.299, 0.587, 0.114])
    for seed in range(20):
        out = tint(picture, how, np.random.default_rng(seed))
        assert low <= (out @ grey).mean() / (picture @ grey).mean() <= high


def test_light_that_does_not_change_gives_back_the_same_bytes(crop: Picture) -> None:
    np.testing.assert_array_equal(tint(crop, Augmentation(), np.random.default_rng(0)), crop)


def test_an_erased_rectangle_covers_two_to_forty_percent(crop: Picture) -> None:
    white = np.full_like(crop, 255)
    for seed in range(50):
        hidden = (erase(white, np.random.default_rng(seed)) != 255).any(axis=2)
        assert 0.01 <= hidden.mean() <= 0.41
        rows, columns = np.flatnonzero(hidden.any(1)), np.flatnonzero(hidden.any(0))
        assert hidden[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


def test_a_pasted_piece_comes_from_the_other_picture_at_its_size() -> None:
    grey, white = np.full((64, 32, 3), 128, np.uint8), np.full((64, 32, 3), 255, np.uint8)
    shares, black, tall = [], [], []
    for seed in range(300):
        found = paste(grey, white, np.random.default_rng(seed))
        changed = (found != 128).any(axis=2)
        shares.append(changed.mean())
        black.append((found == 0).any())
        rows, columns = changed.any(1).sum(), changed.any(0).sum()
        assert changed.sum() == rows * columns
        tall.append(rows > columns)
    assert 0.005 < min(shares) < 0.05
    assert 0.45 < max(shares) <= 0.52
    # The corners of half of them are turned away, but for those too small, or turned by too little, to show.
    assert 0.3 < np.mean(black) < 0.5
    # Heights of a tenth of the width are drawn as often as of ten times; the latter is most of the range.
    assert np.mean(tall) > 0.8


def test_a_piece_of_a_smaller_picture_is_no_larger_than_that() -> None:
    black, white = np.zeros((64, 32, 3), np.uint8), np.full((20, 40, 3), 255, np.uint8)
    shares = [(paste(black, white, np.random.default_rng(seed)) == 255).mean() for seed in range(50)]
    assert min(shares) > 0
    assert max(shares) <= 20 / 64
