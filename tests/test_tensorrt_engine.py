"""An engine's threads, memory and graphs, with stand-ins for the GPU: where none is, this is what can be run.

The stand-in for CUDA keeps everything in ordinary memory and counts what is alive; the one for TensorRT's
engine works on addresses, as the real one does. On a GPU, `test_tensorrt_build.py` runs the real ones.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from cuda_in_memory import Exchanged, Memory, OnDevice, kernels_on_host
from hypothesis import given
from hypothesis import strategies as st
from tensorrt_graphs import manifest_for, rtx_target

from osnet_edge.runtime.backends import DeviceEngine
from osnet_edge.runtime.backends.buckets import bucket_of
from osnet_edge.runtime.backends.tensorrt import TensorRTEngine
from osnet_edge.runtime.backends.tensorrt_library import ErrorCollector, Library
from osnet_edge.runtime.backends.tensorrt_plan import LoadedPlan
from osnet_edge.runtime.cuda_resources import as_array
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.errors import InputError, UnavailableError
from osnet_edge.runtime.manifest import BatchRange
from osnet_edge.runtime.preprocessing import Preprocessing, to_batch

HOW = Preprocessing(32, 48)
LARGEST, SIZE = 20, 5


class Plan:
    """TensorRT's engine, whose embedding of a picture is its sum in every column."""

    def __init__(self, cuda: Memory) -> None:
        self.cuda = cuda
        self.contexts = self.executed = 0
        self.errors = ErrorCollector()
        self.fails = self.spoils_graphs = False

    def create_execution_context(self) -> Context:
        self.contexts += 1
        return Context(self)


class Context:
    """TensorRT's execution context."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.addresses: dict[str, int] = {}
        self.shape: tuple[int, ...] = ()

    def __del__(self) -> None:
        self.plan.contexts -= 1

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert shape[0] <= LARGEST
        self.shape = shape
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert stream in self.plan.cuda.handles
        if self.plan.fails:
            self.plan.errors.record("ERROR", "Error Code 1: Cuda Runtime (an illegal memory access)")
            return False
        # What is captured keeps the shape of then.
        shape, more = self.shape, self.plan.spoils_graphs and self.plan.cuda.captured is not None

        def work() -> None:
            self.plan.executed += 1
            pictures = as_array(self.addresses["images"], shape, np.uint8)
            rows = as_array(self.addresses["embeddings"], (len(pictures), SIZE), np.float32)
            rows[:] = pictures.reshape(len(pictures), -1).sum(1, dtype=np.float32)[:, None] * (1 + more)

        self.plan.cuda.queue(work)
        return True


def engine_on(cuda: Memory, plan: Plan, **facts: object) -> TensorRTEngine:
    """An engine as its constructor leaves it, which needs a real plan."""
    engine = TensorRTEngine.__new__(TensorRTEngine)
    library = Library("tensorrt", "10.3.0", SimpleNamespace(), None, plan.errors)
    least = facts.pop("least", 1)
    engine._plan = LoadedPlan(library, cuda, None, plan, HOW, SIZE, least, LARGEST, **facts)  # type: ignore
    engine._local = threading.local()
    return engine


def fresh(**facts: object) -> tuple[Memory, Plan, TensorRTEngine]:
    cuda = Memory()
    plan = Plan(cuda)
    return cuda, plan, engine_on(cuda, plan, **facts)


def batch_of(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (count, *HOW.input_shape), dtype=np.uint8)


def sums(batch: np.ndarray) -> np.ndarray:
    return np.repeat(batch.reshape(len(batch), -1).sum(1, dtype=np.float32)[:, None], SIZE, axis=1)


def assert_nothing_is_left(cuda: Memory, plan: Plan) -> None:
    gc.collect()
    assert (*cuda.leftovers(), plan.contexts) == (0, 0, 0, 0)


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
    with pytest.raises(InputError, match=f"at most {LARGEST} pictures at once, got {LARGEST + 1}"):
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
    cache = SimpleNamespace(create_context=plan.create_execution_context, save=lambda: saved.append(1))
    engine = engine_on(cuda, plan, cache=cache, can_capture=False, graphs="TensorRT-RTX's own CUDA graphs")
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
    # Room for the pictures' two buffers, and not for the embeddings.
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


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kernels_on_host(tmp_path_factory.mktemp("kernels"))


def cutting(kernels: Path) -> tuple[Memory, Plan, TensorRTEngine]:
    """An engine that cuts crops on the stand-in GPU, by the package's own kernels."""
    cuda = Memory()
    with cuda.current():
        module = cuda.load(str(kernels).encode())
    plan = Plan(cuda)
    return cuda, plan, engine_on(cuda, plan, kernels=module)


FRAME = np.random.default_rng(1).integers(0, 256, (200, 300, 3), np.uint8)
#: More than a batch, and none at the frame's top or bottom.
BOXES = np.array([[10 * i, 20 + 2 * i, 10 * i + 40 + i, 100 + 2 * i] for i in range(LARGEST + 3)])
CROPS = [FRAME[y1:y2, x1:x2] for x1, y1, x2, y2 in BOXES]


def close(rows: np.ndarray, crops: list[np.ndarray], bgr: bool = False) -> bool:
    """Within a rounding of the resizing, in the mean of a picture."""
    wanted = sums(to_batch(crops, HOW, bgr=bgr))
    return bool(np.abs(rows - wanted).max() < 0.2 * np.prod(HOW.input_shape))


@pytest.mark.parametrize("bgr", [False, True])
def test_a_frames_rows_cross_once_and_are_cut_on_the_gpu(kernels: Path, bgr: bool) -> None:
    cuda, _, engine = cutting(kernels)
    assert isinstance(engine, DeviceEngine)
    assert "crops cut on the GPU" in engine.description
    assert close(engine.infer_boxes(FRAME, BOXES, bgr=bgr), CROPS, bgr)
    top, bottom = BOXES[:, 1].min(), BOXES[:, 3].max()
    # Beside the rows that hold boxes, a few numbers for each crop.
    assert cuda.moved["HtoD"] == FRAME[top:bottom].nbytes + 24 * len(BOXES)


@pytest.mark.parametrize("kind", [OnDevice, Exchanged])
def test_frames_and_crops_on_the_gpu_stay_there(kernels: Path, kind: type) -> None:
    cuda, _, engine = cutting(kernels)
    assert close(engine.infer_boxes(kind(FRAME), BOXES, bgr=False), CROPS)
    assert close(engine.infer_crops([kind(np.ascontiguousarray(crop)) for crop in CROPS], bgr=False), CROPS)
    assert cuda.moved["HtoD"] == 2 * 24 * len(BOXES)
    with pytest.raises(InputError, match="expected H x W x 3 of uint8"):
        engine.infer_crops([kind(FRAME.astype(np.float32))], bgr=False)


def embedder_on(engine: TensorRTEngine) -> Embedder:
    target = rtx_target()
    manifest = manifest_for(target, BatchRange(1, 8, LARGEST), size=SIZE, height=HOW.height, width=HOW.width)
    return Embedder(manifest, engine, Path())


@pytest.mark.parametrize("kind", [np.asarray, OnDevice, Exchanged])
def test_an_embedder_cuts_on_the_gpu_what_lies_there_and_what_does_not(kernels: Path, kind: type) -> None:
    _, _, engine = cutting(kernels)
    boxes = [[-5.2, 30, 45.4, 120], [400, 0, 500, 90], *BOXES.tolist()]
    rows, valid = embedder_on(engine).embed_boxes(kind(FRAME), boxes, l2_normalize=False)
    assert valid.tolist() == [True, False] + [True] * len(BOXES)
    assert np.isnan(rows[1]).all()
    assert close(rows[valid], [FRAME[30:120, 0:45], *CROPS])


def test_an_embedder_takes_crops_and_batches_from_the_gpu(kernels: Path) -> None:
    cuda, _, engine = cutting(kernels)
    embedder = embedder_on(engine)
    crops = [np.ascontiguousarray(crop) for crop in CROPS]
    on_gpu = embedder([OnDevice(crop) for crop in crops], l2_normalize=False)
    assert close(on_gpu, crops)
    batch = batch_of(LARGEST + 1)
    moved = cuda.moved["HtoD"]
    assert np.array_equal(embedder.infer(OnDevice(batch)), sums(batch))
    assert cuda.moved["HtoD"] == moved
    # A list of both is nobody's: it says what was expected.
    with pytest.raises(InputError, match="crop 0: expected an H x W x 3 uint8 array, got OnDevice"):
        embedder([OnDevice(crops[0]), crops[1]])


def test_without_a_compiler_the_cpu_cuts_and_the_description_says_why() -> None:
    _, _, engine = fresh(crops_problem="no CUDA compiler was found; install NVRTC")
    embedder = embedder_on(engine)
    rows, _ = embedder.embed_boxes(FRAME, BOXES, l2_normalize=False)
    assert np.array_equal(rows, sums(to_batch(CROPS, HOW)))
    assert "crops cut on the CPU: no CUDA compiler was found" in embedder.engine.description
    with pytest.raises(
        UnavailableError, match=r"cannot be cut on the GPU: no CUDA compiler .*copy them to the host"
    ):
        embedder.embed_boxes(OnDevice(FRAME), BOXES)


def test_a_larger_frame_needs_more_memory_and_a_smaller_one_does_not(kernels: Path) -> None:
    cuda, plan, engine = cutting(kernels)
    small, large = FRAME, np.tile(FRAME, (2, 3, 1))
    engine.infer_boxes(small, BOXES[:2], bgr=False)
    alive = len(cuda.alive)
    for frame in (large, small, large):
        boxes = np.array([[0, 0, frame.shape[1], frame.shape[0]]])
        assert close(engine.infer_boxes(frame, boxes, bgr=False), [frame])
    assert len(cuda.alive) == alive
    cuda._room = 0
    with pytest.raises(UnavailableError, match="out of memory"):
        engine.infer_boxes(np.tile(large, (2, 1, 1)), np.array([[0, 0, 900, 800]]), bgr=False)
    cuda._room = 1 << 24
    assert close(engine.infer_boxes(small, BOXES[:2], bgr=False), CROPS[:2])
    module = engine._plan.kernels
    del engine
    with cuda.current():
        module.unload()
    assert_nothing_is_left(cuda, plan)
