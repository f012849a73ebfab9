"""Whether a graph's Q/DQ pairs stand as an engine's rules say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import NodeProto, TensorProto, numpy_helper

from osnet_edge.engines.graph.reading import Graph
from osnet_edge.engines.quantization.ranges import largest_weight
from osnet_edge.engines.quantization.rules import QdqRules

_TYPES = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}


def lint_qdq(graph: Graph, rules: QdqRules) -> list[str]:
    """Return what is wrong with a graph's pairs, a line each; nothing if all is well.

    Args:
        graph: with Q/DQ.
        rules: of the engine that it is for.
    """
    return list(_Lint(graph, rules).problems())


class _Lint:
    def __init__(self, graph: Graph, rules: QdqRules) -> None:
        self._rules = rules
        self._nodes = list(graph.model.graph.node)
        self._constants, self._makers, self._readers = graph.initializers, graph.makers, graph.readers

    def problems(self) -> Iterator[str]:
        for node in self._nodes:
            if node.op_type == "QuantizeLinear":
                yield from self._quantize(node)
            elif node.op_type == "DequantizeLinear":
                yield from self._dequantize(node)
            elif node.op_type in ("Conv", "Gemm"):
                yield from self._layer(node)
            elif node.op_type == "Add" and self._rules.sums:
                if len({self._is_dequantized(name) for name in node.input}) == 2:
                    yield f"{node.name}: a sum reads one side quantised and the other not"
            elif node.op_type in self._rules.pools:
                if self._is_dequantized(node.input[0]) < self._is_quantized(node.output[0]):
                    yield f"{node.name}: a pool writes for a pair and reads none"
            elif node.op_type == "InstanceNormalization" and not self._rules.beside_norms:
                yield from self._norm(node)

    def _quantize(self, node: NodeProto) -> Iterator[str]:
        zero = self._constants[node.input[2]]
        if zero.data_type != _TYPES[self._rules.activations]:
            yield f"{node.name}: expected activations of {self._rules.activations}"
        elif zero.data_type == TensorProto.INT8 and numpy_helper.to_array(zero).any():
            yield f"{node.name}: a symmetric pair has a zero point"
        if not float(numpy_helper.to_array(self._constants[node.input[1]])) > 0:
            yield f"{node.name}: its scale is not above 0"
        maker = self._makers.get(node.input[0])
        others = [reader for reader in self._readers[node.input[0]] if reader is not node]
        if others and "input" in self._rules.shared:
            yield f"{node.name}: {others[0].name} reads what is in front of it"
        beside = {reader.op_type for reader in others}
        if maker is not None and maker.op_type in ("Conv", "Gemm") and "Relu" in beside:
            yield f"{node.name}: it stands between {maker.name} and its ReLU"
        behind = self._readers.get(node.output[0], [])
        if [each.op_type for each in behind] != ["DequantizeLinear"]:
            yield f"{node.name}: it has no DequantizeLinear of its own behind it"
        elif list(behind[0].input[1:]) != list(node.input[1:]):
            yield f"{node.name}: its DequantizeLinear has another scale"

    def _dequantize(self, node: NodeProto) -> Iterator[str]:
        if node.input[0] not in self._constants:
            return
        integers = numpy_helper.to_array(self._constants[node.input[0]])
        scales = numpy_helper.to_array(self._constants[node.input[1]])
        largest = largest_weight(self._rules.weight_bits)
        if integers.dtype != np.int8 or np.abs(integers.astype(np.int16)).max() > largest:
            yield f"{node.name}: expected weights of int8 from -{largest} to {largest}"
        if scales.shape != integers.shape[:1] or any(a.name == "axis" and a.i != 0 for a in node.attribute):
            yield f"{node.name}: expected a scale for each output channel"

    def _norm(self, node: NodeProto) -> Iterator[str]:
        if self._is_dequantized(node.input[0]) or self._is_quantized(node.output[0]):
            yield f"{node.name}: an instance norm is beside a pair"

    def _layer(self, node: NodeProto) -> Iterator[str]:
        if self._is_dequantized(node.input[0]) != self._is_dequantized(node.input[1]):
            yield f"{node.name}: of its input and its weights only one is quantised"
        if len(node.input) > 2 and self._is_dequantized(node.input[2]):
            yield f"{node.name}: its bias is quantised"

    def _is_dequantized(self, name: str) -> bool:
        return name in self._makers and self._makers[name].op_type == "DequantizeLinear"

    def _is_quantized(self, name: str) -> bool:
        return any(node.op_type == "QuantizeLinear" for node in self._readers.get(name, []))
