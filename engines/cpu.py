"""The embedded default: ONNX Runtime on a CPU."""

from __future__ import annotations

import platform
import shutil
from importlib.metadata import version
from pathlib import Path

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.manifest import Precision, Target

MODEL_NAME = "model.onnx"


def build_cpu(graph: Path, destination: Path, precision: Precision) -> Target:
    """Put a graph into a package for ONNX Runtime.

    The file is the graph as exported: ONNX Runtime optimises it for the processor at hand while it loads
    (some 20 ms), so that one package runs on x86 and ARM, and on a newer ONNX Runtime too.

    Args:
        graph: the exported ONNX file.
        destination: the model file to write.
        precision: `fp32`; ONNX Runtime has no half-precision kernels for CPUs and would cast back and forth.

    Raises:
        InputError: another precision is asked for.
    """
    if precision != "fp32":
        raise InputError(
            f"expected --precision fp32 for the target cpu, got {precision}; fp16 is for rtx and tensorrt"
        )
    shutil.copyfile(graph, destination)
    return Target(
        backend="onnxruntime",
        backend_version=version("onnxruntime"),
        device="cpu",
        machine=platform.machine(),
        compute_capabilities=(),
        exact_version=False,
    )
