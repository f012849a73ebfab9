"""What a graph must compute and move for one picture, operation by operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from onnx import ModelProto, NodeProto, TensorProto

from osnet_edge.engines.graph.tensors import Tensor, count_macs, makers_of, readers_of, tensors_of

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
_UNKNOWN = Tensor(TensorProto.UNDEFINED, ())


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
    # A Gemm's weights have their outputs first, as a Conv's do: see `engines.quantization.layers`.
    wide = sizes.tensors[node.input[1]].shape[1] >= _TILE
    unit = _UNITS.get(sizes.width(node.input[0]), "cores") if wide else "cores"
    return Work(2 * count_macs(node, sizes.tensors), unit, moved, weights, False)


class _Sizes:
    """Shapes and types of a graph's tensors for one picture; Q/DQ pairs are looked through."""

    def __init__(self, model: ModelProto) -> None:
        self.tensors, self._made, self._readers = tensors_of(model), makers_of(model), readers_of(model)
        self.weights = {weight.name for weight in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type == "DequantizeLinear" and node.input[0] in self.weights:
                self.weights |= set(node.output)

    def source(self, name: str) -> str:
        """Return the tensor that a DequantizeLinear reads, if one made this."""
        node = self._made.get(name)
        return node.input[0] if node and node.op_type == "DequantizeLinear" else name

    def count(self, name: str) -> int:
        return self.tensors.get(name, _UNKNOWN).size

    def width(self, name: str) -> int:
        """Return bytes an element, as it lies in memory: quantised where all who read it quantise it."""
        readers = self._readers.get(name, [])
        if readers and all(node.op_type == "QuantizeLinear" for node in readers):
            return 1
        return _BYTES.get(self.tensors.get(self.source(name), _UNKNOWN).kind, 0)

    def bytes(self, name: str) -> int:
        return self.count(name) * self.width(name)

    def weight_bytes(self, name: str) -> int:
        return self.bytes(self.source(name)) if name in self.weights else 0
