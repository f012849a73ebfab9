"""Arithmetic operations and numbers moved of each operation of a graph, counted for one picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import onnx

from osnet_edge.engines.graph import read_onnx

#: Operations that only give numbers another shape, which a runtime does without touching them.
_FREE = {"Constant", "Dropout", "Flatten", "Identity", "Reshape", "Shape", "Squeeze", "Unsqueeze"}
#: Operations that move or convert numbers and compute nothing.
_MOVES = {"Cast", "Concat", "Gather", "Pad", "Slice", "Split", "Transpose", "Expand"}
_POOLS = {"AveragePool", "MaxPool"}
#: Each number of the input is added to a sum.
_REDUCTIONS = {"GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceSum", "ReduceMax"}

Shapes = dict[str, tuple[int, ...]]


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
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    # Shapes that were inferred for a free batch would stand in the way.
    del model.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes: Shapes = {}
    for value in (*inferred.input, *inferred.output, *inferred.value_info):
        shapes[value.name] = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
    weights = {tensor.name: tuple(tensor.dims) for tensor in inferred.initializer}
    found = tuple(_operation(node, shapes, weights) for node in inferred.node)
    ends = [
        math.prod(shapes[value.name])
        * onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).itemsize
        for value in (inferred.input[0], inferred.output[0])
    ]
    return GraphOperations(tuple(each for each in found if each.kind not in _FREE), *ends)


def _operation(node: onnx.NodeProto, shapes: Shapes, weights: Shapes) -> Operation:
    read = sum(math.prod(shapes[name]) for name in node.input if name in shapes and name not in weights)
    written = sum(math.prod(shapes[name]) for name in node.output if name in shapes)
    own = sum(math.prod(weights[name]) for name in node.input if name in weights)
    if node.op_type in _FREE:
        return Operation(node.name, node.op_type, 0, 0, 0)
    return Operation(
        node.name, node.op_type, _arithmetic(node, shapes, weights, read, written), read + written, own
    )


def _arithmetic(node: onnx.NodeProto, shapes: Shapes, weights: Shapes, read: int, written: int) -> int:
    if node.op_type == "Conv":
        # Output channels, input channels of a group, and the window.
        _, channels, *window = weights.get(node.input[1]) or shapes[node.input[1]]
        return 2 * written * channels * math.prod(window)
    if node.op_type in ("Gemm", "MatMul"):
        inner = (shapes.get(node.input[0]) or weights[node.input[0]])[-1]
        return 2 * written * inner
    if node.op_type in _POOLS:
        window = next((list(each.ints) for each in node.attribute if each.name == "kernel_shape"), [1])
        return written * math.prod(window)
    if node.op_type in _REDUCTIONS:
        return read
    return 0 if node.op_type in _MOVES else written
