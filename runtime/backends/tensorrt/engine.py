"""TensorRT 8.6 to 11 and TensorRT-RTX: a plan, run through the named-tensor API that all of them have."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osnet_edge.runtime.backends.base import Support
from osnet_edge.runtime.backends.tensorrt.library import load_library
from osnet_edge.runtime.backends.tensorrt.loading import load_plan
from osnet_edge.runtime.backends.tensorrt.plan_file import TensorRTName
from osnet_edge.runtime.backends.tensorrt.session import Session
from osnet_edge.runtime.cuda.arrays import CudaArray, borrow, is_on_gpu
from osnet_edge.runtime.cuda.bindings import find_package
from osnet_edge.runtime.cuda.crops import CropTable, crop_table
from osnet_edge.runtime.cuda.probe import probe
from osnet_edge.runtime.errors import InputError, UnavailableError
from osnet_edge.runtime.package.manifest import Manifest


class TensorRTEngine:
    """A plan on the first GPU; one engine for all threads, and one execution context for each.

    A thread's first call makes its context and buffers, which takes milliseconds (with TensorRT-RTX, which
    compiles its kernels then, up to seconds): call from threads that stay. The first batch of each size is
    slower too, as its CUDA graph is captured then.

    If CUDA's compiler is installed, cropping and resizing run on the GPU, and a frame is copied to the GPU
    only once.

    Args:
        model: the plan.
        manifest: the manifest of its package.
        cuda_graphs: whether CUDA graphs are used; False is for measuring how much time they save.

    Raises:
        InputError: the plan was built for another library, version or GPU, or differs from the manifest.
        UnavailableError: there is no GPU, or a library is missing; the message says which.
    """

    def __init__(self, model: Path, manifest: Manifest, *, cuda_graphs: bool = True) -> None:
        self._plan = load_plan(model, manifest, cuda_graphs)
        self._local = threading.local()

    @property
    def crops_problem(self) -> str:
        """Why the GPU cannot crop; empty if it can."""
        return self._plan.crops_problem

    @property
    def captures_graphs(self) -> bool:
        """Whether a CUDA graph is captured for each batch size; after one failure, no more are."""
        return self._plan.can_capture

    @property
    def replays_graphs(self) -> bool:
        """Whether calls replay CUDA graphs, captured here or by TensorRT-RTX itself."""
        cache = self._plan.cache
        return self._plan.can_capture or (cache is not None and cache.has_graphs)

    @property
    def description(self) -> str:
        """What runs and how, in words."""
        return str(self._plan)

    def infer(self, batch: object) -> NDArray[np.float32]:
        """Run (N, *input_shape) to (N, D), for any N; more than the plan was built for is split.

        Args:
            batch: of the engine's type, in the host's memory or, as an array of torch, CuPy or another
                library with `__dlpack__` or `__cuda_array_interface__`, in the GPU's.

        Raises:
            InputError: the batch has another shape or type.
            UnavailableError: the GPU failed; the message is CUDA's or TensorRT's own.
        """
        plan = self._plan
        with self._session() as session:
            if not is_on_gpu(batch):
                pictures = np.asarray(batch)
                plan.preprocessing.check_batch(pictures.shape, pictures.dtype)
                return _join(session.run_host(pictures[part]) for part in self._parts(len(pictures)))
            with borrow(batch, plan.cuda, session.stream) as array:
                plan.preprocessing.check_batch(array.shape, array.dtype)
                item = math.prod(plan.preprocessing.input_shape) * plan.preprocessing.dtype.itemsize
                return _join(
                    session.run_device(array.address + part.start * item, part.stop - part.start)
                    for part in self._parts(array.shape[0])
                )

    def timed_parts(self, batch: NDArray[np.generic], *, cuda_graphs: bool = True) -> dict[str, float]:
        """Run a batch that is in the host's memory, waiting after each part, and return their times.

        By the host's clock: each part contains one more wait for the GPU than in `infer`, some microseconds.
        Call `infer` with the batch first, so that preparation is not measured.

        Args:
            batch: (N, *input_shape), with N no more than the plan was built for.
            cuda_graphs: whether a CUDA graph is replayed, where one was captured.

        Returns:
            Milliseconds: `input_ms` for copying in, `enqueue_ms` for enqueueing the work, `compute_ms` from
            the start of enqueueing until the work is done, and `output_ms` for copying back.
        """
        with self._session() as session:
            self._plan.preprocessing.check_batch(batch.shape, batch.dtype)
            if len(batch) > self._plan.most:
                raise InputError(f"expected at most {self._plan.most} images at once, got {len(batch)}")
            return session.time_parts(batch, replay=cuda_graphs)

    def infer_boxes(
        self, frame: object, boxes: NDArray[np.integer[Any]], *, bgr: bool
    ) -> NDArray[np.float32]:
        """Crop the boxes of a frame on the GPU, and embed them.

        Args:
            frame: uint8 (H, W, 3), in the host's memory (the rows that contain boxes are copied once) or in
                the GPU's.
            boxes: (N, 4) whole x1, y1, x2, y2 within the frame, each with a pixel, N > 0.
            bgr: whether the frame is blue-green-red.

        Returns:
            (N, D) float32.
        """
        with self._session() as session:
            if not is_on_gpu(frame):
                picture = np.asarray(frame)
                top, bottom = int(boxes[:, 1].min()), int(boxes[:, 3].max())
                width = picture.shape[1]
                address = session.upload_frame(picture[top:bottom]) - 3 * width * top
                return self._run_crops(session, crop_table(address, width, boxes.tolist()), bgr)
            with borrow(frame, self._plan.cuda, session.stream) as array:
                _require_picture(array)
                table = crop_table(array.address, array.shape[1], boxes.tolist())
                return self._run_crops(session, table, bgr)

    def infer_crops(self, crops: Sequence[object], *, bgr: bool) -> NDArray[np.float32]:
        """Embed crops that are in the GPU's memory, uint8 (H, W, 3) each.

        Raises:
            InputError: one is not that, or is not contiguous, or on another GPU.
        """
        with self._session() as session, ExitStack() as borrowed:
            tables = []
            for crop in crops:
                array = borrowed.enter_context(borrow(crop, self._plan.cuda, session.stream))
                _require_picture(array)
                height, width, _ = array.shape
                tables.append(crop_table(array.address, width, [(0, 0, width, height)]))
            return self._run_crops(session, np.concatenate(tables), bgr)

    def _run_crops(self, session: Session, table: CropTable, bgr: bool) -> NDArray[np.float32]:
        return _join(session.run_crops(table[part], bgr=bgr) for part in self._parts(len(table)))

    @contextmanager
    def _session(self) -> Iterator[Session]:
        """Return this thread's session, with the plan's context current."""
        with self._plan.cuda.current():
            if not hasattr(self._local, "session"):
                self._local.session = Session(self._plan)
            session: Session = self._local.session
            yield session

    def _parts(self, count: int) -> list[slice]:
        most = self._plan.most
        return [slice(start, min(start + most, count)) for start in range(0, count, most)]


def load(model: Path, manifest: Manifest, threads: int | None) -> TensorRTEngine:
    """Load the plan of a package, see `TensorRTEngine`; threads are ignored."""
    return TensorRTEngine(model, manifest)


def support(name: TensorRTName) -> Support:
    """Import a library, ask the CUDA driver for its GPUs, and return what this machine can do.

    No TensorRT runtime or builder is made, because that may crash without a driver.
    """
    cuda = probe()
    missing = [] if cuda.available else [f"no GPU to run engines on: {cuda.reason}"]
    if find_package() is None:
        missing.append("neither cuda-python nor pycuda, which running engines needs: pip install cuda-python")
    try:
        library = load_library(name)
    except UnavailableError as error:
        return Support(None, problems=(str(error), *missing))
    present = tuple(device.compute_capability for device in cuda.devices[:1])
    builds = (f"sm{each.replace('.', '')}" for each in library.known_capabilities or present)
    runs = () if missing else tuple(device.name for device in cuda.devices)
    return Support(library.version, tuple(builds), runs, tuple(missing))


def _require_picture(array: CudaArray) -> None:
    if array.dtype != np.uint8 or len(array.shape) != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise InputError(f"expected H x W x 3 of uint8, got {array.shape} of {array.dtype}")


def _join(parts: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    rows = list(parts)
    return rows[0] if len(rows) == 1 else np.concatenate(rows)
