"""Packages for ONNX Runtime on a CPU: the graph as exported, or with Q/DQ in it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from osnet_edge.engines.backends.base import Builder, write_graph
from osnet_edge.engines.build_spec import BuildSpec
from osnet_edge.engines.graph.reading import ExportedGraph, Graph
from osnet_edge.engines.graph.running import expose
from osnet_edge.engines.quantization.rules import (
    ONNXRUNTIME_ARM,
    ONNXRUNTIME_REDUCED,
    ONNXRUNTIME_X86,
    QdqRules,
)
from osnet_edge.runtime.backends.base import Engine
from osnet_edge.runtime.backends.onnxruntime import OnnxRuntimeEngine, session_options
from osnet_edge.runtime.package.graph_info import INPUT_NAME, GraphInfo
from osnet_edge.runtime.package.manifest import Target
from osnet_edge.runtime.precisions import Precision
from osnet_edge.runtime.processor import AARCH64, ANY, AVX2, BF16, DOTPROD, VNNI


class OnnxRuntimeBuilder(Builder):
    """Builds for ONNX Runtime's CPU provider."""

    rules: ClassVar[Mapping[str, QdqRules]] = {
        **dict.fromkeys((ANY, AVX2), ONNXRUNTIME_REDUCED),
        **dict.fromkeys((VNNI, BF16), ONNXRUNTIME_X86),
        **dict.fromkeys((AARCH64, DOTPROD), ONNXRUNTIME_ARM),
    }

    def build(
        self,
        graph: ExportedGraph,
        destination: Path,
        resolved: BuildSpec,
        progress: Callable[[str], None] = lambda step: None,
    ) -> Target:
        """Write the graph, see `Builder`."""
        write_graph(graph, destination, resolved)
        return cpu_target(self, resolved)

    def open_graph(
        self,
        graph: Path,
        info: GraphInfo,
        precision: Precision,
        best_batch: int,
        sizes: tuple[int, ...] | None = None,
        *,
        processor: str,
    ) -> Engine:
        """Open a graph, see `Builder`; it takes batches of any size."""
        return OnnxRuntimeEngine(graph, info.preprocessing, info.model.embedding_size)

    def tensor_values(
        self, graph: Graph, names: list[str], processor: str, batch: npt.NDArray[np.generic]
    ) -> list[npt.NDArray[np.float32]]:
        """Return tensors as ONNX Runtime computes them, see `Builder`."""
        import onnxruntime

        content, providers = expose(graph, names).model.SerializeToString(), ["CPUExecutionProvider"]
        session = onnxruntime.InferenceSession(content, session_options(), providers=providers)
        values: list[npt.NDArray[np.float32]] = session.run(names, {INPUT_NAME: batch})
        return values


def cpu_target(builder: Builder, resolved: BuildSpec) -> Target:
    """Return what an engine on a CPU was built for: float32 computes right on any processor."""
    return Target(
        backend=builder.backend.name,
        backend_version=builder.backend.version_here or "",
        device="cpu",
        machine=platform.machine(),
        compute_capabilities=(),
        exact_version=False,
        processor=ANY if resolved.precision == "fp32" else resolved.spec.processor,
    )
