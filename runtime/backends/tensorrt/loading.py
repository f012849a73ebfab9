"""A plan that is loaded into the first GPU: checked, deserialised, and shared by all threads."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osnet_edge.runtime.backends.registry import BACKENDS
from osnet_edge.runtime.backends.tensorrt.cache import RuntimeCache, cache_path
from osnet_edge.runtime.backends.tensorrt.checks import (
    check_device,
    check_driver,
    check_header,
    check_version,
)
from osnet_edge.runtime.backends.tensorrt.library import Library, first_line, load_library, log
from osnet_edge.runtime.cuda.bindings import open_cuda
from osnet_edge.runtime.cuda.compile import compile_crops
from osnet_edge.runtime.cuda.driver_api import Cuda, Module
from osnet_edge.runtime.cuda.probe import CudaDevice, probe, require_device
from osnet_edge.runtime.errors import InputError, UnavailableError
from osnet_edge.runtime.forks import keep_for_good, keep_in_children
from osnet_edge.runtime.package.graph_info import INPUT_NAME as INPUT
from osnet_edge.runtime.package.graph_info import OUTPUT_NAME as OUTPUT
from osnet_edge.runtime.package.manifest import Manifest
from osnet_edge.runtime.preprocessing import Preprocessing

if TYPE_CHECKING:
    import tensorrt


@dataclass(eq=False)
class LoadedPlan:
    """A loaded plan, which all threads share.

    Attributes:
        library: TensorRT, or TensorRT-RTX.
        cuda: the CUDA context that it was loaded in.
        runtime: TensorRT's runtime, which must outlive the engine.
        engine: TensorRT's engine.
        preprocessing: the manifest's preprocessing.
        embedding_size: floats of an embedding.
        least: smallest batch of the plan's profile.
        most: the largest.
        kernels: crops.cu, compiled; None if cropping runs on the CPU.
        crops_problem: why it does; empty if it does not.
        cache: TensorRT-RTX's compiled kernels, kept between processes; None for TensorRT.
        graphs: how batches are launched, in words; changes if a graph cannot be captured.
        can_capture: whether graphs are captured here; not for TensorRT-RTX, which has its own, and not after
            a failure.
    """

    library: Library
    cuda: Cuda
    runtime: tensorrt.Runtime
    engine: tensorrt.ICudaEngine
    preprocessing: Preprocessing
    embedding_size: int
    least: int
    most: int
    kernels: Module | None = None
    crops_problem: str = ""
    cache: RuntimeCache | None = None
    graphs: str = "one CUDA graph for each batch size"
    can_capture: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)

    def create_context(self) -> tensorrt.IExecutionContext | None:
        """Create an execution context; None if TensorRT fails, which is what it returns itself."""
        return self.cache.create_context() if self.cache else self.engine.create_execution_context()

    def __str__(self) -> str:
        """Return what runs and how: library, CUDA package, CUDA graphs, and where cropping runs."""
        crops = f"on the CPU: {self.crops_problem}" if self.crops_problem else "on the GPU"
        return f"{self.library} through {self.cuda.package}, {self.graphs}; crops cut {crops}"


def load_plan(model: Path, manifest: Manifest, cuda_graphs: bool = True) -> LoadedPlan:
    """Check a plan, and load it.

    Args:
        model: the plan.
        manifest: the manifest of its package.
        cuda_graphs: whether CUDA graphs are used.

    Raises:
        InputError: the plan was built for another library, version or GPU, or differs from the manifest.
        UnavailableError: there is no GPU, or a library is missing; the message says which.
    """
    header = check_header(model, manifest)
    # The driver is checked before TensorRT is used: without one, TensorRT's Runtime crashes the process.
    device = require_device(f"this {BACKENDS[header.library].title} engine")
    check_device(header, manifest, device)
    library = load_library(header.library)
    check_version(header, manifest, library)
    check_driver(library, probe().driver)
    cuda = open_cuda()
    with cuda.current():
        runtime, engine = _deserialize(library, model, device)
        least, most = check_profile(engine, library, model, manifest)
        size = manifest.model.embedding_size
        plan = LoadedPlan(library, cuda, runtime, engine, manifest.preprocessing, size, least, most)
        if hasattr(engine, "create_runtime_config") and hasattr(library.trt, "IRuntimeCache"):
            sha256 = manifest.files[manifest.model_file].sha256
            where = cache_path(model.parent, sha256, library, device)
            plan.cache = RuntimeCache(engine, library, where, cuda_graphs)
            plan.graphs, plan.can_capture = plan.cache.graphs, False
        elif not cuda_graphs:
            plan.graphs, plan.can_capture = "no CUDA graphs: none were asked for", False
        try:
            plan.kernels = cuda.load(compile_crops(device.compute_capability))
            weakref.finalize(plan, give_back, cuda, [plan.kernels.unload])
        except UnavailableError as error:
            plan.crops_problem = str(error)
    # TensorRT's destructors call CUDA, and may end a process that cannot.
    keep_in_children(plan)
    return plan


def _deserialize(
    library: Library, model: Path, device: CudaDevice
) -> tuple[tensorrt.Runtime, tensorrt.ICudaEngine]:
    trt, plan = library.trt, model.read_bytes()
    library.load_plugins()
    with library.errors.listen() as errors:
        runtime = library.create("Runtime")
        if hasattr(runtime, "get_engine_validity"):
            validity, diagnostics = runtime.get_engine_validity(plan)
            if validity == trt.EngineValidity.INVALID:
                named = trt.EngineInvalidityDiagnostics.__members__.items()
                found = [name for name, member in named if int(diagnostics) & int(member)]
                raise InputError(
                    f"{library} says that this engine does not run on {device.name}: "
                    f"{', '.join(found) or first_line(errors)}; build it again for this GPU and version"
                )
            if validity == trt.EngineValidity.SUBOPTIMAL:
                log.warning("%s: built for other GPUs as well, or instead, and may be slower here", model)
        engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        said = f"{library} cannot load {model}: {first_line(errors)}"
        if "memory" in first_line(errors).lower():
            raise UnavailableError(f"{said}; free memory of the GPU")
        raise InputError(f"{said}; build the engine again here")
    return runtime, engine


def check_profile(
    engine: tensorrt.ICudaEngine, library: Library, model: Path, manifest: Manifest
) -> tuple[int, int]:
    """Compare the plan's tensors with the manifest, and return its smallest and largest batch."""
    types, preprocessing = library.trt.DataType, manifest.preprocessing
    names = {engine.get_tensor_name(index) for index in range(engine.num_io_tensors)}
    if names != {INPUT, OUTPUT}:
        raise InputError(f"{model}: expected the tensors {INPUT} and {OUTPUT}, got {sorted(names)}")
    wanted = {
        INPUT: (
            preprocessing.input_shape,
            types.UINT8 if preprocessing.normalize_in == "graph" else types.FLOAT,
        ),
        OUTPUT: ((manifest.model.embedding_size,), types.FLOAT),
    }
    for name, (shape, dtype) in wanted.items():
        dims: Any = engine.get_tensor_shape(name)
        got_shape = tuple(dims)[1:]
        got_dtype = engine.get_tensor_dtype(name)
        if got_shape != shape or got_dtype != dtype:
            raise InputError(
                f"{model}: expected {name} of {dtype.name} (N, {shape}), got {got_dtype.name} "
                f"(N, {got_shape}); build the engine again"
            )
    least, _, most = (shape[0] for shape in engine.get_tensor_profile_shape(INPUT, 0))
    if least > manifest.batch.min or most < (manifest.batch.max or most):
        raise InputError(
            f"{model}: the manifest promises batches of {manifest.batch.min} to {manifest.batch.max}, "
            f"and the plan takes {least} to {most}; build the engine again"
        )
    return int(least), int(most)


def give_back(cuda: Cuda, closers: list[Callable[[], None]]) -> None:
    """Release everything in reverse order, except what a lost context or a forked process cannot free.

    Args:
        cuda: the CUDA context in which each is called.
        closers: the functions to call; the list is emptied.
    """
    while closers:
        close = closers.pop()
        try:
            with cuda.current():
                close()
        except UnavailableError as error:
            log.warning("%s", error)
            if cuda.is_alive():
                continue
            # TensorRT's destructors would call CUDA, which may end the process, so its objects are never
            # deleted.
            keep_for_good([*closers, close])
            closers.clear()
