"""Which images come in which batch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.recipe import Batches
from osnet_edge.train.sampling import epoch_order


@given(st.integers(2, 60), st.integers(2, 9), st.integers(0, 99), st.integers(0, 99))
def test_a_shuffled_epoch_shows_every_picture_once_or_leaves_less_than_a_batch(
    count: int, size: int, seed: int, epoch: int
) -> None:
    labels = [0] * count
    if count < size:
        with pytest.raises(InputError, match=f"expected {size} images"):
            epoch_order(labels, Batches(size=size), seed, epoch)
        return
    order = epoch_order(labels, Batches(size=size), seed, epoch)
    assert order.shape == (count // size, size)
    assert len(set(order.ravel().tolist())) == order.size
    np.testing.assert_array_equal(order, epoch_order(labels, Batches(size=size), seed, epoch))


@given(st.lists(st.integers(1, 9), min_size=3, max_size=12), st.integers(0, 99))
def test_batches_by_identity_hold_groups_of_different_people(counts: list[int], epoch: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    batches = Batches(size=6, sampler="identities", pictures_per_identity=2)
    order = epoch_order(labels.tolist(), batches, 0, epoch)
    people = labels[order].reshape(len(order), 3, 2)
    assert (people[:, :, 0] == people[:, :, 1]).all()
    assert all(len(set(row)) == 3 for row in people[:, :, 0].tolist())
    # Nobody's image comes twice in an epoch, but of somebody who has a single one.
    shown = np.bincount(order.ravel(), minlength=len(labels))
    assert (shown[np.repeat(np.array(counts) > 1, counts)] <= 1).all()


def test_people_with_equally_many_pictures_all_get_their_turn() -> None:
    labels = np.repeat(np.arange(12), 4).tolist()
    order = epoch_order(labels, Batches(size=16, sampler="identities"), 0, 0)
    assert sorted(order.ravel().tolist()) == list(range(48))


def test_epochs_and_seeds_differ() -> None:
    batches = Batches(size=10)
    orders = [epoch_order([0] * 40, batches, seed, epoch).tolist() for seed in (0, 1) for epoch in (0, 1)]
    assert len({str(order) for order in orders}) == 4


def test_too_few_people_for_a_batch_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected 4 identities .* got 3"):
        epoch_order([0, 0, 1, 1, 2, 2], Batches(size=16, sampler="identities"), 0, 0)
