"""Packages for LiteRT: a `.tflite` file, which a camera's NPU or its compiler takes too."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import onnx

from osnet_edge.engines.backends.base import Builder
from osnet_edge.engines.backends.litert.translate import translate
from osnet_edge.engines.backends.onnxruntime import cpu_target
from osnet_edge.engines.build_spec import BuildSpec
from osnet_edge.engines.graph.reading import ExportedGraph, Graph
from osnet_edge.engines.quantization.rules import LITERT, QdqRules
from osnet_edge.engines.targets import TargetSpec
from osnet_edge.runtime.backends.base import Engine
from osnet_edge.runtime.backends.litert import LiteRTEngine, import_litert, open_interpreter
from osnet_edge.runtime.package.graph_info import GraphInfo
from osnet_edge.runtime.package.manifest import Target
from osnet_edge.runtime.precisions import Precision
from osnet_edge.runtime.processor import ANY, PROCESSORS


class LiteRTBuilder(Builder):
    """Writes `.tflite` files, which are the same for every processor."""

    model_name = "model.tflite"
    rules: ClassVar[Mapping[str, QdqRules]] = dict.fromkeys(PROCESSORS, LITERT)

    def build(
        self,
        graph: ExportedGraph,
        destination: Path,
        resolved: BuildSpec,
        progress: Callable[[str], None] = lambda step: None,
    ) -> Target:
        """Translate the graph, see `Builder`."""
        source = resolved.quantized.make() if resolved.quantized else graph
        destination.write_bytes(translate(source, half=resolved.precision == "fp16"))
        return replace(cpu_target(self, resolved), processor=ANY)

    def require_here(self, spec: TargetSpec, precision: Precision) -> None:
        """Ask for the library, see `Builder`."""
        import_litert()

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
        """Translate and open a graph, see `Builder`; it takes batches of any size."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / self.model_name
            file.write_bytes(translate(Graph(onnx.load(graph)), half=precision == "fp16"))
            return LiteRTEngine(file, info.preprocessing, info.model.embedding_size)

    def tensor_values(
        self, graph: Graph, names: list[str], processor: str, batch: npt.NDArray[np.generic]
    ) -> list[npt.NDArray[np.float32]]:
        """Return tensors as LiteRT computes them, see `Builder`."""
        interpreter = open_interpreter(translate(graph, also=names), len(batch))
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], batch)
        interpreter.invoke()
        # What it gives: the graph's outputs, then the others.
        order = dict.fromkeys([*(each.name for each in graph.model.graph.output), *names])
        values = [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]
        found = {
            name: value.transpose(0, 3, 1, 2) if value.ndim == 4 else value
            for name, value in zip(order, values, strict=True)
        }
        return [found[name] for name in names]
