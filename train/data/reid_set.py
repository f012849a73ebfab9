"""The result of all readers: images by split, each with its identity and camera."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from osnet_edge.runtime.pictures import SUFFIXES

Protocol = Literal["market1501", "single-gallery-shot"]

#: The identity of gallery images that are nobody's right answer; people are numbered from 1.
DISTRACTOR = 0
#: What systems put beside images, which nobody misses.
_COMPANIONS = {"thumbs.db", "desktop.ini"}


class DataWarning(UserWarning):
    """A problem of a set that does not stop the work, but that a person should know."""


@dataclass(frozen=True)
class Picture:
    """One crop of one person.

    Attributes:
        path: the image's file.
        identity: number of the person, the same throughout a set; 0 for a distractor.
        camera: number of the camera, as in the set (Market-1501 counts from 1).
    """

    path: Path
    identity: int
    camera: int


@dataclass(frozen=True)
class ReidSet:
    """The images of a re-ID set, by split.

    Attributes:
        name: the set's name, or its folder's.
        root: the folder that holds it.
        train: training images; empty if there are none or they were not asked for.
        query: query images, as above.
        gallery: gallery images, as above, including distractors.
        protocol: how retrieval is scored. "market1501" drops gallery images of the query's own identity and
            camera, and counts all others (Zheng et al., "Scalable Person Re-identification", 2015).
            "single-gallery-shot" does so too, and then averages over random galleries with one image of each
            identity (Li et al., "DeepReID", 2014).
        validation: images of training people that the set's authors reserve for choosing settings; they are
            trained on only with `combineall`.
        warnings: problems that were found and skipped, each with its count.
    """

    name: str
    root: Path
    train: tuple[Picture, ...]
    query: tuple[Picture, ...]
    gallery: tuple[Picture, ...]
    protocol: Protocol = "market1501"
    validation: tuple[Picture, ...] = ()
    warnings: tuple[str, ...] = ()


def list_pictures(folder: Path) -> list[Path]:
    """Return the images right inside a folder, sorted by name."""
    with os.scandir(folder) as entries:
        names = [
            entry.name
            for entry in entries
            # A name that starts with a dot is macOS's companion of an image, not an image.
            if entry.name.lower().endswith(SUFFIXES) and not entry.name.startswith(".") and entry.is_file()
        ]
    return [folder / name for name in sorted(names)]


def files_left_out(folders: Iterable[Path]) -> Iterator[str]:
    """Return a warning with the number of files in folders that have no image suffix, by suffix."""
    counts: Counter[str] = Counter()
    for folder in filter(Path.is_dir, set(folders)):
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name.lower()
                if name.startswith(".") or name.endswith(SUFFIXES) or name in _COMPANIONS or entry.is_dir():
                    continue
                counts[Path(name).suffix or "no suffix"] += 1
    if counts:
        shown = ", ".join(f"{suffix} {count:,}" for suffix, count in counts.most_common(5))
        yield f"files left out, which do not end as images do: {counts.total():,} ({shown})"
