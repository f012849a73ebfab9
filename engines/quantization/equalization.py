"""Cross-layer equalisation: scale channels so that one range fits them all; the network stays the same.

A channel may be divided by s where it is made and multiplied by s where it is read. Everything in between
must let a positive factor through: ReLU, pooling, sums of tensors with the same factors, and products with a
gate. So tensors fall into sets that share factors: OSNet's four streams, which one gate serves and which are
added, are one set, and so is the residual path of a stage.

Source: Nagel et al., "Data-free quantization through weight equalization and bias correction" (2019), section
4.1, for the exact rewriting; Xiao et al., "SmoothQuant" (2023), equation 4, for factors from activations.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, numpy_helper

from osnet_edge.engines.graph.reading import Graph

Factors = npt.NDArray[np.float64]
#: How much of the unevenness the weights take over: 0 leaves activations as they are, 1 makes them even. Of
#: 0.35, 0.5, 0.65 and 0.8 this lost least on held-out training images, for x0.25 and x1.0 alike.
STRENGTH = 0.65
#: A channel of next to nothing would get a factor without bound.
_LARGEST_RATIO = 1000.0
#: What the largest value of a set becomes: scales are then far from the least that float16 keeps.
_PEAK = 8.0
_PASSING = ("Relu", "MaxPool", "AveragePool", "GlobalAveragePool", "Flatten")


def channel_factors(graph: Graph, peaks: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, Factors]:
    """Choose what the channels of each tensor are divided by.

    Args:
        graph: the float32 graph.
        peaks: (C,) largest magnitudes of the tensors that layers read.

    Returns:
        (C,) factors for those tensors that can have them; divided, the largest value of a set is 8.
    """
    sets = _Sets(graph)
    even: dict[str, Factors] = {}
    heavy: dict[str, Factors] = {}
    for layer in graph.layers:
        members = sets.find(layer.input)
        if members in sets.fixed or layer.input not in peaks or layer.kind == "sum":
            continue
        even[members] = np.maximum(even.get(members, 0.0), peaks[layer.input])
        # A depthwise layer has a scale for each channel: what it reads is made even whatever the strength is.
        if layer.kind != "depthwise":
            values = np.abs(numpy_helper.to_array(graph.initializers[layer.weight]).astype(np.float64))
            rows = values.reshape(len(values), values.shape[1], -1).max(axis=2)
            # Rows have scales of their own, so that what counts is a column's share of its row.
            rows /= np.maximum(rows.max(axis=1, keepdims=True), 1e-30)
            columns = rows.reshape(layer.groups, -1, rows.shape[1]).max(axis=1).ravel()
            heavy[members] = np.maximum(heavy.get(members, 0.0), columns)
    chosen = {}
    for members, peak in even.items():
        factors = _bounded(peak)
        if members in heavy:
            factors = factors**STRENGTH / _bounded(heavy[members]) ** (1 - STRENGTH)
        chosen[members] = factors * (float((peak / factors).max()) / _PEAK)
    return {name: chosen[sets.find(name)] for name in graph.makers if sets.find(name) in chosen}


def equalize(graph: Graph, factors: Mapping[str, Factors]) -> Graph:
    """Divide channels by their factors, in a copy; what the graph computes stays the same.

    Args:
        graph: the float32 graph.
        factors: of `channel_factors`, or those of one tensor of each set.
    """
    sets = _Sets(graph)
    shared = {sets.find(name): values for name, values in factors.items()}
    copy = graph.copy()
    initializers = {each.name: each for each in copy.graph.initializer}
    nodes = {node.name: node for node in copy.graph.node}
    done: set[str] = set()
    for layer in graph.layers:
        if layer.kind == "sum":
            continue
        node = nodes[layer.node]
        made, read = shared.get(sets.find(layer.output)), shared.get(sets.find(layer.input))
        for index, name in enumerate(node.input[1:], start=1):
            # Gates share their weights; sharing tensors are in one set, so that once is right for all.
            if name in done or not name:
                continue
            done.add(name)
            values = numpy_helper.to_array(initializers[name]).astype(np.float64)
            if made is not None:
                values = values / made.reshape([-1] + [1] * (values.ndim - 1))
            if read is not None and index == 1:
                # Output o of group g reads the inputs of that group alone.
                rows = read.reshape(layer.groups, -1).repeat(len(values) // layer.groups, axis=0)
                values = values * rows.reshape(rows.shape + (1,) * (values.ndim - 2))
            initializers[name].CopyFrom(numpy_helper.from_array(values.astype(np.float32), name))
    return Graph(copy)


def _bounded(values: Factors) -> Factors:
    return np.maximum(values, max(float(values.max()), 1e-30) / _LARGEST_RATIO)


class _Sets:
    """Tensors that must share their factors (union-find), and which sets can have none."""

    def __init__(self, graph: Graph) -> None:
        self._parent: dict[str, str] = {}
        outside = graph.model.graph
        ends = [each.name for each in (*outside.input, *outside.output)]
        gates = {node.output[0] for node in graph.nodes if node.op_type == "Sigmoid"}
        sharing: dict[str, NodeProto] = {}
        for node in graph.nodes:
            if node.op_type in _PASSING:
                self._join(node.input[0], node.output[0])
            elif node.op_type == "Add":
                self._join(node.input[0], node.output[0])
                self._join(node.input[1], node.output[0])
            elif node.op_type == "Mul":
                # A gate's product: the streams' side passes, the sigmoid's has its own size.
                gate, data = sorted(node.input, key=lambda name: name not in gates)
                self._join(data, node.output[0])
                ends.append(gate)
            elif node.op_type in ("Conv", "Gemm"):
                other = sharing.setdefault(node.input[1], node)
                self._join(node.input[0], other.input[0])
                for name in node.input[1:]:
                    self._join(node.output[0], sharing.setdefault(name, node).output[0])
            else:
                ends += [*node.input, *node.output]
        self.fixed = {self.find(name) for name in ends}

    def find(self, name: str) -> str:
        parent = self._parent.setdefault(name, name)
        if parent != name:
            parent = self._parent[name] = self.find(parent)
        return parent

    def _join(self, one: str, other: str) -> None:
        self._parent[self.find(one)] = self.find(other)
