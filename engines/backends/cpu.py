"""A CPU's package: the graph as exported, for ONNX Runtime or OpenVINO."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import onnx
from onnx import ModelProto

from osnet_edge.engines.targets import CpuBackend
from osnet_edge.runtime.backends.base import Engine
from osnet_edge.runtime.backends.onnxruntime import OnnxRuntimeEngine
from osnet_edge.runtime.backends.openvino import OpenVinoEngine, open_core
from osnet_edge.runtime.package.graph_info import GraphInfo
from osnet_edge.runtime.package.manifest import Precision, Target
from osnet_edge.runtime.processor import ANY, this_processor

MODEL_NAME = "model.onnx"


def build_cpu(
    graph: Path,
    destination: Path,
    backend: CpuBackend,
    precision: Precision,
    processor: str,
    quantize: Callable[[bool], ModelProto] | None = None,
) -> Target:
    """Put a graph into a package for a CPU.

    The file is the graph as exported, or with Q/DQ in it: either library optimises it for the processor at
    hand while it loads, so that one package runs on x86 and ARM, and on a newer library too. (OpenVINO's own
    format loads no faster: compiling takes some 0.3 s for each batch size, and reading either 0.04.)

    Args:
        graph: the exported ONNX file.
        destination: the model file to write.
        backend: which of the two runs it.
        precision: one that the backend has, see `osnet_edge.engines.targets`.
        processor: the kind that INT8 and bf16 are made for; float32 computes right on any.
        quantize: for int8, makes the graph with Q/DQ, float16 around them or not.

    Raises:
        UnavailableError: OpenVINO is wanted and not installed, or not in this precision on this CPU, where
            that is the processor to build for.
    """
    if backend == "openvino":
        open_core(precision if this_processor().is_a(processor) else "fp32")
    if quantize:
        onnx.save(quantize(False), destination)
    else:
        shutil.copyfile(graph, destination)
    return Target(
        backend=backend,
        backend_version=version(backend),
        device="cpu",
        machine=platform.machine(),
        compute_capabilities=(),
        exact_version=False,
        processor=ANY if precision == "fp32" else processor,
    )


def open_on_cpu(
    graph: Path,
    info: GraphInfo,
    backend: CpuBackend,
    precision: Precision,
    best_batch: int,
    sizes: tuple[int, ...] | None = None,
    *,
    processor: str,
) -> Engine:
    """Open a graph as its package would be opened, without a package.

    Args:
        graph: the ONNX file, with Q/DQ for int8.
        info: what the float32 graph says of itself.
        backend: which of the two runs it.
        precision: of its arithmetic.
        best_batch: that OpenVINO compiles it for.
        sizes: batch sizes for OpenVINO to compile it for, falling to 1, in place of that and its halves.
        processor: the kind that the graph was made for.

    Raises:
        InputError: the library cannot load it.
        UnavailableError: the library is not installed, or not in this precision on this CPU.
    """
    size = info.model.embedding_size
    if backend == "onnxruntime":
        return OnnxRuntimeEngine(graph, info.preprocessing, size)
    return OpenVinoEngine(graph, info.preprocessing, size, precision, best_batch, None, sizes, processor)
