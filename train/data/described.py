"""A set from images that the user describes by a table or a pattern."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.data.reid_set import DISTRACTOR, Picture, ReidSet

SPLITS = ("train", "query", "gallery")


class Description(NamedTuple):
    """The description of one image.

    Attributes:
        path: the image's file.
        identity: any text; empty for a distractor.
        camera: any text; empty if unknown.
        split: one of `SPLITS`.
        source: place of this description, for messages.
    """

    path: Path
    identity: str
    camera: str
    split: str
    source: str


def set_of(
    name: str, root: Path, described: Sequence[Description], warnings: tuple[str, ...] = ()
) -> ReidSet:
    """Number identities and cameras from 1, in the order of their texts, and assign images to splits.

    Raises:
        InputError: a split, camera or identity is wrong, or an image comes twice.
    """
    sources: dict[Path, str] = {}
    for each in described:
        if each.split not in SPLITS:
            raise InputError(f"expected a split of {', '.join(SPLITS)}, got {each.split!r} in {each.source}")
        if not each.identity and each.split != "gallery":
            raise InputError(f"expected an identity in {each.source}; only a gallery image may do without")
        if each.path in sources:
            raise InputError(
                f"expected each image once, but {each.path} is in {sources[each.path]} and in {each.source}"
            )
        sources[each.path] = each.source
    splits = {each.split for each in described}
    if len(splits & {"query", "gallery"}) == 1:
        raise InputError(f"expected query and gallery images, or neither; {root} has {splits - {'train'}}")
    _require_cameras(described, tests="query" in splits)
    people = {who: 1 + k for k, who in enumerate(sorted({each.identity for each in described} - {""}))}
    cameras = {camera: 1 + k for k, camera in enumerate(sorted({each.camera for each in described}))}
    pictures: dict[str, list[Picture]] = {split: [] for split in SPLITS}
    for each in described:
        identity = people.get(each.identity, DISTRACTOR)
        pictures[each.split].append(Picture(each.path, identity, cameras[each.camera]))
    train, query, gallery = (tuple(pictures[split]) for split in SPLITS)
    return ReidSet(name, root, train, query, gallery, warnings=warnings)


def _require_cameras(described: Sequence[Description], tests: bool) -> None:
    """Check that all images have a camera, unless there are only training images: scores need cameras."""
    without = [each for each in described if not each.camera]
    if without and (tests or len(without) < len(described)):
        raise InputError(
            f"expected a camera in {without[0].source}; only a set without query and gallery may leave it out"
        )
