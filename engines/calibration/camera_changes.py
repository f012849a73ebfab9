"""Drawn changes of camera: how people would look to cameras that nobody calibrated on.

The images of a calibration set were taken by its own cameras. Ranges that fit their light cut others off, and
what INT8 loses on people held out, whom the same cameras saw, is less than it loses elsewhere. So both
see each image once more, by a camera of its own that is drawn from `CHANGES`, all changes at once, as cameras
differ in all of them. Ranges and held-out people get other cameras, by their seeds.

The ranges follow from what cameras differ in and from the literature on it: colours and quality change as in
"Benchmarks for Corruption Invariant Person Re-identification" (Chen et al., NeurIPS 2021) and ImageNet-C
(Hendrycks and Dietterich, ICLR 2019), but less than there, since a camera that people work with is not
broken. They are argued for one by one, and not fitted to a test set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt
from PIL import Image

from osnet_edge.bench.measure.look import Look, develop
from osnet_edge.engines.calibration.calibration_set import CalibrationSet, load_pictures
from osnet_edge.runtime.preprocessing import Picture


@dataclass(frozen=True)
class Change:
    """One thing that cameras differ in.

    Attributes:
        low: the least of it.
        high: the most; factors are drawn so that twice is as likely as half, other values evenly.
        factor: whether it multiplies.
        why: for these ends.
    """

    low: float
    high: float
    factor: bool
    why: str

    def draw(self, rng: np.random.Generator) -> float:
        """Draw a value."""
        if self.factor:
            return float(np.exp(rng.uniform(np.log(self.low), np.log(self.high))))
        return float(rng.uniform(self.low, self.high))


#: By name, as manifests say them.
CHANGES = {
    "exposure": Change(
        0.73, 1.37, True, "automatic exposure errs by up to a stop: 2 to the power of 1/2.2 in stored values"
    ),
    "white_balance": Change(
        0.75,
        1.33,
        True,
        "red up and blue down, or the reverse: lamps of 2850 K taken for daylight change their ratio by 1.77 "
        "(black bodies; Afifi and Brown, ICCV 2019, go as far)",
    ),
    "tint": Change(0.93, 1.08, True, "green, as under fluorescent light; less than the other axis, as there"),
    "gamma": Change(0.71, 1.4, True, "tone curves of 1.8 to 2.6 stand beside one another: 2.6 / 1.8 = 1.4"),
    "contrast": Change(
        0.7, 1.3, True, "16 to 235 taken for 0 to 255, or the reverse, is 1.16; haze and tone mapping do more"
    ),
    "saturation": Change(0.5, 1.3, True, "low light and cheap sensors take colour away, presets add some"),
    "blur": Change(
        0.0, 0.008, False, "standard deviation by the crop's height: 1.4 m/s for 1/30 s, of a person of 1.7 m"
    ),
    "noise": Change(
        0.0, 10.0, False, "standard deviation in levels of 255: night; half of ImageNet-C's least"
    ),
    "jpeg": Change(
        30.0,
        95.0,
        False,
        "quality: from a saved still to a stream that is thrifty; ImageNet-C ends at 7 to 25",
    ),
    "resolution": Change(
        0.33, 1.0, True, "of the crop's height: people far away; low-resolution re-ID takes 1/2 to 1/4"
    ),
    "crop": Change(
        0.0, 0.08, False, "how far each edge may move, by height or width: another detector's, overlap 0.7"
    ),
}
#: The ends of each, for manifests.
RANGES = {name: (change.low, change.high) for name, change in CHANGES.items()}


#: Of the cameras that people held out are seen by; those of ranges are numbered from the next one.
_HELD_OUT_SEED = 0


def images_for_ranges(calibration: CalibrationSet) -> Iterator[Picture]:
    """Yield the images of a set, and then its changed copies, as (H, W, 3) uint8 RGB crops of any sizes.

    Raises:
        InputError: as `load_pictures`.
    """
    yield from load_pictures(calibration.pictures)
    for copy in range(1, calibration.drawn.changed_copies + 1):
        yield from seen_by_other_cameras(load_pictures(calibration.pictures), _HELD_OUT_SEED + copy)


def seen_by_other_cameras(crops: Iterable[Picture], seed: int = _HELD_OUT_SEED) -> Iterator[Picture]:
    """Yield each crop as another camera would give it, drawn for it alone; sizes stay.

    Args:
        crops: (H, W, 3) uint8 RGB, of any sizes.
        seed: the same seed changes the n-th crop in the same way.
    """
    for index, crop in enumerate(crops):
        rng = np.random.default_rng([seed, index])
        yield see(crop, draw_camera(rng), rng)


def draw_camera(rng: np.random.Generator) -> dict[str, float]:
    """Draw how a camera differs, by the names of `CHANGES`."""
    return {name: change.draw(rng) for name, change in CHANGES.items()}


def see(crop: Picture, camera: Mapping[str, float], rng: np.random.Generator) -> Picture:
    """Return a crop as a camera would give it.

    Args:
        crop: (H, W, 3) uint8 RGB.
        camera: a value for each of `CHANGES`.
        rng: noise, exposure that wavers, and where the edges of the box come to be.

    Returns:
        (H, W, 3) uint8.
    """
    height, width = crop.shape[:2]
    exposure, balance = camera["exposure"], camera["white_balance"]
    look = Look(
        gain=(exposure * balance, exposure * camera["tint"], exposure / balance),
        gamma=camera["gamma"],
        contrast=camera["contrast"],
        saturation=camera["saturation"],
        blur=camera["blur"],
        noise=camera["noise"],
        quality=round(camera["jpeg"]),
    )
    seen = _cut(crop, rng.uniform(-camera["crop"], camera["crop"], 4), camera["resolution"])
    developed = develop(seen, look, rng, seen.height)
    return np.asarray(developed.resize((width, height), Image.Resampling.BILINEAR))


def _cut(crop: Picture, edges: npt.NDArray[np.float64], resolution: float) -> Image.Image:
    """Move the edges of a box, what is outside repeating the crop's, and make the image smaller."""
    height, width = crop.shape[:2]
    more = ceil(np.abs(edges).max() * max(height, width))
    around = Image.fromarray(np.pad(crop, ((more, more), (more, more), (0, 0)), mode="edge"))
    top, bottom, left, right = edges
    box = (
        more + left * width,
        more + top * height,
        more + (1 + right) * width,
        more + (1 + bottom) * height,
    )
    size = max(1, round(width * resolution)), max(1, round(height * resolution))
    return around.resize(size, Image.Resampling.BILINEAR, box=box)
