"""The builders: one row for each backend of `osnet_edge.runtime.backends.registry`."""

from __future__ import annotations

from osnet_edge.engines.backends.base import Builder
from osnet_edge.engines.backends.litert.builder import LiteRTBuilder
from osnet_edge.engines.backends.onnxruntime import OnnxRuntimeBuilder
from osnet_edge.engines.backends.onnxruntime_cuda import OnnxRuntimeCudaBuilder
from osnet_edge.engines.backends.openvino import OpenVinoBuilder
from osnet_edge.engines.backends.tensorrt.builder import TensorRTBuilder
from osnet_edge.runtime.backends.registry import BackendName
from osnet_edge.runtime.errors import InputError

BUILDERS: dict[BackendName, Builder] = {
    "onnxruntime": OnnxRuntimeBuilder("onnxruntime"),
    "openvino": OpenVinoBuilder("openvino"),
    "onnxruntime_cuda": OnnxRuntimeCudaBuilder("onnxruntime_cuda"),
    "tensorrt": TensorRTBuilder("tensorrt", builds_elsewhere=False, stands_for="8.7", levels=(None, 5)),
    "litert": LiteRTBuilder("litert"),
    # TensorRT-RTX 1.7 writes the same plan at every level and with every source of tactics.
    "tensorrt_rtx": TensorRTBuilder("tensorrt_rtx", builds_elsewhere=True, stands_for="8.6"),
}


def builder_of(backend: BackendName) -> Builder:
    """Return the builder of a backend.

    Raises:
        InputError: there is none.
    """
    if backend not in BUILDERS:
        raise InputError(f"expected a backend of {', '.join(BUILDERS)}, got {backend!r}; update osnet-edge")
    return BUILDERS[backend]
