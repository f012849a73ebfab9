"""Arithmetic operations and numbers moved of each operation of a graph, counted for one picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import onnx

from osnet_edge.engines.graph.reading import read_onnx
from osnet_edge.engines.graph.tensors import Tensor, count_macs, tensors_of

#: Operations that only give numbers another shape, which a runtime does without touching them.
_FREE = {"Constant", "Dropout", "Flatten", "Identity", "Reshape", "Shape", "Squeeze", "Unsqueeze"}
#: Operations that move or convert numbers and compute nothing.
_MOVES = {"Cast", "Concat", "Gather", "Pad", "Slice", "Split", "Transpose", "Expand"}
_POOLS = {"AveragePool", "MaxPool"}
#: Each number of the input is added to a sum.
_REDUCTIONS = {"GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceSum", "ReduceMax"}


class Operation(NamedTuple):
    """One operation of the graph.

    Attributes:
        name: of the node.
        kind: such as Conv.
        operations: arithmetic ones; a multiply-accumulate is two.
        activations: numbers read and written, besides weights.
        weights: numbers of its weights.
    """

    name: str
    kind: str
    operations: int
    activations: int
    weights: int


class GraphOperations(NamedTuple):
    """All operations of a graph, and the bytes that go in and come out for one picture."""

    operations: tuple[Operation, ...]
    input_bytes: int
    output_bytes: int


def count_operations(path: Path | str) -> GraphOperations:
    """Count an exported graph's operations for one picture.

    Raises:
        InputError: it is no such graph; see `read_onnx`.
    """
    model = read_onnx(Path(path))
    tensors, weights = tensors_of(model), {weight.name for weight in model.graph.initializer}
    found = (_operation(node, tensors, weights) for node in model.graph.node if node.op_type not in _FREE)
    ends = [
        tensors[value.name].size * onnx.helper.tensor_dtype_to_np_dtype(tensors[value.name].kind).itemsize
        for value in (model.graph.input[0], model.graph.output[0])
    ]
    return GraphOperations(tuple(found), *ends)


def _operation(node: onnx.NodeProto, tensors: Mapping[str, Tensor], weights: set[str]) -> Operation:
    read = sum(tensors[name].size for name in node.input if name in tensors and name not in weights)
    written = sum(tensors[name].size for name in node.output if name in tensors)
    own = sum(tensors[name].size for name in node.input if name in weights)
    return Operation(node.name, node.op_type, _arithmetic(node, tensors, read, written), read + written, own)


def _arithmetic(node: onnx.NodeProto, tensors: Mapping[str, Tensor], read: int, written: int) -> int:
    if node.op_type in ("Conv", "Gemm", "MatMul"):
        return 2 * count_macs(node, tensors)
    if node.op_type in _POOLS:
        window = next((list(each.ints) for each in node.attribute if each.name == "kernel_shape"), [1])
        return written * math.prod(window)
    if node.op_type in _REDUCTIONS:
        return read
    return 0 if node.op_type in _MOVES else written
