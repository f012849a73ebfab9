"""A plan's loading from end to end, with stand-ins for the GPU and for TensorRT's module."""

from __future__ import annotations

import gc
import platform
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cuda_in_memory import Memory, kernels_on_host
from tensorrt_graphs import manifest_for

from osnet_edge.runtime.backends.tensorrt import loading as tensorrt_plan
from osnet_edge.runtime.backends.tensorrt.engine import TensorRTEngine
from osnet_edge.runtime.backends.tensorrt.library import ErrorCollector, Library
from osnet_edge.runtime.cuda.driver_api import as_array
from osnet_edge.runtime.cuda.probe import CudaDevice, CudaProbe
from osnet_edge.runtime.errors import InputError, UnavailableError
from osnet_edge.runtime.package.manifest import BatchRange, Manifest, Target

SIZE, GPU = 5, CudaDevice("Stand-in GPU", "8.6")
TYPES = SimpleNamespace(UINT8=SimpleNamespace(name="UINT8"), FLOAT=SimpleNamespace(name="FLOAT"))


class Engine:
    """TensorRT's engine and execution context in one: an embedding is the image's first bytes."""

    num_io_tensors = 2

    def __init__(self, cuda: Memory) -> None:
        self.cuda, self.addresses, self.shape = cuda, dict[str, int](), tuple[int, ...]()
        self.names = ["images", "embeddings"]
        self.tensors = {"images": ((-1, 32, 32, 3), TYPES.UINT8), "embeddings": ((-1, SIZE), TYPES.FLOAT)}
        self.profile = [(1, 32, 32, 3), (4, 32, 32, 3), (8, 32, 32, 3)]

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name][0]

    def get_tensor_dtype(self, name: str) -> SimpleNamespace:
        return self.tensors[name][1]

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        return self.profile

    def create_execution_context(self, config: object = None) -> Engine:
        return self

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shape = shape
        return True

    def execute_async_v3(self, stream: int) -> bool:
        shape = self.shape

        def work() -> None:
            pictures = as_array(self.addresses["images"], shape, np.uint8)
            rows = as_array(self.addresses["embeddings"], (shape[0], SIZE), np.float32)
            rows[:] = pictures.reshape(shape[0], -1)[:, :SIZE]

        self.cuda.queue(work)
        return True


@pytest.fixture
def cuda() -> Memory:
    return Memory()


@pytest.fixture
def engine(cuda: Memory) -> Engine:
    return Engine(cuda)


@pytest.fixture
def loading(
    cuda: Memory, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Manifest, SimpleNamespace]:
    """A plan's file, its manifest, and what TensorRT's runtime says of it."""
    plan = tmp_path / "model.plan"
    plan.write_bytes(b"ftrt" + bytes(20) + bytes([10, 3, 0, 26]) + bytes(100))
    target = Target("tensorrt", "10.3.0.26", "cuda", platform.machine(), ("8.6",), True)
    manifest = manifest_for(target, BatchRange(1, 4, 8), size=SIZE, height=32, width=32)
    said, errors = SimpleNamespace(engine=engine, error=""), ErrorCollector()

    def deserialize(plan: bytes) -> Engine | None:
        if said.error:
            errors.record("ERROR", said.error)
        return None if said.error else said.engine

    runtime = SimpleNamespace(deserialize_cuda_engine=deserialize)
    trt = SimpleNamespace(Runtime=lambda logger: runtime, DataType=TYPES)
    for name, value in {
        "require_device": lambda purpose: GPU,
        "probe": lambda: CudaProbe(True, "", (GPU,), "12.6"),
        "open_cuda": lambda: cuda,
        "load_library": lambda name: Library("tensorrt", "10.3.0", trt, None, errors),
        "compile_crops": lambda capability: str(kernels_on_host(tmp_path)).encode(),
    }.items():
        monkeypatch.setattr(tensorrt_plan, name, value)
    return plan, manifest, said


def test_a_plan_is_loaded_run_and_given_back(loading: Any, cuda: Memory) -> None:
    plan, manifest, _ = loading
    engine = TensorRTEngine(plan, manifest)
    batch = np.random.default_rng(0).integers(0, 256, (11, 32, 32, 3), np.uint8)
    for _ in range(2):
        assert np.array_equal(engine.infer(batch), batch.reshape(11, -1)[:, :SIZE])
    assert engine.crops_problem == ""
    assert engine.description == (
        "TensorRT 10.3.0 through memory, one CUDA graph for each batch size; crops cut on the GPU"
    )
    assert cuda.launched > 0
    del engine
    gc.collect()
    # Kernels too.
    assert cuda.leftovers() == (0, 0, 0)


def test_without_graphs_none_is_captured(loading: Any, cuda: Memory) -> None:
    engine = TensorRTEngine(*loading[:2], cuda_graphs=False)
    engine.infer(np.zeros((2, 32, 32, 3), np.uint8))
    assert cuda.launched == 0
    assert "no CUDA graphs: none were asked for" in engine.description


def test_without_a_compiler_it_loads_and_says_so(loading: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(capability: str) -> bytes:
        raise UnavailableError("no CUDA compiler was found")

    monkeypatch.setattr(tensorrt_plan, "compile_crops", fail)
    engine = TensorRTEngine(*loading[:2])
    assert engine.crops_problem == "no CUDA compiler was found"
    assert "crops cut on the CPU: no CUDA compiler was found" in engine.description


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            "Error Code 1: Serialization (version tag does not match)",
            InputError,
            "build the engine again here",
        ),
        (
            "Error Code 2: OutOfMemory (Requested size was 9 bytes.)",
            UnavailableError,
            "free memory of the GPU",
        ),
    ],
)
def test_what_tensorrt_refuses_is_one_line(
    error: str, kind: type[Exception], said: str, loading: Any
) -> None:
    plan, manifest, runtime = loading
    runtime.error = error
    with pytest.raises(kind, match=said) as raised:
        TensorRTEngine(plan, manifest)
    assert error in str(raised.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"names": ["images", "features"]}, "expected the tensors images and embeddings, got"),
        ({"tensors": {"images": ((-1, 3, 32, 32), TYPES.FLOAT)}}, r"expected images of UINT8 .* got FLOAT"),
        ({"profile": [(1,), (2,), (4,)]}, "promises batches of 1 to 8, and the plan takes 1 to 4"),
        ({"profile": [(2,), (4,), (8,)]}, "promises batches of 1 to 8, and the plan takes 2 to 8"),
    ],
)
def test_a_plan_of_other_tensors_or_batches_is_refused(
    changed: dict[str, Any], said: str, loading: Any, engine: Engine
) -> None:
    for name, value in changed.items():
        setattr(engine, name, {**engine.tensors, **value} if isinstance(value, dict) else value)
    with pytest.raises(InputError, match=said):
        TensorRTEngine(*loading[:2])


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({"compute_capabilities": ("8.7",)}, r"built for compute capability 8\.7 and Stand-in GPU has 8\.6"),
        ({"backend_version": "8.6.2.3"}, "and its manifest says TensorRT 8.6.2.3"),
    ],
)
def test_a_plan_for_another_gpu_or_version_is_refused(
    target: dict[str, Any], said: str, loading: Any
) -> None:
    plan, manifest, _ = loading
    with pytest.raises(InputError, match=said):
        TensorRTEngine(plan, replace(manifest, target=replace(manifest.target, **target)))


def test_tensorrt_rtxs_cache_lies_beside_the_package(
    loading: Any, engine: Engine, cuda: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, manifest, _ = loading
    cache = SimpleNamespace(serialize=lambda: b"kernels", deserialize=lambda blob: True)
    config = SimpleNamespace(
        create_runtime_cache=lambda: cache, set_runtime_cache=lambda _: True, cuda_graph_strategy="off"
    )
    engine.create_runtime_config = lambda: config  # type: ignore[attr-defined]
    trt = tensorrt_plan.load_library("tensorrt").trt
    trt.IRuntimeCache, trt.CudaGraphStrategy = object, SimpleNamespace(WHOLE_GRAPH_CAPTURE="whole")
    package = plan.parent / "osnet-rtx"
    package.mkdir()
    plan.rename(package / "model.plan")
    loaded = TensorRTEngine(package / "model.plan", manifest)
    loaded.infer(np.zeros((2, 32, 32, 3), np.uint8))
    assert (config.cuda_graph_strategy, cuda.launched) == ("whole", 0)
    assert "TensorRT-RTX's own CUDA graphs" in loaded.description
    (kept,) = plan.parent.glob("osnet-rtx.*.kernels")
    assert kept.read_bytes() == b"kernels"
    assert [path.name for path in package.iterdir()] == ["model.plan"]
