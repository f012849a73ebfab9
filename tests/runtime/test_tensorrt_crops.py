"""Frames and crops that an engine cuts on the GPU, with stand-ins for it and the package's own kernels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cuda_in_memory import Exchanged, Memory, OnDevice, kernels_on_host
from tensorrt_graphs import manifest_for, rtx_target
from tensorrt_stand_in import (
    HOW,
    LARGEST,
    SIZE,
    Plan,
    assert_nothing_is_left,
    batch_of,
    engine_on,
    fresh,
    sums,
)

from osnet_edge.runtime.backends.base import DeviceEngine
from osnet_edge.runtime.backends.tensorrt.engine import TensorRTEngine
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.errors import InputError, UnavailableError
from osnet_edge.runtime.package.manifest import BatchRange
from osnet_edge.runtime.preprocessing import to_batch


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
    """Within a rounding of the resizing, in the mean of an image."""
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
