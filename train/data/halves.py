"""The protocol of the small sets: half of the people to train on, half to test on, drawn again and again.

Their authors fixed no split, so that figures are averages over ten random ones (Gray et al., "Evaluating
appearance models", 2007, began it for VIPeR). The draws here depend on the seed and the split's number alone.
They are not those of torchreid, which were drawn without a seed and live in files, so figures agree in the
mean and not split by split.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from osnet_edge.train.data.reid_set import DISTRACTOR, Picture

#: How often the people are halved.
DRAWS = 10

Splits = tuple[tuple[Picture, ...], tuple[Picture, ...], tuple[Picture, ...]]


def draw_half(identities: Collection[int], draw: int, seed: int) -> frozenset[int]:
    """Return the half of the people to train on, the smaller one if they are odd.

    Example:
        >>> len(draw_half(range(1, 633), draw=0, seed=0))
        316
    """
    order = np.random.default_rng([seed, draw]).permutation(sorted(identities))
    return frozenset(order[: len(order) // 2].tolist())


def split_views(
    query_view: Iterable[Picture], gallery_view: Iterable[Picture], training: Collection[int]
) -> Splits:
    """Split a set of two views: people to train on give all their images, others one view to each side.

    People of the gallery's view alone become distractors, and those of the query's view alone are left out,
    as nobody could find them.

    Args:
        query_view: the images that queries come from.
        gallery_view: the images to look among.
        training: the identities to train on.

    Returns:
        Images to train on, queries and gallery.
    """
    query_view, gallery_view = tuple(query_view), tuple(gallery_view)
    shared = shared_identities(query_view, gallery_view)
    tested = shared - set(training)
    return (
        tuple(p for p in query_view + gallery_view if p.identity in training),
        tuple(p for p in query_view if p.identity in tested),
        tuple(
            p if p.identity in shared else Picture(p.path, DISTRACTOR, p.camera)
            for p in gallery_view
            if p.identity not in training
        ),
    )


def shared_identities(one: Iterable[Picture], other: Iterable[Picture]) -> set[int]:
    """Return who is on images of both views."""
    return ({p.identity for p in one} & {p.identity for p in other}) - {DISTRACTOR}
