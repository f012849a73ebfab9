"""From a package to its engine: the one place that knows which backend loads what."""

from __future__ import annotations

from pathlib import Path

from osnet_edge.runtime.backends.base import Engine
from osnet_edge.runtime.package.manifest import Manifest


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
        from osnet_edge.runtime.backends.onnxruntime import OnnxRuntimeEngine

        return OnnxRuntimeEngine(model, manifest.preprocessing, manifest.model.embedding_size, threads)
    if manifest.target.backend == "onnxruntime_cuda":
        from osnet_edge.runtime.backends.onnxruntime_cuda import OnnxRuntimeCudaEngine

        return OnnxRuntimeCudaEngine(model, manifest.preprocessing, manifest.model.embedding_size)
    if manifest.target.backend == "openvino":
        from osnet_edge.runtime.backends.openvino import OpenVinoEngine

        return OpenVinoEngine(
            model,
            manifest.preprocessing,
            manifest.model.embedding_size,
            manifest.precision,
            manifest.batch.opt,
            threads,
            processor=manifest.target.processor,
        )
    from osnet_edge.runtime.backends.tensorrt.engine import TensorRTEngine

    return TensorRTEngine(model, manifest)
