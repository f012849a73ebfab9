"""Drawn changes of camera: by a seed, of the same person, each as its name says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.sets import calibrate
from osnet_edge.engines.calibration import load_pictures, read_calibration_set
from osnet_edge.engines.calibration.camera_changes import (
    RANGES,
    images_for_ranges,
    see,
    seen_by_other_cameras,
)
from osnet_edge.engines.quantization.table import hash_pictures
from osnet_edge.runtime.preprocessing import Picture
from osnet_edge.train.synthetic import sample_crops

#: A camera that changes nothing but for an exposure that wavers and what JPEG's best leaves out.
NONE = {
    **dict.fromkeys(("exposure", "white_balance", "tint", "gamma", "contrast", "saturation"), 1.0),
    **{"blur": 0.0, "noise": 0.0, "jpeg": 100.0, "resolution": 1.0, "crop": 0.0},
}


def as_floats(crop: Picture) -> np.ndarray:
    return crop.astype(np.float64)


def detail(crop: Picture) -> float:
    return float(np.abs(np.diff(as_floats(crop), axis=0)).mean())


def colour(crop: Picture) -> float:
    return float(np.ptp(as_floats(crop), axis=2).mean())


def spread(crop: Picture) -> float:
    return float(as_floats(crop).mean(axis=2).std())


def warmth(crop: Picture) -> float:
    red, _, blue = as_floats(crop).mean(axis=(0, 1))
    return float(red / blue)


def greenness(crop: Picture) -> float:
    red, green, blue = as_floats(crop).mean(axis=(0, 1))
    return float(2 * green / (red + blue))


def lightness(crop: Picture) -> float:
    return float(as_floats(crop).mean())


def blocks(crop: Picture) -> float:
    """Steps between blocks of 8 are what a low quality leaves, more than those inside of them."""
    steps = np.abs(np.diff(as_floats(crop), axis=0)).mean(axis=(1, 2))
    return float(steps[7::8].mean() - np.delete(steps, np.s_[7::8]).mean())


def unlike_the_crop(crop: Picture) -> float:
    return float(np.abs(as_floats(crop) - as_floats(CROP)).mean())


CROP = sample_crops(1, height=128, width=64, seed=3)[0]


@pytest.mark.parametrize(
    ("name", "measure", "more_is_more"),
    [
        ("exposure", lightness, True),
        ("white_balance", warmth, True),
        ("tint", greenness, True),
        ("gamma", lightness, False),
        ("contrast", spread, True),
        ("saturation", colour, True),
        ("blur", detail, False),
        ("noise", detail, True),
        ("jpeg", blocks, False),
        ("resolution", detail, True),
        ("crop", unlike_the_crop, True),
    ],
)
def test_each_change_does_what_its_name_says(
    name: str, measure: Callable[[Picture], float], more_is_more: bool
) -> None:
    """From the least of it to the most, all else as it was."""
    low, high = (measure(see(CROP, {**NONE, name: end}, np.random.default_rng(0))) for end in RANGES[name])
    assert (high > 1.01 * low) if more_is_more else (low > 1.01 * high)


def test_a_camera_without_changes_leaves_a_crop_all_but_as_it_is() -> None:
    seen = see(CROP, NONE, np.random.default_rng(0))
    # A waver of 1 % here, and JPEG's best.
    assert np.abs(as_floats(seen) - as_floats(CROP)).mean() < 0.06 * as_floats(CROP).mean()


def test_the_same_seed_changes_the_same_way_and_sizes_stay() -> None:
    crops = [CROP, sample_crops(1, height=61, width=33, seed=4)[0], CROP]
    one, two, other = (list(seen_by_other_cameras(crops, seed)) for seed in (0, 0, 1))
    assert [each.shape for each in one] == [each.shape for each in crops]
    assert all(each.dtype == np.uint8 for each in one)
    for first, second, third in zip(one, two, other, strict=True):
        np.testing.assert_array_equal(first, second)
        assert not np.array_equal(first, third)
    # Each image has a camera of its own.
    assert not np.array_equal(one[0], one[2])


def test_a_changed_crop_is_nearer_to_its_own_than_to_other_people() -> None:
    """By correlation of brightness, which is nothing that the changes were made for."""
    crops = sample_crops(12, height=64, width=32, seed=5)
    flat = [
        as_floats(np.stack(list(some))).mean(axis=3).reshape(12, -1)
        for some in (crops, seen_by_other_cameras(crops))
    ]
    alike = np.corrcoef(*flat)[:12, 12:]
    assert (alike.argmax(axis=0) == np.arange(12)).mean() > 0.9


def test_ranges_see_images_and_then_copies_by_other_cameras_than_those_of_people_held_out(
    people: Path, tmp_path: Path
) -> None:
    document = calibrate(tmp_path / "calib.json", "--data", str(people), "--images", "4", "--copies", "2")
    assert document["drawn"]["changed_copies"] == 2
    made = read_calibration_set(tmp_path / "calib.json")
    crops = list(load_pictures(made.pictures))
    seen = list(images_for_ranges(made))
    for crop, same, *copies, held_out in zip(
        crops, *(seen[i : i + 4] for i in (0, 4, 8)), seen_by_other_cameras(crops), strict=True
    ):
        np.testing.assert_array_equal(crop, same)
        looks = [crop, *copies, held_out]
        assert len({look.tobytes() for look in looks}) == len(looks) == 4
    # Sets from before there were copies have none, and their tables stay theirs.
    older = replace(made, drawn=replace(made.drawn, changed_copies=0))
    assert len(list(images_for_ranges(older))) == 4
    assert hash_pictures(older) != hash_pictures(made)
