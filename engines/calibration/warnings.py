"""What a person should know of a calibration set before building with it, and what it costs.

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
    """Yield a warning for each thing about a set that may spoil the ranges, or cannot be told by it.

    Args:
        drawn: how it was drawn.
        count: images drawn.
        people: how many were to be held out.
        aside: images of an unlabelled set that are held out.
    """
    unlabelled = drawn.kind == "unlabelled"
    if count < drawn.asked:
        others = (
            f"{aside:,} set aside to measure on"
            if unlabelled
            else (f"images of the {drawn.held_out:,} people who are held out")
        )
        yield (
            f"asked for {drawn.asked:,} images, took all {count:,} that there are of {drawn.available:,} "
            f"(near-duplicates: {drawn.near_duplicates:,}, boxes outside their frame: {drawn.outside:,}); "
            f"not counted: {others}"
        )
    if count < _FEW:
        yield (
            f"fewer than {_FEW} images: {count}. Rare large values are missing and will be cut off: by "
            "a tenth or more somewhere in 2 of 3 new images with a set of 32, in 1 of 11 with one of 512; "
            "draw 256 or more"
        )
    if drawn.cameras == 1:
        folders = ", each camera's in a folder of its own" if unlabelled else ""
        yield (
            "one camera only: what other cameras see beyond its ranges will be cut off, in up to 3 times as "
            f"many images as with two cameras; add images of the others{folders}"
        )
    if drawn.grey >= _MOSTLY * count:
        yield (
            f"grey images: {drawn.grey:,} of {count:,}. An engine whose ranges have hardly seen colour "
            "cuts off every colour image somewhere; right for infrared cameras alone, else add "
            "images by day"
        )
    if unlabelled:
        yield (
            "no identities: images are even over folders and time, not over people, so that who stays long "
            "may be on many; and nobody can tell what INT8 costs in mAP, only how far embeddings move. "
            "--budget and --precision auto need a set with people (--data) beside these"
        )
    elif people and not drawn.held_out:
        yield (
            f"nobody is held out: that takes {2 * MIN_PEOPLE} people whom 2 cameras saw, half of them to "
            "calibrate on; `build --precision auto` will need a set with such people"
        )
