"""A check of a set: it opens all images, counts them, and finds suspicious and unreadable ones."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.train.data.reid_set import DISTRACTOR, Picture, ReidSet

#: Pixels below which a crop shows too little of anybody; VIPeR's, the smallest in use, are 128x48.
_LEAST_HEIGHT, _LEAST_WIDTH = 48, 16
_SPLITS = ("train", "validation", "query", "gallery")
#: Enough to keep a disk busy; Pillow lets other threads run while it decodes.
_MOST_THREADS = 8


@dataclass(frozen=True)
class SplitCount:
    """The counts of one split.

    Attributes:
        split: its name.
        identities: number of people, without distractors.
        cameras: number of cameras.
        pictures: number of images, with distractors.
    """

    split: str
    identities: int
    cameras: int
    pictures: int


@dataclass(frozen=True)
class SetReport:
    """The result of a check.

    Attributes:
        splits: counts of the splits that have images.
        warnings: problems that do not stop the work, with counts.
        unreadable: images that cannot be decoded, each with the reason.
    """

    splits: tuple[SplitCount, ...]
    warnings: tuple[str, ...]
    unreadable: tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class _Opened:
    """The result of opening one file: its size in pixels and its digest, or why it cannot be decoded."""

    path: Path
    height: int = 0
    width: int = 0
    digest: bytes = b""
    reason: str = ""


def check_set(found: ReidSet, progress: Callable[[int], None] = lambda count: None) -> SetReport:
    """Open every image of a set.

    Args:
        found: the set.
        progress: called with the number of images opened since the last call, `count_files` in all.
    """
    opened = []
    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
        for each in pool.map(_open, _files(found)):
            opened.append(each)
            progress(1)
    return SetReport(
        splits=tuple(_count(split, getattr(found, split)) for split in _SPLITS if getattr(found, split)),
        warnings=(*found.warnings, *_doubts(found), *_picture_doubts(found, opened)),
        unreadable=tuple((each.path, each.reason) for each in opened if each.reason),
    )


def count_files(found: ReidSet) -> int:
    """Return how many files a set has; an image may be both query and gallery."""
    return len(_files(found))


def _files(found: ReidSet) -> list[Path]:
    return list(dict.fromkeys(p.path for p in _all(found)))


def _all(found: ReidSet) -> tuple[Picture, ...]:
    return found.train + found.validation + found.query + found.gallery


def _count(split: str, pictures: Sequence[Picture]) -> SplitCount:
    people = {p.identity for p in pictures}
    # A converted MSMT17 has a person 0 to train on; in the gallery it is nobody.
    people -= {DISTRACTOR} if split == "gallery" else set()
    return SplitCount(split, len(people), len({p.camera for p in pictures}), len(pictures))


def _open(path: Path) -> _Opened:
    try:
        height, width, _ = read_picture(path).shape
        return _Opened(path, height, width, hashlib.sha256(path.read_bytes()).digest())
    except (InputError, OSError, MemoryError) as error:
        return _Opened(path, reason=str(error) or type(error).__name__)


def _doubts(found: ReidSet) -> Iterator[str]:
    """Yield warnings that follow from identities and cameras alone."""
    cameras: dict[int, set[int]] = {}
    for picture in found.train:
        cameras.setdefault(picture.identity, set()).add(picture.camera)
    lonely = sorted(who for who, where in cameras.items() if len(where) == 1)
    if lonely:
        yield (
            f"people to train on with one camera only: {len(lonely):,} of {len(cameras):,}, "
            f"such as {lonely[0]}; they teach nothing about other cameras"
        )
    places: dict[int, set[int]] = {}
    for picture in found.gallery:
        places.setdefault(picture.identity, set()).add(picture.camera)
    unmatched = [p for p in found.query if not places.get(p.identity, set()) - {p.camera}]
    if unmatched:
        yield (
            f"queries without a match on another camera in the gallery: {len(unmatched):,} of "
            f"{len(found.query):,}, such as {unmatched[0].path.name}; scores leave them out"
        )
    both = {p.identity for p in found.train} & {p.identity for p in found.query}
    if both:
        yield (
            f"people both in training and test images: {len(both):,}, such as {min(both)}; "
            "scores would be too good, unless each split numbers its people from the start"
        )


def _picture_doubts(found: ReidSet, opened: Sequence[_Opened]) -> Iterator[str]:
    """Yield warnings about the content of the files."""
    good = [each for each in opened if not each.reason]
    tiny = [each for each in good if each.height < _LEAST_HEIGHT or each.width < _LEAST_WIDTH]
    if tiny:
        yield (
            f"images smaller than {_LEAST_HEIGHT}x{_LEAST_WIDTH}: {len(tiny):,}, such as "
            f"{tiny[0].path.name} ({tiny[0].height}x{tiny[0].width})"
        )
    wide = [each for each in good if each.width > each.height]
    if wide:
        yield f"images wider than high: {len(wide):,}, such as {wide[0].path.name}; are they of people?"
    copies = Counter(each.digest for each in good)
    spare = sum(copies.values()) - len(copies)
    if spare:
        first = next(each for each in good if copies[each.digest] > 1)
        yield f"copies of another image, byte by byte: {spare:,}, such as of {first.path.name}"
    who = {p.path: p.identity for p in _all(found)}
    named: dict[bytes, set[int]] = {}
    for each in good:
        named.setdefault(each.digest, set()).add(who[each.path])
    torn = [each for each in good if len(named[each.digest]) > 1]
    if torn:
        yield f"equal images under different identities: {len(torn):,}, such as {torn[0].path.name}"
