"""TensorRT's engines on a real GPU, beside torch and against their host program; skipped where there is none.

What of this a stand-in can show without a GPU is in `test_tensorrt_engine.py` and `test_cuda.py`.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tensorrt_graphs import HEIGHT, WIDTH, exported, manifest_for, pictures

from osnet_edge.engines.backends.tensorrt.plan import build_plan
from osnet_edge.engines.graph.reading import read_onnx
from osnet_edge.runtime.backends.tensorrt.engine import TensorRTEngine
from osnet_edge.runtime.cuda.probe import probe
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.errors import OsnetEdgeError, UnavailableError
from osnet_edge.runtime.package.manifest import BatchRange, Manifest
from osnet_edge.train.synthetic import draw_frame

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not probe().available, reason=f"needs a GPU: {probe().reason}"),
]
BATCH = BatchRange(1, 4, 8)
Plan = tuple[Path, Manifest]


@pytest.fixture(scope="module", params=["tensorrt_rtx", "tensorrt"])
def plan(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The smallest network in float16, built for this GPU."""
    path = tmp_path_factory.mktemp(request.param) / "model.plan"
    try:
        target = build_plan(
            read_onnx(exported("osnet_x0_25")),
            path,
            library=request.param,
            capabilities=("current",),
            precision="fp16",
            batch=BATCH,
        )
    except OsnetEdgeError as error:
        pytest.skip(str(error))
    return path, manifest_for(target, BATCH, size=512, height=HEIGHT, width=WIDTH)


@pytest.fixture
def engine(plan: Plan) -> TensorRTEngine:
    return TensorRTEngine(*plan)


@pytest.fixture
def torch() -> ModuleType:
    """Torch, where it finds the GPU too."""
    found: ModuleType = pytest.importorskip("torch")
    if not found.cuda.is_available():
        pytest.skip("torch finds no GPU")
    return found


def same(left: np.ndarray, right: np.ndarray) -> bool:
    return bool(np.allclose(left, right, rtol=1e-2, atol=1e-2 * np.abs(right).max()))


def test_graphs_replayed_in_any_order_give_what_no_graphs_do(plan: Plan, engine: TensorRTEngine) -> None:
    plain = TensorRTEngine(*plan, cuda_graphs=False)
    assert "no CUDA graphs" in plain.description
    for seed, size in enumerate((1, 8, 3, 1, 8, 3, 7, 20, 1, 3)):
        batch = np.random.default_rng(seed).integers(0, 256, (size, HEIGHT, WIDTH, 3), np.uint8)
        assert same(engine.infer(batch), plain.infer(batch))
    assert "no CUDA graphs" not in engine.description


def test_threads_share_an_engine(engine: TensorRTEngine) -> None:
    batch, wrong = pictures(8), list[int]()
    wanted = engine.infer(batch)

    def work(size: int) -> None:
        for _ in range(20):
            if not same(engine.infer(batch[:size]), wanted[:size]):
                wrong.append(size)

    threads = [threading.Thread(target=work, args=(size,)) for size in (1, 2, 5, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_two_engines_and_torch_share_a_process(plan: Plan, engine: TensorRTEngine, torch: ModuleType) -> None:
    other, batch = TensorRTEngine(*plan), pictures(8)
    left = torch.randn(64, 64, device="cuda")
    before = left @ left
    assert same(engine.infer(batch), other.infer(batch))
    assert torch.equal(left @ left, before)
    del engine
    assert same(other.infer(batch), other.infer(batch))


def test_what_torch_has_queued_comes_before_the_engine(engine: TensorRTEngine, torch: ModuleType) -> None:
    batch = pictures(8)
    wanted, stream = engine.infer(batch), torch.cuda.Stream()
    with torch.cuda.stream(stream):
        images = torch.zeros(8, HEIGHT, WIDTH, 3, dtype=torch.uint8, device="cuda")
        # Long enough that an engine that did not wait would see zeros.
        slow = torch.randn(4096, 4096, device="cuda")
        for _ in range(20):
            slow = slow @ slow
        images.copy_(torch.from_numpy(batch).to("cuda"))
        assert same(engine.infer(images), wanted)


def test_crops_cut_on_the_gpu_are_those_cut_on_the_cpu(plan: Plan, engine: TensorRTEngine) -> None:
    if engine.crops_problem:
        pytest.skip(engine.crops_problem)
    frame, boxes, _ = draw_frame(20, (1280, 720))
    embedder = Embedder(plan[1], engine, plan[0].parent)
    on_gpu, valid = embedder.embed_boxes(frame, boxes)
    crops = [frame[int(y1) : int(y2), int(x1) : int(x2)] for x1, y1, x2, y2 in np.rint(boxes[valid])]
    assert float((1 - (on_gpu[valid] * embedder(crops)).sum(1)).max()) < 1e-3


def test_crops_are_cut_of_a_frame_of_torch_too(plan: Plan, engine: TensorRTEngine, torch: ModuleType) -> None:
    if engine.crops_problem:
        pytest.skip(engine.crops_problem)
    frame, boxes, _ = draw_frame(20, (1280, 720))
    embedder = Embedder(plan[1], engine, plan[0].parent)
    on_gpu, valid = embedder.embed_boxes(frame, boxes)
    there, _ = embedder.embed_boxes(torch.from_numpy(frame).cuda(), boxes)
    assert same(there[valid], on_gpu[valid])


def test_a_plan_may_go_while_it_is_loaded(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "model.plan"
    path.write_bytes(plan[0].read_bytes())
    engine, batch = TensorRTEngine(path, plan[1]), pictures(4)
    wanted = engine.infer(batch)
    path.unlink()
    assert same(engine.infer(batch), wanted)


def test_a_full_gpu_is_one_line_and_an_emptied_one_works(engine: TensorRTEngine, torch: ModuleType) -> None:
    hoard, size = [], torch.cuda.mem_get_info()[0]
    while size > 1 << 20:
        try:
            hoard.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
        except torch.OutOfMemoryError:
            size //= 2
    with pytest.raises(UnavailableError) as error:
        engine.infer(pictures(8))
    assert "\n" not in str(error.value)
    hoard.clear()
    torch.cuda.empty_cache()
    assert engine.infer(pictures(8)).shape == (8, 512)


def test_a_child_of_a_fork_is_told_to_spawn(engine: TensorRTEngine) -> None:
    wanted, child = engine.infer(pictures(2)), os.fork()
    if not child:
        code = 1
        try:
            engine.infer(pictures(2))
        except UnavailableError as error:
            code = 0 if "spawn" in str(error) else 2
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert same(engine.infer(pictures(2)), wanted)


def test_a_program_that_resets_the_gpu_gets_an_error_and_may_load_again(plan: Plan, tmp_path: Path) -> None:
    """In a process of its own, of which nothing else on the GPU survives."""
    code = f"""
import gc, pickle, sys
import numpy as np
from osnet_edge.runtime.backends.tensorrt.engine import TensorRTEngine
from osnet_edge.runtime.cuda.probe import call, open_driver
from osnet_edge.runtime.errors import UnavailableError
path, manifest = pickle.load(open({str(tmp_path / "plan")!r}, "rb"))
batch = np.zeros((2, {HEIGHT}, {WIDTH}, 3), np.uint8)
engine = TensorRTEngine(path, manifest)
engine.infer(batch)
call(open_driver(), "cuDevicePrimaryCtxReset_v2", 0)
try:
    engine.infer(batch)
    sys.exit("it went on")
except UnavailableError as error:
    print(error)
del engine
gc.collect()
print(TensorRTEngine(path, manifest).infer(batch).shape)
"""
    (tmp_path / "plan").write_bytes(pickle.dumps(plan))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "(2, 512)"
