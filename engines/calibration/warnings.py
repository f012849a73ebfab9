"""Warnings about a calibration set, with what each problem costs.

The figures are measured, see docs/CALIBRATION.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from osnet_edge.engines.calibration.calibration_set import HowDrawn
from osnet_edge.engines.calibration.draw import MIN_PEOPLE

_FEW = 64
#: Share of grey images from which colour is next to missing.
_MOSTLY = 0.9


def find_warnings(drawn: HowDrawn, count: int, people: int, aside: int) -> Iterator[str]:
    """Yield a warning for each problem of a set that may spoil the ranges, or that a build cannot measure.

    Args:
        drawn: how the set was drawn.
        count: number of images drawn.
        people: number of people who were to be held out.
        aside: number of images that are held out, in a set without identities.
    """
    unlabelled = drawn.kind == "unlabelled"
    if count < drawn.asked:
        others = (
            f"{aside:,} are held out" if unlabelled else f"those of {drawn.held_out:,} people are held out"
        )
        yield (
            f"asked for {drawn.asked:,} images, took all {count:,} that are left of {drawn.available:,}: "
            f"{drawn.near_duplicates:,} are near-duplicates, {drawn.outside:,} are outside their frame, "
            f"{others}"
        )
    if count < _FEW:
        yield (
            f"fewer than {_FEW} images: {count}. Rare large values are missing, and INT8 will clip them: by "
            "a tenth or more somewhere in 2 of 3 new images with a set of 32, in 1 of 11 with one of 512; "
            "draw 256 or more"
        )
    if drawn.cameras == 1:
        folders = ", each camera's in a folder of its own" if unlabelled else ""
        yield (
            "one camera only: INT8 will clip larger values from other cameras, in up to 3 times as many "
            f"images as with two cameras; add images of the others{folders}"
        )
    if drawn.grey >= _MOSTLY * count:
        yield (
            f"grey images: {drawn.grey:,} of {count:,}. With ranges from so little colour, INT8 clips every "
            "colour image somewhere; this is right for infrared cameras only, otherwise add images by day"
        )
    if unlabelled:
        yield (
            "no identities: images are even over folders and time, not over people, so a person who stays "
            "long may be on many of them; and a build cannot measure the loss of mAP, only how far "
            "embeddings move. For --budget and --precision auto, also give a set with identities (--data)"
        )
    elif people and not drawn.held_out:
        yield (
            f"nobody is held out: this needs {2 * MIN_PEOPLE} people seen by 2 cameras, half of them to "
            "calibrate on; `build --precision auto` will need such a set"
        )
