"""TensorRT 8.6 to 11 and TensorRT-RTX: a plan, run through the named-tensor API that all of them have."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osnet_edge.runtime.backends.tensorrt_library import Library, first_line, load_library, log, same_version
from osnet_edge.runtime.cuda import Cuda, CudaDevice, open_cuda, require_device
from osnet_edge.runtime.errors import InputError, UnavailableError
from osnet_edge.runtime.graph_info import INPUT_NAME as INPUT
from osnet_edge.runtime.graph_info import OUTPUT_NAME as OUTPUT
from osnet_edge.runtime.manifest import Manifest
from osnet_edge.runtime.plan import TITLES, PlanHeader, read_plan_header


class TensorRTEngine:
    """A plan on the first GPU; one engine for all threads, and one execution context for each.

    A thread's first call makes its context and buffers, which takes milliseconds (with TensorRT-RTX, which
    compiles its kernels then, up to seconds): call from threads that stay.

    Args:
        model: the plan.
        manifest: what its package says of it.

    Raises:
        InputError: the plan was built for another library, version or GPU, or is not what the manifest says.
        UnavailableError: there is no GPU, or a library is missing; one line that says which.
    """

    def __init__(self, model: Path, manifest: Manifest) -> None:
        header = check_header(model, manifest)
        # Asked of the driver before TensorRT is touched: without one, TensorRT's Runtime crashes the process.
        device = require_device(f"this {TITLES[header.library]} engine")
        check_device(header, manifest, device)
        self._library = load_library(header.library)
        check_version(header, manifest, self._library)
        self._cuda = open_cuda()
        self._item_shape = manifest.preprocessing.input_shape
        self._dtype = np.dtype(np.uint8 if manifest.preprocessing.normalize_in == "graph" else np.float32)
        self._embedding_size = manifest.model.embedding_size
        with self._cuda.current():
            # The runtime must outlive the engine.
            self._runtime, self._engine = _deserialize(self._library, model, device)
            self._largest = self._check_tensors(model, manifest)
        self._local = threading.local()

    def infer(self, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        """Run (N, *input_shape) to (N, D), for any N that the plan was built for.

        Raises:
            InputError: the batch has another shape or type.
            UnavailableError: the GPU failed; the message is CUDA's or TensorRT's own.
        """
        if batch.shape[1:] != self._item_shape or batch.dtype != self._dtype or not len(batch):
            raise InputError(
                f"expected a batch of {self._dtype} (N, {', '.join(map(str, self._item_shape))}), got "
                f"{batch.dtype} {batch.shape}"
            )
        if len(batch) > self._largest:
            raise InputError(f"expected at most {self._largest} pictures, got {len(batch)}; split the batch")
        with self._cuda.current():
            if not hasattr(self._local, "session"):
                self._local.session = _Session(
                    self._cuda,
                    self._library,
                    self._engine,
                    ((self._largest, *self._item_shape), self._dtype),
                    (self._largest, self._embedding_size),
                )
            session: _Session = self._local.session
            return session.run(batch)

    def _check_tensors(self, model: Path, manifest: Manifest) -> int:
        """Hold the plan's tensors to the manifest, and return its largest batch."""
        engine, types = self._engine, self._library.trt.DataType
        names = {engine.get_tensor_name(index) for index in range(engine.num_io_tensors)}
        if names != {INPUT, OUTPUT}:
            raise InputError(f"{model}: expected the tensors {INPUT} and {OUTPUT}, got {sorted(names)}")
        wanted = {
            INPUT: (self._item_shape, types.UINT8 if self._dtype == np.uint8 else types.FLOAT),
            OUTPUT: ((self._embedding_size,), types.FLOAT),
        }
        for name, (shape, dtype) in wanted.items():
            got_shape = tuple(engine.get_tensor_shape(name))[1:]
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
        return int(most)


class _Session:
    """What one thread needs: an execution context, a stream, and memory for the largest batch."""

    def __init__(
        self,
        cuda: Cuda,
        library: Library,
        engine: Any,
        images: tuple[tuple[int, ...], np.dtype[Any]],
        embeddings: tuple[int, int],
    ) -> None:
        self._cuda, self._library, self._size = cuda, library, 0
        closers: list[Callable[[], None]] = []
        # Runs when the thread ends, when the engine goes, or before the interpreter shuts down.
        weakref.finalize(self, _close, cuda, closers)

        def keep(resource: Any, close: Callable[[], None]) -> Any:
            closers.append(close)
            return resource

        stream = cuda.create_stream()
        self._stream = keep(stream, stream.destroy)
        buffers = []
        for shape, dtype in (images, (embeddings, np.dtype(np.float32))):
            pinned = cuda.pin(shape, dtype)
            array = keep(pinned.array, pinned.free)
            memory = cuda.allocate(array.nbytes)
            buffers.append((array, keep(memory, memory.free)))
        (self._images, self._device_images), (self._embeddings, self._device_embeddings) = buffers
        with library.errors.listen() as errors:
            # Held in a list alone, so that closing lets go of the last reference before the memory is freed.
            self._context = [engine.create_execution_context()]
            closers.append(self._context.clear)
            self._check(self._context[0] is not None, errors)
            self._check(self._context[0].set_tensor_address(INPUT, self._device_images.address), errors)
            self._check(self._context[0].set_tensor_address(OUTPUT, self._device_embeddings.address), errors)

    def run(self, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        """Copy in, run, copy out, wait."""
        size, (context,) = len(batch), self._context
        images, embeddings = self._images[:size], self._embeddings[:size]
        np.copyto(images, batch)
        with self._library.errors.listen() as errors:
            if size != self._size:
                # Until a shape is accepted, none is set.
                self._size = 0
                self._check(context.set_input_shape(INPUT, batch.shape), errors)
                self._size = size
            self._cuda.upload(images, self._device_images, self._stream)
            try:
                self._check(context.execute_async_v3(self._stream.handle), errors)
                self._cuda.download(self._device_embeddings, embeddings, self._stream)
            finally:
                # Also after a failure: the next call writes where a queued copy may still read.
                self._stream.synchronize()
        rows: NDArray[np.float32] = embeddings.copy()
        return rows

    def _check(self, succeeded: bool, errors: list[str]) -> None:
        if not succeeded:
            raise UnavailableError(f"{self._library} could not run the engine: {first_line(errors)}")


def _close(cuda: Cuda, closers: list[Callable[[], None]]) -> None:
    while closers:
        try:
            with cuda.current():
                closers.pop()()
        except UnavailableError as error:
            # After a failure of the GPU nothing can be freed, and nothing needs to be.
            log.warning("%s", error)


def check_header(model: Path, manifest: Manifest) -> PlanHeader:
    """Hold a plan's header to its manifest; needs neither TensorRT nor a GPU.

    Raises:
        InputError: it is no plan, or another one than the manifest says.
    """
    header = read_plan_header(model)
    target = manifest.target
    if header.library != target.backend or not same_version(header.version, target.backend_version):
        raise InputError(
            f"{model} is a plan of {header}, and its manifest says {TITLES[target.backend]} "
            f"{target.backend_version}; build the package again"
        )
    return header


def check_device(header: PlanHeader, manifest: Manifest, device: CudaDevice) -> None:
    """Hold a plan to the GPU that is here.

    Raises:
        InputError: it was built for others.
    """
    built_for = header.compute_capabilities or manifest.target.compute_capabilities
    if built_for and not header.open_ended and device.compute_capability not in built_for:
        raise InputError(
            f"this engine was built for compute capability {', '.join(built_for)} and {device.name} has "
            f"{device.compute_capability}; build it for this GPU"
        )


def check_version(header: PlanHeader, manifest: Manifest, library: Library) -> None:
    """Hold a plan to the library that is installed.

    Raises:
        InputError: another version built it, and it runs on no other.
    """
    if manifest.target.exact_version and not same_version(header.version, library.version):
        title = TITLES[header.library]
        raise InputError(
            f"this engine was built by {title} {header.version} and {title} {library.version} is installed; "
            "build it again with the installed version, or install the other"
        )


def _deserialize(library: Library, model: Path, device: CudaDevice) -> tuple[Any, Any]:
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
        raise InputError(f"{library} cannot load {model}: {first_line(errors)}; build the engine again here")
    return runtime, engine
