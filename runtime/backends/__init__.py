"""Engines behind one call: each backend is one file, imported only when a package asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

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
    if manifest.target.backend == "openvino":
        from osnet_edge.runtime.backends.openvino_cpu import OpenVinoEngine

        return OpenVinoEngine(
            model,
            manifest.preprocessing,
            manifest.model.embedding_size,
            manifest.precision,
            manifest.batch.opt,
            threads,
        )
    from osnet_edge.runtime.backends.tensorrt import TensorRTEngine

    return TensorRTEngine(model, manifest)
