"""What a graph knows of itself, and that nothing which rewrites one leaves it with what is no longer so."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest
from quantization.graphs import table_of
from tensorrt_graphs import exported

from osnet_edge.engines.graph.float16 import to_half
from osnet_edge.engines.graph.reading import Graph
from osnet_edge.engines.quantization.quantizer import Quantizer
from osnet_edge.engines.quantization.rules import TENSORRT

NAME = "osnet_x0_25"


def facts(graph: Graph) -> tuple[object, ...]:
    makers = {name: node.name for name, node in graph.makers.items()}
    readers = {name: [node.name for node in nodes] for name, nodes in graph.readers.items()}
    return set(graph.initializers), graph.tensors, makers, readers, graph.work


def quantize(graph: Graph, half: bool) -> Graph:
    quantizer = Quantizer(graph, table_of(NAME), TENSORRT)
    return quantizer.make(quantizer.groups, half=half)


@pytest.mark.parametrize(
    "rewrite",
    [
        pytest.param(to_half, id="float16"),
        pytest.param(lambda graph: quantize(graph, False), id="int8"),
        pytest.param(lambda graph: quantize(graph, True), id="int8 in float16"),
    ],
)
def test_what_rewrites_a_graph_leaves_it_as_it_was_and_returns_another(
    rewrite: Callable[[Graph], Graph],
) -> None:
    graph = Graph(onnx.load(exported(NAME)))
    content, before = graph.model.SerializeToString(), facts(graph)
    made = rewrite(graph)
    assert graph.model.SerializeToString() == content
    assert facts(graph) == before == facts(Graph(graph.copy()))
    # What was known of the first is not taken for the second.
    assert made.model.SerializeToString() != content
    assert facts(made) == facts(Graph(made.copy()))


def test_tensors_are_made_once_and_known_to_who_reads_them() -> None:
    graph = Graph(onnx.load(exported(NAME)))
    for name, node in graph.makers.items():
        assert name in node.output
        assert name in graph.tensors
    for name, readers in graph.readers.items():
        assert all(name in node.input for node in readers)
        assert name in graph.makers or name in graph.initializers or name == "images"
    assert graph.tensors is graph.tensors
    assert {layer.node for layer in graph.layers} <= {node.name for node in graph.nodes}
