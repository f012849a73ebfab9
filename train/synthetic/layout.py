"""Writes the synthetic re-ID set in the Market-1501 layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import write_folder_aside
from osnet_edge.train.data.market1501 import SPLIT_FOLDERS, read_market1501
from osnet_edge.train.data.reid_set import ReidSet
from osnet_edge.train.synthetic.camera import sample_cameras
from osnet_edge.train.synthetic.crops import FRAME, check_size, check_whole, draw_crop
from osnet_edge.train.synthetic.person import MOST_PEOPLE, sample_people
from osnet_edge.train.synthetic.style import restyle

_QUALITY = 92
#: More than anybody draws on purpose.
_MOST_CAMERAS, _MOST_PICTURES = 100, 1000


def write_set(
    folder: Path | str,
    *,
    train_identities: int,
    test_identities: int,
    cameras: int,
    pictures_per_camera: int,
    seed: int,
    height: int = 256,
    width: int = 128,
    style: str = "plain",
    progress: Callable[[int], None] | None = None,
) -> ReidSet:
    """Draw a re-ID set: JPEG crops of people to train on and of other people to test on.

    Every person appears on every camera. Of a test person's images on a camera the first is a query and
    the others are in the gallery. Sizes vary around `height` x `width`, as those of real crops do.

    Args:
        folder: where to write; it must not exist, and is there whole or not at all.
        train_identities: how many people to train on, numbered from 1; 0 for a set to test on only.
        test_identities: how many other people to test on, numbered after the first; 0 for none.
        cameras: how many cameras, at least 2, or no query would have a match on another camera.
        pictures_per_camera: how many images of a person on each camera, at least 2.
        seed: the same seed and numbers give the same bytes (with the same versions of Pillow and numpy);
            another seed gives other people, places and cameras.
        height: the usual height of a crop in pixels; crops have 0.65 to 1.2 times that.
        width: the usual width, as above.
        style: the manner that all cameras share, one of `style.STYLES`; people, places and poses stay.
        progress: called with the number of images written since the last call.

    Returns:
        The set as `read_market1501` reads it back; a split without people is empty.

    Raises:
        InputError: a number is out of range, there is no such style, or the folder is there already.

    Example:
        >>> from tempfile import mkdtemp
        >>> made = write_set(mkdtemp() + "/drawn", train_identities=2, test_identities=1, cameras=2,
        ...                  pictures_per_camera=3, seed=0)
        >>> len(made.train), len(made.query), len(made.gallery)
        (12, 2, 4)
    """
    for name, value, least, most in (
        ("train_identities", train_identities, 0, MOST_PEOPLE),
        ("test_identities", test_identities, 0, MOST_PEOPLE),
        ("cameras", cameras, 2, _MOST_CAMERAS),
        ("pictures_per_camera", pictures_per_camera, 2, _MOST_PICTURES),
        ("seed", seed, 0, None),
    ):
        check_whole(name, value, least, most)
    check_size(height, width)
    count = train_identities + test_identities
    if not 0 < count <= MOST_PEOPLE:
        raise InputError(f"expected 1 to {MOST_PEOPLE} people to train and test on together, got {count}")
    folder = Path(folder)
    with write_folder_aside(folder) as fresh:
        people = sample_people(count, np.random.default_rng([seed, 0]))
        drawn = sample_cameras(cameras, FRAME, np.random.default_rng([seed, 1]))
        views = [restyle(camera, style) for camera in drawn]
        if train_identities:
            (fresh / SPLIT_FOLDERS["train"]).mkdir()
        if test_identities:
            (fresh / SPLIT_FOLDERS["query"]).mkdir()
            (fresh / SPLIT_FOLDERS["gallery"]).mkdir()
        for k, person in enumerate(people):
            for c, camera in enumerate(views):
                for shot in range(pictures_per_camera):
                    split = "train" if k < train_identities else "query" if shot == 0 else "gallery"
                    # An image's chance depends on its own numbers alone: a set with more people or
                    # images holds the same images as the smaller one.
                    rng = np.random.default_rng([seed, 2, k, c, shot])
                    crop = draw_crop(person, camera, rng, _size(height, width, rng))
                    name = f"{k + 1:04d}_c{c + 1}s1_{shot + 1:06d}_00.jpg"
                    _save(crop, fresh / SPLIT_FOLDERS[split] / name)
                if progress:
                    progress(pictures_per_camera)
    return read_market1501(folder)


def _size(height: int, width: int, rng: np.random.Generator) -> tuple[int, int]:
    high = round(height * float(rng.uniform(0.65, 1.2)))
    return max(8, round(high * width / height * float(rng.uniform(0.9, 1.1)))), high


def _save(crop: Image.Image, path: Path) -> None:
    crop.save(path, "JPEG", quality=_QUALITY)
