"""Q/DQ pairs: written into a graph by an engine's rules, and counted, to hold them against another tool's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from osnet_edge.engines.graph.layers import Layer
from osnet_edge.engines.graph.reading import Graph
from osnet_edge.engines.quantization.ranges import Method, quantize_weights
from osnet_edge.engines.quantization.rules import QdqRules
from osnet_edge.engines.quantization.table import CalibrationTable, levels_for, range_key

_Any = npt.NDArray[np.generic]
#: float16's smallest number with all its digits.
_HALF_SMALLEST = 2.0**-14
#: Of a sigmoid's integers in LiteRT, which takes no other.
SIGMOID_STEP = 1 / 256
#: How much wider a gate's ranges are than calibration images ask for: what it reads, means over images, goes
#: with the light of a camera. Of 1, 1.5, 2 and 3, this is nearest to float32 on VIPeR, calibrated on CUHK03.
_GATE_MARGIN = 1.5
#: The first opset whose Q/DQ take float16.
_HALF_OPSET = 19


def insert_qdq(
    graph: Graph,
    layers: Collection[Layer],
    table: CalibrationTable,
    rules: QdqRules,
    method: Method,
) -> Graph:
    """Return a copy in which layers compute in INT8, once an engine fuses the pairs.

    Args:
        graph: the equalised and corrected graph, float32, or float16 as `to_half` makes it.
        layers: those to quantise.
        table: ranges, by tensor.
        rules: where pairs stand.
        method: whose ranges.
    """
    copy = graph.copy()
    table = _with_casts(graph, table)
    writer = _Writer(copy, graph, layers, table, rules, method)
    # Found by what they write: names of nodes change on the way to float16.
    chosen = {layer.output for layer in layers}
    nodes = [node for node in copy.graph.node if node.output[0] in chosen]
    everywhere = _read_quantized_by_all(graph, nodes, rules)
    weighted = [node for node in nodes if node.op_type != "Add"]
    # Before any is quantised: gates share their weights, and each has an input of its own.
    floors = [(node.input[1], writer.smallest_scale(node)) for node in weighted]
    for node in weighted:
        writer.quantize_weight(
            node, np.max([floor for name, floor in floors if name == node.input[1]], axis=0)
        )
    for node in copy.graph.node:
        for index, name in enumerate(node.input):
            layer_input = node.output[0] in chosen and (index == 0 or node.op_type == "Add")
            if name in table.tensors and (name in everywhere or layer_input):
                node.input[index] = writer.pair(name)
    if rules.throughout and any(layer.kind == "fc" for layer in layers):
        for output in copy.graph.output:
            writer.quantize_output(output.name)
    writer.finish()
    onnx.checker.check_model(copy)
    return Graph(copy)


def count_pairs(graph: Graph) -> dict[str, int]:
    """Count a graph's Q/DQ, and the operators that read nothing else.

    Args:
        graph: a graph with Q/DQ.

    Returns:
        How many QuantizeLinear and DequantizeLinear there are, `weights` of these that make weights of
        integers, and, as `Conv` and the like, operators all of whose inputs are dequantised, a bias aside.
    """
    restored = {each.output[0] for each in graph.nodes if each.op_type == "DequantizeLinear"}
    counts = Counter[str]()
    for node in graph.nodes:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            counts[node.op_type] += 1
            counts["weights"] += node.op_type == "DequantizeLinear" and node.input[0] in graph.initializers
        elif {*node.input[:2]} <= restored:
            counts[node.op_type] += 1
    return dict(sorted(counts.items()))


def _with_casts(graph: Graph, table: CalibrationTable) -> CalibrationTable:
    """Return the table with what casts make of its tensors, which a float16 graph has in their place."""
    casts = [node for node in graph.nodes if node.op_type == "Cast" and node.input[0] in table.tensors]
    casted = {node.output[0]: table.tensors[node.input[0]] for node in casts}
    return replace(table, tensors={**casted, **table.tensors})


def _read_quantized_by_all(graph: Graph, nodes: list[NodeProto], rules: QdqRules) -> set[str]:
    """Return the tensors of which no reader sees the unquantised values."""
    quantized = {node.input[0] for node in nodes if "input" in rules.shared}
    quantized |= {_behind_relu(node.output[0], graph.readers) for node in nodes if "output" in rules.shared}
    # Small operators follow what they stand among, one after the other.
    for node in graph.nodes:
        if node.op_type in rules.operators and quantized & set(node.input):
            quantized.update((*node.input, _behind_relu(node.output[0], graph.readers)))
        if node.op_type in rules.pools and node.output[0] in quantized:
            quantized.add(node.input[0])
    return quantized


def _behind_relu(name: str, readers: Mapping[str, list[NodeProto]]) -> str:
    """Return a layer's output, or its ReLU's where that is all that reads it: nothing may stand between."""
    behind = readers.get(name, [])
    return behind[0].output[0] if len(behind) == 1 and behind[0].op_type == "Relu" else name


class _Writer:
    """Puts pairs into a copy of a graph, one for each tensor."""

    def __init__(
        self,
        model: ModelProto,
        graph: Graph,
        layers: Collection[Layer],
        table: CalibrationTable,
        rules: QdqRules,
        method: Method,
    ) -> None:
        self._graph, self._table, self._rules, self._method = model.graph, table, rules, method
        self._gates = {
            name
            for layer in layers
            if layer.kind == "gate"
            for name in (layer.input, _behind_relu(layer.output, graph.readers))
        }
        # What is written counts: a pool's maxima are larger than what it reads.
        self._kept = {n.input[0]: n.output[0] for n in graph.nodes if n.op_type in rules.keeping}
        self._sigmoids = {node.output[0] for node in graph.nodes if node.op_type == "Sigmoid"}
        self._initializers = graph.initializers
        # Around an instance norm or a gate, a float16 graph is float32: pairs have their tensor's type.
        self._halves = {name for name, tensor in graph.tensors.items() if tensor.kind == TensorProto.FLOAT16}
        if self._halves:
            for entry in model.opset_import:
                entry.version = max(entry.version, _HALF_OPSET) if not entry.domain else entry.version
        self._pairs: dict[str, list[NodeProto]] = {}
        self._weights: dict[str, NodeProto] = {}

    def quantize_weight(self, node: NodeProto, smallest: npt.NDArray[np.float64]) -> None:
        """Write a layer's weights as integers, with (O,) scales no smaller than those given."""
        name = node.input[1]
        if name not in self._weights:
            values = numpy_helper.to_array(self._initializers[name])
            integers, scales = quantize_weights(
                values,
                smallest,
                bits=self._rules.weight_bits,
                one_scale=self._rules.one_weight_scale,
            )
            zeros = np.zeros(len(scales), np.int8)
            inputs = self._constants(name, scales, zeros)
            inputs.insert(0, self._constant(f"{name}_integers", integers))
            self._weights[name] = helper.make_node(
                "DequantizeLinear", inputs, [f"{name}_dequantized"], name=f"{name}_DequantizeLinear", axis=0
            )
        node.input[1] = self._weights[name].output[0]

    def smallest_scale(self, node: NodeProto) -> npt.NDArray[np.float64]:
        """Return (O,) scales below which a layer's weights must not go.

        ONNX Runtime makes the bias a 32-bit integer in steps of both scales, and what a dead channel's
        weights of nearly 0 would ask for leaves 32 bits.
        """
        channels = self._initializers[node.input[1]].dims[0]
        smallest = np.full(channels, _HALF_SMALLEST if node.input[1] in self._halves else 1e-30)
        if len(node.input) < 3 or node.input[0] not in self._table.tensors:
            return smallest
        bias = np.abs(numpy_helper.to_array(self._initializers[node.input[2]]).astype(np.float64))
        return np.maximum(smallest, bias / (self._step(node.input[0]) * 2**30))

    def _step(self, name: str) -> float:
        name = self._kept.get(name, name)
        if self._rules.throughout and name in self._sigmoids:
            return SIGMOID_STEP
        tensor = self._table.tensors[name]
        levels = levels_for(tensor.signed, self._rules.activations)
        margin = _GATE_MARGIN if name in self._gates else 1.0
        return margin * tensor.ranges[range_key(self._method, levels)] / levels

    def pair(self, name: str) -> str:
        """Return what a tensor is called behind its pair."""
        if name not in self._pairs:
            self._pairs[name] = self._make_pair(name)
        back: str = self._pairs[name][1].output[0]
        return back

    def _make_pair(self, name: str) -> list[NodeProto]:
        kind = np.int8 if self._rules.activations == "int8" else np.uint8
        zero = np.array(128 if kind is np.uint8 and self._table.tensors[name].signed else 0, kind)
        inputs = self._constants(name, np.array(self._step(name)), zero)
        quantized, restored = f"{name}_quantized", f"{name}_dequantized"
        return [
            helper.make_node("QuantizeLinear", [name, *inputs], [quantized], name=f"{name}_QuantizeLinear"),
            helper.make_node(
                "DequantizeLinear", [quantized, *inputs], [restored], name=f"{name}_DequantizeLinear"
            ),
        ]

    def quantize_output(self, name: str) -> None:
        """Put a pair between the graph's output and what makes it."""
        (maker,) = (node for node in self._graph.node if name in node.output)
        exact = f"{name}_exact"
        maker.output[0] = exact
        quantize, restore = self._make_pair(name)
        quantize.input[0], restore.output[0] = exact, name
        self._pairs[exact] = [quantize, restore]

    def finish(self) -> None:
        """Insert the pairs after the tensors that they read, and delete weights that are no longer used."""
        order = [*self._weights.values()]
        for node in self._graph.node:
            order.append(node)
            for name in node.output:
                order += self._pairs.get(name, [])
        del self._graph.node[:]
        self._graph.node.extend(order)
        used = {name for node in order for name in node.input}
        kept = [each for each in self._graph.initializer if each.name in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)

    def _constants(self, name: str, scale: _Any, zero: _Any) -> list[str]:
        kind = np.float16 if name in self._halves else np.float32
        return [self._constant(f"{name}_scale", scale.astype(kind)), self._constant(f"{name}_zero", zero)]

    def _constant(self, name: str, values: _Any) -> str:
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
        return name
