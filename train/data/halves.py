"""The protocol of the small sets: random halves of the people for training and test, several times.

Their authors fixed no split, so scores are averages over ten random ones (first for VIPeR, Gray et al.,
"Evaluating appearance models", 2007). The splits here depend only on the seed and the split's number. They
are not those of torchreid, which were drawn without a seed and are stored in files; so scores agree on
average, and not for each split.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from osnet_edge.train.data.reid_set import DISTRACTOR, Picture

#: How often the people are halved.
DRAWS = 10

Splits = tuple[tuple[Picture, ...], tuple[Picture, ...], tuple[Picture, ...]]


def draw_half(identities: Collection[int], draw: int, seed: int) -> frozenset[int]:
    """Return the half of the people to train on; the smaller one if their number is odd.

    Example:
        >>> len(draw_half(range(1, 633), draw=0, seed=0))
        316
    """
    order = np.random.default_rng([seed, draw]).permutation(sorted(identities))
    return frozenset(order[: len(order) // 2].tolist())


def split_views(
    query_view: Iterable[Picture], gallery_view: Iterable[Picture], training: Collection[int]
) -> Splits:
    """Split a set of two views: training people with all images, others with one view for each side.

    People only in the gallery's view become distractors. People only in the query's view are left out, since
    they have no match.

    Args:
        query_view: the images for queries.
        gallery_view: the images for the gallery.
        training: the identities to train on.

    Returns:
        Training images, queries and gallery.
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
    """Return the identities in both views."""
    return ({p.identity for p in one} & {p.identity for p in other}) - {DISTRACTOR}
