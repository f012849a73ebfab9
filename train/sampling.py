"""The order of images in batches: a pure function of seed and epoch, so that a run can resume."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.recipe import Batches

Order = NDArray[np.int64]

#: First word of the seeds of what chance does in training, so that none draws another's numbers:
#: NumPy takes [seed, epoch] and [seed, epoch, 0] for the same seed.
ORDER_STREAM, LOOKS_STREAM = 1, 2


def epoch_order(labels: Sequence[int], batches: Batches, seed: int, epoch: int) -> Order:
    """Return the images of each batch of one epoch; images that do not fill a last batch are left out.

    With the sampler "identities", a batch has `pictures_per_identity` images of each of its people, one after
    the other (Hermans et al., "In Defense of the Triplet Loss", 2017, section 3); images of people with fewer
    are repeated.

    Args:
        labels: the identity of every image.
        batches: size and sampler.
        seed: of the run.
        epoch: counted from 0.

    Returns:
        (steps, size) indices into `labels`.

    Raises:
        InputError: there are not enough images, or people, for one batch.

    Example:
        >>> epoch_order([0, 0, 1, 1, 2], Batches(size=2), seed=0, epoch=0).shape
        (2, 2)
    """
    rng = np.random.default_rng([ORDER_STREAM, seed, epoch])
    if batches.sampler == "identities":
        return _by_identity(np.asarray(labels), batches, rng)
    steps = len(labels) // batches.size
    if not steps:
        raise InputError(
            f"expected {batches.size} images (a batch) or more, got {len(labels)}; lower batches.size"
        )
    return rng.permutation(len(labels))[: steps * batches.size].reshape(steps, batches.size)


def steps_an_epoch(labels: Sequence[int], batches: Batches) -> int:
    """Return the number of batches of an epoch, which does not depend on the seed.

    Raises:
        InputError: as `epoch_order`.
    """
    return len(epoch_order(labels, batches, 0, 0))


def places_in(order: Order) -> Order:
    """Return the place of each image in an epoch's order, counted from 0: (steps, size).

    Example:
        >>> places_in(np.array([[7, 3], [5, 7]])).tolist()
        [[0, 1], [2, 3]]
    """
    return np.arange(order.size).reshape(order.shape)


def _by_identity(labels: Order, batches: Batches, rng: np.random.Generator) -> Order:
    count = batches.pictures_per_identity
    people = batches.size // count
    groups: list[list[Order]] = []
    for identity in np.unique(labels):
        mine = rng.permutation(np.flatnonzero(labels == identity))
        if len(mine) < count:
            mine = np.concatenate([mine, rng.choice(mine, count - len(mine))])
        whole = len(mine) // count
        groups.append(list(mine[: whole * count].reshape(whole, count)))
    if len(groups) < people:
        raise InputError(
            f"expected {people} identities (a batch of {batches.size} with {count} images each) or more, "
            f"got {len(groups)}; lower batches.size"
        )
    return np.stack(list(_deal(groups, people, rng)))


def _deal(groups: list[list[Order]], people: int, rng: np.random.Generator) -> list[Order]:
    """Form batches of groups of different people until too few people are left.

    People with the most groups left come first, ties in random order, so that nearly all images are used.
    """
    left = np.array([len(mine) for mine in groups])
    dealt = []
    while (left > 0).sum() >= people:
        chosen = np.lexsort((rng.random(len(left)), -left))[:people]
        left[chosen] -= 1
        dealt.append(np.concatenate([groups[who][left[who]] for who in chosen]))
    order = rng.permutation(len(dealt))
    return [dealt[position] for position in order]
