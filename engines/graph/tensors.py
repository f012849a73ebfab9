"""The tensors of a graph: their types and shapes, and what making them takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import onnx
from onnx import ModelProto, NodeProto


class Tensor(NamedTuple):
    """What shape inference says of a tensor.

    Attributes:
        kind: its type, a number of `onnx.TensorProto`.
        shape: for one image; 0 for what depends on values.
    """

    kind: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers are in it."""
        return math.prod(self.shape)


def infer_tensors(model: ModelProto) -> dict[str, Tensor]:
    """Return type and shape of every tensor and weight of a model that are known, by name."""
    one = ModelProto()
    one.CopyFrom(model)
    # Shapes that were inferred for a free batch would stand in the way.
    del one.graph.value_info[:]
    for value in (*one.graph.input, *one.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    graph = onnx.shape_inference.infer_shapes(one, data_prop=True).graph
    tensors = {weight.name: Tensor(weight.data_type, tuple(weight.dims)) for weight in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        tensors[value.name] = Tensor(kind.elem_type, tuple(dim.dim_value for dim in kind.shape.dim))
    return tensors


def count_macs(node: NodeProto, tensors: Mapping[str, Tensor]) -> int:
    """Return the multiply-accumulates of a Conv, Gemm or MatMul."""
    made = tensors[node.output[0]].size
    if node.op_type == "Conv":
        # Input channels of a group, and the window, for every number that is made.
        return made * math.prod(tensors[node.input[1]].shape[1:])
    return made * tensors[node.input[0]].shape[-1]
