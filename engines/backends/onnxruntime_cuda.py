"""A package for ONNX Runtime's CUDA provider: the graph as exported, or in float16."""

from __future__ import annotations

import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import onnx

from osnet_edge.engines.graph.float16 import to_half
from osnet_edge.engines.graph.reading import ExportedGraph
from osnet_edge.runtime.package.manifest import Precision, Target


def build_onnxruntime_cuda(graph: ExportedGraph, destination: Path, precision: Precision) -> Target:
    """Put a graph into a package for a GPU that ONNX Runtime runs it on; built on any machine.

    ONNX Runtime chooses kernels for the GPU at hand while it loads the graph, so one package is for all.

    Args:
        graph: the float32 graph.
        destination: the model file to write.
        precision: fp32, or fp16 with what must stay float32 left so, see `osnet_edge.engines.graph.float16`.
    """
    if precision == "fp16":
        onnx.save(to_half(graph.model), destination)
    else:
        shutil.copyfile(graph.path, destination)
    return Target(
        backend="onnxruntime_cuda",
        backend_version=_version(),
        device="cuda",
        machine=platform.machine(),
        compute_capabilities=(),
        exact_version=False,
    )


def _version() -> str:
    try:
        return version("onnxruntime-gpu")
    except PackageNotFoundError:
        # Built where it will not run: the golden pairs are made by this one.
        return version("onnxruntime")
