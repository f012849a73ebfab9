"""An engine's batches, graphs, threads and memory, with stand-ins for the GPU: what runs without one."""

from __future__ import annotations

import gc
import os
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from cuda_in_memory import Memory
from hypothesis import given
from hypothesis import strategies as st
from tensorrt_stand_in import LARGEST, Plan, assert_nothing_is_left, batch_of, engine_on, fresh, sums

from osnet_edge.runtime.backends.tensorrt.buckets import bucket_of
from osnet_edge.runtime.errors import InputError, UnavailableError


@given(st.integers(1, 300), st.integers(1, 8), st.integers(8, 300))
def test_a_bucket_holds_its_pictures_and_wastes_under_a_fifth(size: int, least: int, most: int) -> None:
    bucket = bucket_of(min(size, most), least, most)
    assert max(min(size, most), least) <= bucket <= most
    if bucket > least:
        assert bucket - min(size, most) < bucket / 5


def test_a_plan_for_32_has_16_buckets_that_waste_a_twentieth() -> None:
    buckets = [bucket_of(size, 1, 32) for size in range(1, 33)]
    assert len(set(buckets)) == 16
    assert 1 - sum(range(1, 33)) / sum(buckets) < 0.051


def test_batches_of_all_sizes_go_through_the_same_memory() -> None:
    cuda, plan, engine = fresh()
    sizes = (4, 1, 3, 3, 4, 9, 20, 17, 1)
    results = [(batch, engine.infer(batch)) for batch in map(batch_of, sizes, range(len(sizes)))]
    # Compared at the end: a later call must not change what an earlier one returned.
    for batch, rows in results:
        assert rows.dtype == np.float32
        assert np.array_equal(rows, sums(batch))
    assert (len(cuda.alive), plan.contexts) == (4, 1)


def test_each_bucket_is_captured_once_and_replayed_after() -> None:
    cuda, plan, engine = fresh()
    for size in (3, 4, 3, 9, 10, 4, 3):
        assert np.array_equal(engine.infer(batch_of(size, size)), sums(batch_of(size, size)))
    # 3, 4 and 10: each was run, captured and held to the run; four calls replayed.
    assert cuda.launched == 3 + 4
    assert plan.executed == 3 + 3 + 4
    assert "one CUDA graph for each batch size" in engine.description
    assert engine.captures_graphs
    assert engine.replays_graphs
    del engine
    assert_nothing_is_left(cuda, plan)


@pytest.mark.parametrize(
    ("size", "cuda_graphs", "launched", "executed"),
    [
        # The batch size has run, so that its graph is there.
        (3, True, 1, 1),
        # It is asked to do without.
        (3, False, 0, 1),
        # It has not run yet: there is no graph.
        (9, True, 0, 1),
    ],
)
def test_parts_of_a_call_are_timed_with_its_graph_or_without(
    size: int, cuda_graphs: bool, launched: int, executed: int
) -> None:
    cuda, plan, engine = fresh()
    engine.infer(batch_of(3))
    before = cuda.launched, plan.executed
    parts = engine.timed_parts(batch_of(size), cuda_graphs=cuda_graphs)
    assert (cuda.launched - before[0], plan.executed - before[1]) == (launched, executed)
    assert set(parts) == {"input_ms", "enqueue_ms", "compute_ms", "output_ms"}
    assert 0 < parts["enqueue_ms"] < parts["compute_ms"]
    # What follows is as if it had not been.
    for count in (3, 9):
        assert np.array_equal(engine.infer(batch_of(count, 1)), sums(batch_of(count, 1)))


def test_parts_are_of_one_batch_that_fits() -> None:
    _, plan, engine = fresh()
    with pytest.raises(InputError, match=f"at most {LARGEST} images at once, got {LARGEST + 1}"):
        engine.timed_parts(batch_of(LARGEST + 1))
    assert plan.executed == 0


@pytest.mark.parametrize(
    ("function", "said"),
    [
        # A driver without graphs, an operation that cannot be captured, and no memory for the graph.
        ("cuStreamBeginCapture", "operation not supported"),
        ("cuStreamEndCapture", "operation failed due to a previous error during capture"),
        ("cuGraphInstantiate", "out of memory"),
    ],
)
def test_a_capture_that_fails_costs_the_graphs_and_nothing_else(function: str, said: str) -> None:
    cuda, plan, engine = fresh()
    cuda.fails[function] = said
    for size in (3, 3, 4):
        assert np.array_equal(engine.infer(batch_of(size, size)), sums(batch_of(size, size)))
        cuda._thread.captured = None
    assert f"no CUDA graphs: CUDA says: {said}" in engine.description
    assert not engine.captures_graphs
    assert not engine.replays_graphs
    assert (cuda.launched, plan.executed) == (0, 3)


def test_a_graph_that_gives_other_embeddings_is_not_used() -> None:
    _, plan, engine = fresh()
    plan.spoils_graphs = True
    for _ in range(3):
        assert np.array_equal(engine.infer(batch_of(2)), sums(batch_of(2)))
    assert "no CUDA graphs: a captured graph gave other embeddings" in engine.description


def test_where_tensorrt_rtx_has_its_own_graphs_none_is_captured() -> None:
    saved: list[int] = []
    cuda = Memory()
    plan = Plan(cuda)
    cache = SimpleNamespace(
        create_context=plan.create_execution_context, save=lambda: saved.append(1), has_graphs=True
    )
    engine = engine_on(cuda, plan, cache=cache, can_capture=False, graphs="TensorRT-RTX's own CUDA graphs")
    assert (engine.captures_graphs, engine.replays_graphs) == (False, True)
    for _ in range(12):
        assert np.array_equal(engine.infer(batch_of(2)), sums(batch_of(2)))
    assert (cuda.launched, plan.executed) == (0, 12)
    # Kept after the first run and the tenth, as compiling goes on behind it, and not after every one.
    assert len(saved) == 2
    assert "TensorRT-RTX's own CUDA graphs" in engine.description


def test_a_batch_over_the_profile_is_split_and_one_under_it_padded() -> None:
    _, plan, engine = fresh(least=4)
    batch = batch_of(2 * LARGEST + 1)
    assert np.array_equal(engine.infer(batch), sums(batch))
    # 20, 20 and 1 as 4: the second replays, and each of the two captures replays once.
    assert plan.executed == 5


def test_a_batch_that_is_not_contiguous_is_copied_as_it_reads() -> None:
    batch = batch_of(4)[::-1]
    assert np.array_equal(fresh()[2].infer(batch), sums(batch))


def test_threads_have_contexts_of_their_own_and_leave_nothing() -> None:
    cuda, plan, engine = fresh()
    start, wrong = threading.Barrier(4), []

    def work(seed: int) -> None:
        start.wait()
        for step in range(50):
            batch = batch_of(step % 7 + 1, seed * 100 + step)
            if not np.array_equal(engine.infer(batch), sums(batch)):
                wrong.append(seed)
        start.wait()
        # All four are at work, each in its own.
        seen.append(plan.contexts)
        start.wait()

    seen: list[int] = []
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (wrong, seen) == ([], [4] * 4)
    assert_nothing_is_left(cuda, plan)


def test_two_engines_share_the_gpu_and_each_gives_its_own_back() -> None:
    cuda = Memory()
    plans = Plan(cuda), Plan(cuda)
    one, other = (engine_on(cuda, plan) for plan in plans)
    assert np.array_equal(one.infer(batch_of(2)), other.infer(batch_of(2)))
    del one
    gc.collect()
    assert np.array_equal(other.infer(batch_of(3)), sums(batch_of(3)))
    del other
    for plan in plans:
        assert_nothing_is_left(cuda, plan)


def test_running_out_of_memory_leaves_nothing_and_is_one_line() -> None:
    # Room for the images' two buffers, and not for the embeddings.
    cuda = Memory(room=2 * batch_of(LARGEST).nbytes + 10)
    plan = Plan(cuda)
    engine = engine_on(cuda, plan)
    for _ in range(2):
        with pytest.raises(
            UnavailableError, match=r"out of memory .*; free memory of the GPU, or use smaller"
        ):
            engine.infer(batch_of(1))
    assert_nothing_is_left(cuda, plan)


def test_a_failure_says_tensorrts_own_reason_and_the_next_call_may_work() -> None:
    _, plan, engine = fresh()
    plan.fails = True
    with pytest.raises(
        UnavailableError, match=r"TensorRT 10\.3\.0 could not run the engine: .*illegal memory"
    ):
        engine.infer(batch_of(2))
    plan.fails = False
    assert np.array_equal(engine.infer(batch_of(2)), sums(batch_of(2)))


def test_no_context_is_an_error_with_a_reason() -> None:
    cuda, plan, engine = fresh()

    def fail() -> None:
        plan.errors.record("ERROR", "Error Code 2: OutOfMemory")

    plan.create_execution_context = fail  # type: ignore[method-assign]
    with pytest.raises(UnavailableError, match="OutOfMemory"):
        engine.infer(batch_of(1))
    assert_nothing_is_left(cuda, plan)


def test_a_context_that_the_program_destroyed_is_one_line_and_no_crash() -> None:
    cuda, plan, engine = fresh()
    engine.infer(batch_of(2))
    cuda.fails["push"] = "context is destroyed"
    with pytest.raises(UnavailableError, match=r"the program has reset the GPU .*; load the engine again"):
        engine.infer(batch_of(2))
    # What TensorRT would free by calling CUDA is kept, since that may end the process.
    del engine
    gc.collect()
    assert plan.contexts == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_that_forks_is_told_to_spawn() -> None:
    cuda, plan, engine = fresh()
    engine.infer(batch_of(2))
    child = os.fork()
    if not child:
        code = 1
        try:
            engine.infer(batch_of(2))
        except UnavailableError as error:
            code = 0 if "spawn" in str(error) else 2
        del engine
        gc.collect()
        os._exit(code if plan.contexts else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    # The parent goes on.
    assert np.array_equal(engine.infer(batch_of(2)), sums(batch_of(2)))
    assert cuda.outside == 0
