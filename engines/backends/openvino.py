"""Packages for OpenVINO on a CPU: the graph as exported, or with Q/DQ in it.

OpenVINO's own format loads no faster: compiling takes some 0.3 s for each batch size, and reading either
0.04.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import onnx

from osnet_edge.engines.backends.base import Builder, best_sizes, write_graph
from osnet_edge.engines.backends.onnxruntime import cpu_target
from osnet_edge.engines.build_spec import BuildSpec
from osnet_edge.engines.graph.reading import ExportedGraph, Graph
from osnet_edge.engines.quantization.rules import OPENVINO, OPENVINO_REDUCED, QdqRules
from osnet_edge.engines.targets import TargetSpec
from osnet_edge.runtime.backends.base import Engine
from osnet_edge.runtime.backends.openvino import (
    OpenVinoEngine,
    compile_options,
    cpu_precisions,
    open_core,
    read_arranged,
)
from osnet_edge.runtime.package.graph_info import GraphInfo
from osnet_edge.runtime.package.manifest import Target
from osnet_edge.runtime.precisions import Precision
from osnet_edge.runtime.processor import AARCH64, ANY, AVX2, BF16, DOTPROD, VNNI, this_processor


class OpenVinoBuilder(Builder):
    """Builds for OpenVINO's CPU plugin."""

    rules: ClassVar[Mapping[str, QdqRules]] = {
        **dict.fromkeys((ANY, AVX2), OPENVINO_REDUCED),
        **dict.fromkeys((VNNI, BF16, AARCH64, DOTPROD), OPENVINO),
    }

    def build(
        self,
        graph: ExportedGraph,
        destination: Path,
        resolved: BuildSpec,
        progress: Callable[[str], None] = lambda step: None,
    ) -> Target:
        """Write the graph, see `Builder`."""
        self.require_here(resolved.spec, resolved.precision)
        write_graph(graph, destination, resolved)
        return cpu_target(self, resolved)

    def require_here(self, spec: TargetSpec, precision: Precision) -> None:
        """Ask for OpenVINO, and for its precision on this CPU where that is the processor to build for."""
        open_core(precision if this_processor().is_a(spec.processor) else "fp32")

    def precisions_here(self, processor: str) -> tuple[Precision, ...]:
        """Return float32, and bf16 where the processor to build for has it, and this one too."""
        return tuple(each for each in cpu_precisions(open_core()) if each == "fp32" or processor == BF16)

    def best_batches(self, batches: Sequence[int], *, timed: bool) -> tuple[int | None, ...]:
        """Return the larger sizes.

        OpenVINO is compiled for a best batch and its halves, and larger batches are made up of those: for 32
        images four runs of 8 may be faster than one of 32.
        """
        return best_sizes(batches)

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
        """Open a graph, see `Builder`."""
        size = info.model.embedding_size
        return OpenVinoEngine(graph, info.preprocessing, size, precision, best_batch, None, sizes, processor)

    def tensor_values(
        self, graph: Graph, names: list[str], processor: str, batch: npt.NDArray[np.generic]
    ) -> list[npt.NDArray[np.float32]]:
        """Return tensors as OpenVINO computes them, see `Builder`."""
        core = open_core("int8")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / self.model_name
            onnx.save(graph.model, file)
            network = read_arranged(core, file)
            # They come behind the embeddings, in this order.
            network.add_outputs(names)
            options = compile_options(core, "int8", None, processor)
            results = core.compile_model(network, "CPU", options).create_infer_request().infer([batch])
            return [results[1 + index] for index in range(len(names))]
