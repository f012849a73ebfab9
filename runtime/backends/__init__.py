"""Engines behind one call: each backend is one file, imported only when a package asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from osnet_edge.runtime.manifest import Manifest


class Engine(Protocol):
    """A loaded engine; calls may come from several threads at once."""

    def infer(self, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        """Run one batch.

        Args:
            batch: (N, *preprocessing.input_shape), contiguous, uint8 or float32 as the manifest says, with
                batch.min <= N <= batch.max.

        Returns:
            Embeddings (N, embedding_size), as the network gives them.
        """


@runtime_checkable
class DeviceEngine(Engine, Protocol):
    """An engine on a GPU that also takes arrays from the GPU's memory, and may cut crops there.

    An array in the GPU's memory is one of torch, CuPy or another library with `__dlpack__` or
    `__cuda_array_interface__`; it is contiguous, and on the first GPU.
    """

    @property
    def crops_problem(self) -> str:
        """Why crops are not cut on the GPU, so that the next two cannot be called; empty where they are."""

    def infer_boxes(
        self, frame: object, boxes: NDArray[np.integer[Any]], *, bgr: bool
    ) -> NDArray[np.float32]:
        """Cut boxes out of a frame on the GPU, and run them.

        Args:
            frame: uint8 (H, W, 3), in the host's memory or in the GPU's.
            boxes: (N, 4) whole x1, y1, x2, y2 within the frame, each with a pixel, N > 0.
            bgr: whether the frame is blue-green-red.
        """

    def infer_crops(self, crops: Sequence[object], *, bgr: bool) -> NDArray[np.float32]:
        """Run crops that are in the GPU's memory, uint8 (H, W, 3) each, one or more."""


def open_engine(package: Path, manifest: Manifest, threads: int | None) -> Engine:
    """Load the model file of a package whose files have been verified.

    Args:
        package: the package's folder.
        manifest: its manifest.
        threads: CPU threads, for backends that run there; None chooses.

    Raises:
        UnavailableError: this machine lacks the backend's library or device.
        InputError: the model file was built for another version or device.
    """
    model = package / manifest.model_file
    if manifest.target.backend == "onnxruntime":
        from osnet_edge.runtime.backends.onnxruntime_cpu import OnnxRuntimeEngine

        return OnnxRuntimeEngine(model, manifest.preprocessing, manifest.model.embedding_size, threads)
    if manifest.target.backend == "onnxruntime_cuda":
        from osnet_edge.runtime.backends.onnxruntime_cuda import OnnxRuntimeCudaEngine

        return OnnxRuntimeCudaEngine(model, manifest.preprocessing, manifest.model.embedding_size)
    if manifest.target.backend == "openvino":
        from osnet_edge.runtime.backends.openvino_cpu import OpenVinoEngine

        return OpenVinoEngine(
            model,
            manifest.preprocessing,
            manifest.model.embedding_size,
            manifest.precision,
            manifest.batch.opt,
            threads,
            processor=manifest.target.processor,
        )
    from osnet_edge.runtime.backends.tensorrt import TensorRTEngine

    return TensorRTEngine(model, manifest)
