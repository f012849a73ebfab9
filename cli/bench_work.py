"""The work of a graph, counted where graphs are read, and handed to where it is compared with a machine."""

from __future__ import annotations

from osnet_edge.bench.result.limits import LayerWork, Work
from osnet_edge.engines.graph.operations import count_operations


def count_graph(path: str) -> Work:
    """Count an exported graph's work for one picture.

    Raises:
        InputError: it is no such graph.
    """
    counted = count_operations(path)
    layers = tuple(LayerWork(*operation) for operation in counted.operations)
    return Work(layers, counted.input_bytes, counted.output_bytes)
