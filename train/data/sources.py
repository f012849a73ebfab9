"""The training images of one set or of several sets together."""

from __future__ import annotations

from collections.abc import Sequence

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.data.open_set import count_splits, open_set
from osnet_edge.train.data.reid_set import DISTRACTOR, Picture, ReidSet


def training_pictures(
    specs: Sequence[str], *, combineall: bool = False, split: int = 0, seed: int = 0
) -> tuple[Picture, ...]:
    """Read the training images of sets; different sets never share people or cameras.

    Args:
        specs: the sets, as `open_set` takes them.
        combineall: whether to add validation, query and gallery images, without junk and distractors. Scores
            on these sets are then meaningless; this is for networks that are used elsewhere.
        split: the split of sets that have several.
        seed: draws the splits of sets without fixed ones.

    Returns:
        The images, set by set. Identities run from 0 to N - 1 and cameras from 0 to C - 1, over all sets.

    Raises:
        InputError: no set is named, a set cannot be read or has no training images, or with `combineall` an
            identity is among both training and test people.
        UnavailableError: a set needs a library that is not installed.
    """
    if not specs:
        raise InputError("expected a set to train on, got none; name one, or several")
    pictures: list[Picture] = []
    people = cameras = 0
    for spec in specs:
        found = open_set(spec, split=split if count_splits(spec) > 1 else 0, seed=seed)
        chosen = _chosen(found, combineall)
        who = {identity: people + k for k, identity in enumerate(sorted({p.identity for p in chosen}))}
        where = {camera: cameras + k for k, camera in enumerate(sorted({p.camera for p in chosen}))}
        pictures += [Picture(p.path, who[p.identity], where[p.camera]) for p in chosen]
        people, cameras = people + len(who), cameras + len(where)
    return tuple(pictures)


def _chosen(found: ReidSet, combineall: bool) -> list[Picture]:
    """Return the training images of one set, each once."""
    chosen = list(found.train)
    if combineall:
        training, tested = ({p.identity for p in part} for part in (found.train, found.query))
        if both := training & tested:
            raise InputError(
                f"expected other people to train on than to test on in {found.root}, but {len(both)} numbers "
                f"are both, such as {min(both)}; leave out combineall, or number them apart"
            )
        # A converted MSMT17 has a real person 0; whoever is looked for is no distractor.
        chosen += found.validation + found.query
        chosen += [p for p in found.gallery if p.identity != DISTRACTOR or DISTRACTOR in tested]
        chosen = list({p.path: p for p in chosen}.values())
    if not chosen:
        raise InputError(f"expected images to train on in {found.root}, found none; add bounding_box_train/")
    return chosen
