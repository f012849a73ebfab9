"""Counts the work of a graph, so that the bench can compare it with the machine's ceilings."""

from __future__ import annotations

from pathlib import Path

import onnx

from osnet_edge.bench.result.limits import LayerWork, Work
from osnet_edge.engines.graph.reading import read_onnx


def count_graph(path: str) -> Work:
    """Count an exported graph's work for one image.

    Raises:
        InputError: the file is not an exported graph.
    """
    graph = read_onnx(Path(path))
    ends = [graph.tensors[each[0].name] for each in (graph.model.graph.input, graph.model.graph.output)]
    layers = (LayerWork(w.name, w.kind, w.operations, w.activations, w.weights) for w in graph.work)
    return Work(
        tuple(layers),
        *(end.size * onnx.helper.tensor_dtype_to_np_dtype(end.kind).itemsize for end in ends),
    )
