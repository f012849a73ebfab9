"""What a graph must compute and move for one image, node by node."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from onnx import ModelProto, NodeProto, TensorProto

from osnet_edge.engines.graph.tensors import Tensor, count_macs

#: Where operations are done: tensor cores in a precision, or plain cores in any.
Unit = Literal["fp32", "fp16", "int8", "cores"]

#: A compiler computes these where the tensor that they read is made, so they move only what else they read.
_FUSED = frozenset(
    {"Add", "Cast", "Clip", "DequantizeLinear", "Div", "Mul", "QuantizeLinear", "Relu", "Sigmoid", "Sub"}
    | {"Transpose"}
)
#: These only name tensors, or give them another shape, which a runtime does without touching them.
_FREE = frozenset(
    {"Constant", "ConstantOfShape", "Dropout", "Flatten", "Identity", "Reshape", "Shape", "Squeeze"}
    | {"Unsqueeze"}
)
#: These move or convert numbers and compute nothing.
_MOVES = frozenset({"Cast", "Concat", "Expand", "Gather", "Pad", "Slice", "Split", "Transpose"})
_PRODUCTS = ("Conv", "Gemm", "MatMul")
_POOLS = ("AveragePool", "MaxPool")
#: Each number of the input is added to a sum.
_REDUCTIONS = frozenset({"GlobalAveragePool", "GlobalMaxPool", "ReduceMax", "ReduceMean", "ReduceSum"})
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
    """Work of one node, for one image.

    Attributes:
        name: of the node.
        kind: its operator, such as Conv.
        operations: arithmetic ones; a multiply-accumulate is two.
        activations: numbers read and written, besides weights.
        weights: numbers of its weights.
        unit: what does the arithmetic.
        activation_bytes: bytes read and written, besides weights, once what can be fused is fused.
        weight_bytes: bytes of weights, which are read once whatever the batch.
        fused: whether a compiler would fuse it into its neighbour, so that it launches nothing and its
            arithmetic takes no time of its own.
    """

    name: str
    kind: str
    operations: int
    activations: int
    weights: int
    unit: Unit
    activation_bytes: int
    weight_bytes: int
    fused: bool


def count_work(
    model: ModelProto,
    tensors: Mapping[str, Tensor],
    makers: Mapping[str, NodeProto],
    readers: Mapping[str, Sequence[NodeProto]],
) -> tuple[Work, ...]:
    """Count a graph's operations and bytes, node by node; nodes that only change shapes are left out.

    Convolutions and matrix products that sum over eight channels or more are for tensor cores, in the type of
    what they read (int8 behind a DequantizeLinear); those of fewer, such as depthwise ones, would
    leave tensor cores idle. They and all else are for plain cores.

    Args:
        model: typed as it will run: float32, `to_half`'s or with Q/DQ.
        tensors: types and shapes, by name.
        makers: the node that makes each tensor.
        readers: the nodes that read each tensor.
    """
    constants = {weight.name for weight in model.graph.initializer}
    sizes = _Bytes(model, constants, tensors, makers, readers)
    return tuple(
        _work(node, constants, tensors, sizes) for node in model.graph.node if node.op_type not in _FREE
    )


def _work(node: NodeProto, constants: set[str], tensors: Mapping[str, Tensor], sizes: _Bytes) -> Work:
    inputs = [name for name in node.input if name in tensors]
    read = sum(tensors[name].size for name in inputs if name not in constants)
    written = sum(tensors[name].size for name in node.output if name in tensors)
    unit: Unit = "cores"
    # A Gemm's weights have their outputs first, as a Conv's do: see `osnet_edge.engines.graph.layers`.
    if node.op_type in _PRODUCTS and tensors[node.input[1]].shape[1] >= _TILE:
        unit = _UNITS.get(sizes.width(node.input[0]), "cores")
    fused = node.op_type in _FUSED
    activations = [name for name in node.input if name and name not in sizes.weights]
    # Of what is fused the first tensor is at hand; a second one, such as a residual path, is fetched.
    moved = activations[1:] if fused else [*activations, *node.output]
    return Work(
        name=node.name,
        kind=node.op_type,
        operations=_arithmetic(node, tensors, read, written),
        activations=read + written,
        weights=sum(tensors[name].size for name in inputs if name in constants),
        unit=unit,
        activation_bytes=sum(map(sizes.of, moved)),
        weight_bytes=sum(map(sizes.of_weights, node.input)),
        fused=fused,
    )


def _arithmetic(node: NodeProto, tensors: Mapping[str, Tensor], read: int, written: int) -> int:
    if node.op_type in _PRODUCTS:
        return 2 * count_macs(node, tensors)
    if node.op_type in _POOLS:
        window = next((list(each.ints) for each in node.attribute if each.name == "kernel_shape"), [1])
        return written * math.prod(window)
    if node.op_type in _REDUCTIONS:
        return read
    return 0 if node.op_type in _MOVES else written


class _Bytes:
    """Bytes of a graph's tensors for one image, as they lie in memory; Q/DQ pairs are looked through."""

    def __init__(
        self,
        model: ModelProto,
        constants: set[str],
        tensors: Mapping[str, Tensor],
        makers: Mapping[str, NodeProto],
        readers: Mapping[str, Sequence[NodeProto]],
    ) -> None:
        self._tensors, self._makers, self._readers = tensors, makers, readers
        dequantized = {
            node.output[0]
            for node in model.graph.node
            if node.op_type == "DequantizeLinear" and node.input[0] in constants
        }
        self.weights = constants | dequantized

    def width(self, name: str) -> int:
        """Return bytes an element: one where all who read the tensor quantise it."""
        readers = self._readers.get(name, ())
        if readers and all(node.op_type == "QuantizeLinear" for node in readers):
            return 1
        return _BYTES.get(self._tensors.get(self._source(name), _UNKNOWN).kind, 0)

    def of(self, name: str) -> int:
        return self._tensors.get(name, _UNKNOWN).size * self.width(name)

    def of_weights(self, name: str) -> int:
        return self.of(self._source(name)) if name in self.weights else 0

    def _source(self, name: str) -> str:
        """Return the tensor that a DequantizeLinear reads, if one made this."""
        node = self._makers.get(name)
        return node.input[0] if node and node.op_type == "DequantizeLinear" else name
