"""Batches in the GPU's memory and out of it, with stand-ins for the GPU."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from cuda_in_memory import Exchanged, OnDevice
from tensorrt_stand_in import LARGEST, assert_nothing_is_left, batch_of, fresh, sums

from osnet_edge.runtime.errors import InputError


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        # Floats for an engine that takes bytes would be cut to them without a word.
        (batch_of(2).astype(np.float32), "expected a batch of uint8"),
        (batch_of(2)[..., :2], "expected a batch of uint8"),
        (batch_of(0), "expected a batch of uint8"),
        (OnDevice(batch_of(2).astype(np.float32)), "expected a batch of uint8"),
        (OnDevice(batch_of(2)[:, ::2]), "expected a contiguous array"),
        (OnDevice(batch_of(2), mask=OnDevice(batch_of(2))), "without a mask"),
        (Exchanged(batch_of(2)[:, ::2]), "expected a contiguous array"),
        (Exchanged(batch_of(2), device=1), "engines run on GPU 0, and this array is on GPU 1"),
        (Exchanged(batch_of(2).astype(np.complex64)), "expected uint8 or float32"),
    ],
)
def test_batches_that_do_not_fit_are_refused(batch: object, said: str) -> None:
    cuda, plan, engine = fresh()
    with pytest.raises(InputError, match=said):
        engine.infer(batch)
    del engine
    assert_nothing_is_left(cuda, plan)


@pytest.mark.parametrize("kind", [OnDevice, Exchanged])
def test_a_batch_on_the_gpu_does_not_cross_the_bus(kind: type) -> None:
    cuda, _, engine = fresh()
    for size in (3, 3, LARGEST + 4):
        batch = batch_of(size, size)
        assert np.array_equal(engine.infer(kind(batch)), sums(batch))
    assert cuda.moved["HtoD"] == 0
    assert cuda.moved["DtoD"] == sum(batch_of(size).nbytes for size in (3, 3, LARGEST + 4))


@pytest.mark.parametrize(
    ("changed", "waits"),
    [
        # Version 3 names its stream, 1 being the default one.
        ({"stream": 1}, [1]),
        # None: there is nothing to wait for.
        ({"stream": None}, []),
        # Version 2 has no such field.
        ({"version": 2, "stream": 1}, [1]),
    ],
)
def test_the_producers_stream_comes_first(changed: dict[str, object], waits: list[int]) -> None:
    cuda, _, engine = fresh()
    engine.infer(OnDevice(batch_of(1), **changed))
    assert [producer for producer, _ in cuda.waited] == waits
    assert all(ours in cuda.handles for _, ours in cuda.waited)


def test_dlpack_is_told_our_stream() -> None:
    cuda, _, engine = fresh()
    array = Exchanged(batch_of(1))
    engine.infer(array)
    assert array.streams
    assert set(array.streams) <= cuda.handles
    # And given back: nobody holds the memory any longer.
    before = sys.getrefcount(array.array)
    engine.infer(array)
    after = sys.getrefcount(array.array)
    assert after == before
