"""What a graph must compute and move for one picture, operation by operation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import onnx
from onnx import ModelProto, NodeProto, TensorProto

#: Where operations are done: tensor cores in a precision, or plain cores in any.
Unit = Literal["fp32", "fp16", "int8", "cores"]

#: A compiler computes these where the tensor that they read is made, so they move only what else they read.
FUSED = frozenset(
    {"Add", "Cast", "Clip", "DequantizeLinear", "Div", "Flatten", "Identity", "Mul", "QuantizeLinear"}
    | {"Relu", "Reshape", "Sigmoid", "Squeeze", "Sub", "Transpose", "Unsqueeze"}
)
#: These only name tensors, or shapes.
_FREE = frozenset({"Constant", "ConstantOfShape", "Gather", "Shape"})
_BYTES: dict[int, int] = {
    TensorProto.FLOAT: 4,
    TensorProto.FLOAT16: 2,
    TensorProto.INT8: 1,
    TensorProto.UINT8: 1,
}
#: Channels that a tensor core multiplies at once, in float16.
_TILE = 8
_UNITS: dict[int, Unit] = {4: "fp32", 2: "fp16", 1: "int8"}


@dataclass(frozen=True)
class Work:
    """One operation, with what is fused into it elsewhere.

    Attributes:
        operations: multiplications and additions, for one picture.
        unit: that does them.
        activations: bytes read and written, for one picture.
        weights: bytes read, whatever the batch.
        fused: whether a compiler would fuse it into its neighbour, so that it launches nothing.
    """

    operations: int
    unit: Unit
    activations: int
    weights: int
    fused: bool


def count_work(model: ModelProto) -> tuple[Work, ...]:
    """Count a graph's operations and bytes, node by node.

    Convolutions and matrix products that sum over eight channels or more are for tensor cores, in the type of
    what they read (int8 behind a DequantizeLinear); those of fewer, such as depthwise ones, would
    leave tensor cores idle. They and all else are for plain cores.

    Args:
        model: typed as it will run: float32, `to_half`'s or with Q/DQ.
    """
    sizes = _Sizes(model)
    return tuple(_work(node, sizes) for node in model.graph.node if node.op_type not in _FREE)


def _work(node: NodeProto, sizes: _Sizes) -> Work:
    fused = node.op_type in FUSED
    read = [name for name in node.input if name and name not in sizes.weights]
    weights = sum(sizes.weight_bytes(name) for name in node.input)
    if fused:
        # The first tensor is at hand; a second one, such as a residual path, is fetched.
        return Work(0, "cores", sum(map(sizes.bytes, read[1:])), weights, True)
    moved = sum(map(sizes.bytes, (*read, *node.output)))
    if node.op_type not in ("Conv", "Gemm", "MatMul"):
        return Work(sum(map(sizes.count, read)), "cores", moved, weights, False)
    weight = sizes.shape(sizes.source(node.input[1]))
    pixels = math.prod(sizes.shape(node.output[0])[2:]) if node.op_type == "Conv" else 1
    width = sizes.width(node.input[0])
    # A Gemm's weights have their outputs first, as a Conv's do: see `engines.quantization.layers`.
    unit = _UNITS.get(width, "cores") if weight[1] >= _TILE else "cores"
    return Work(2 * math.prod(weight) * pixels, unit, moved, weights, False)


class _Sizes:
    """Shapes and types of a graph's tensors for one picture; Q/DQ pairs are looked through."""

    def __init__(self, model: ModelProto) -> None:
        one = ModelProto()
        one.CopyFrom(model)
        del one.graph.value_info[:]
        for value in (*one.graph.input, *one.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 1
        inferred = onnx.shape_inference.infer_shapes(one).graph
        self._types, self._shapes = dict(_types(inferred)), dict(_shapes(inferred))
        self.weights = {weight.name for weight in model.graph.initializer}
        self._made = {name: node for node in model.graph.node for name in node.output}
        self._readers: dict[str, list[NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
            if node.op_type == "DequantizeLinear" and node.input[0] in self.weights:
                self.weights |= set(node.output)

    def source(self, name: str) -> str:
        """Return the tensor that a DequantizeLinear reads, if one made this."""
        node = self._made.get(name)
        return node.input[0] if node and node.op_type == "DequantizeLinear" else name

    def shape(self, name: str) -> tuple[int, ...]:
        return self._shapes.get(name, ())

    def count(self, name: str) -> int:
        return math.prod(self.shape(name))

    def width(self, name: str) -> int:
        """Return bytes an element, as it lies in memory: quantised where all who read it quantise it."""
        readers = self._readers.get(name, [])
        if readers and all(node.op_type == "QuantizeLinear" for node in readers):
            return 1
        return _BYTES.get(self._types.get(self.source(name), 0), 0)

    def bytes(self, name: str) -> int:
        return self.count(name) * self.width(name)

    def weight_bytes(self, name: str) -> int:
        return self.bytes(self.source(name)) if name in self.weights else 0


def _types(graph: onnx.GraphProto) -> Iterator[tuple[str, int]]:
    yield from ((weight.name, weight.data_type) for weight in graph.initializer)
    for value in (*graph.input, *graph.value_info, *graph.output):
        yield value.name, value.type.tensor_type.elem_type


def _shapes(graph: onnx.GraphProto) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from ((weight.name, tuple(weight.dims)) for weight in graph.initializer)
    for value in (*graph.input, *graph.value_info, *graph.output):
        yield value.name, tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
