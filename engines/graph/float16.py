"""A float32 graph to one whose types say float16, for TensorRT that takes types as they are written.

Strongly typed networks are the only kind in TensorRT 11 and TensorRT-RTX, and one of two in 10. What stays
float32, beside the inputs and outputs:

- all before the first convolution: a byte less its mean has more digits than float16 keeps;
- instance norms, whose variances leave float16's range (NVIDIA/TensorRT#2691, onnxruntime#10079);
- means over whole maps, which are sums of thousands, and what is computed of means alone: gates, and the
  scaling of embeddings to length 1. These are few multiplications, and ending the float32 after them takes
  fewer kernels than before them. Matrix products are float16 even so: TensorRT-RTX has none in float32 for
  compute capability 7.5.

A cast stands where a float32 tensor is read in float16 or the reverse, once for each, and nowhere else.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from osnet_edge.engines.graph.tensors import tensors_of
from osnet_edge.runtime.errors import InputError

#: Operators without inputs that matter; they say their type themselves.
CONSTANTS = ("Constant", "ConstantOfShape")
#: A mean over a map. What has no other inputs than such means and weights stays float32 with it, all but
#: matrix products.
MEANS, MATRIX_PRODUCTS = ("GlobalAveragePool",), ("Gemm", "MatMul")
#: Float16's largest number.
HALF_MAX = float(np.finfo(np.float16).max)

_SUFFIXES: dict[int, str] = {TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16"}


def to_half(model: ModelProto) -> ModelProto:
    """Return a float16 copy of a float32 graph, with the same inputs and outputs.

    Args:
        model: float32, its nodes in an order in which they can run.

    Raises:
        InputError: it holds float16 already, or a weight that float16 cannot hold.
    """
    return _Conversion(model).model


def half_tensors(model: ModelProto) -> list[str]:
    """Return the tensors that nodes of a float32 graph make and `to_half` makes or hands on in float16.

    Args:
        model: as for `to_half`.

    Raises:
        InputError: as `to_half`.
    """
    return _Conversion(model).halves


class _Conversion:
    """One graph on its way from float32 to float16.

    Args:
        model: float32; it is copied.

    Attributes:
        model: float16.
        halves: names in the float32 graph of the tensors that are float16 somewhere, in order.
    """

    def __init__(self, model: ModelProto) -> None:
        for weight in model.graph.initializer:
            if weight.data_type == TensorProto.FLOAT16:
                raise InputError(
                    f"expected a float32 graph, and {weight.name} is float16; give the graph as it was "
                    "exported"
                )
        self.model = ModelProto()
        self.model.CopyFrom(model)
        self._graph = self.model.graph
        # Shapes and bytes keep their types.
        found = tensors_of(model).items()
        self._floats = {name for name, tensor in found if tensor.kind == TensorProto.FLOAT}
        self._weights = {weight.name: weight for weight in self._graph.initializer}
        #: The type that each tensor is made in.
        self._made: dict[str, int] = {item.name: TensorProto.FLOAT for item in self._graph.input}
        #: Names of tensors and weights by the type they are read in.
        self._read: dict[tuple[str, int], str] = {}
        self._nodes: list[NodeProto] = []
        held = _float32_nodes(self._graph)
        for index, original in enumerate(model.graph.node):
            node = NodeProto()
            node.CopyFrom(original)
            self._add(node, TensorProto.FLOAT if index in held else TensorProto.FLOAT16)
        read = [name for name, kind in self._read if kind == TensorProto.FLOAT16]
        makes = {name for node in model.graph.node for name in node.output}
        self.halves = [name for name, kind in self._made.items() if kind == TensorProto.FLOAT16]
        self.halves += [name for name in read if name in makes]
        self._restore_outputs()
        self._replace_contents()

    def _add(self, node: NodeProto, kind: int) -> None:
        """Add a node that computes in a type, after the casts that it needs."""
        for index, name in enumerate(node.input):
            if name in self._floats:
                node.input[index] = self._as(name, kind)
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = kind
        self._made.update((name, kind) for name in node.output if name in self._floats)
        self._nodes.append(node)

    def _as(self, name: str, kind: int) -> str:
        """Name a tensor or weight in a type, casting it if it was not read in that type before."""
        if (name, kind) in self._read:
            return self._read[name, kind]
        if self._made.get(name, TensorProto.FLOAT) == kind:
            return name
        cast = self._read[name, kind] = f"{name}_{_SUFFIXES[kind]}"
        if name in self._weights:
            self._graph.initializer.append(_half_weight(self._weights[name], cast))
        else:
            self._nodes.append(helper.make_node("Cast", [name], [cast], name=f"{cast}_cast", to=kind))
        return cast

    def _restore_outputs(self) -> None:
        """Give outputs that were made in float16 their type and name back."""
        for item in self._graph.output:
            if self._made.get(item.name) != TensorProto.FLOAT16:
                continue
            half = f"{item.name}_float16"
            for node in self._nodes:
                for names in (node.input, node.output):
                    names[:] = [half if name == item.name else name for name in names]
            self._nodes.append(
                helper.make_node("Cast", [half], [item.name], name=f"{item.name}_cast", to=TensorProto.FLOAT)
            )

    def _replace_contents(self) -> None:
        used = {name for node in self._nodes for name in node.input}
        weights = [weight for weight in self._graph.initializer if weight.name in used]
        for field, items in (("node", self._nodes), ("initializer", weights), ("value_info", [])):
            self._graph.ClearField(field)
            getattr(self._graph, field).extend(items)
        onnx.checker.check_model(self.model)


def _float32_nodes(graph: GraphProto) -> set[int]:
    """Return the places of nodes that stay float32."""
    makers = {output: index for index, node in enumerate(graph.node) for output in node.output}
    first = next((node for node in graph.node if node.op_type == "Conv"), NodeProto())
    held: set[int] = set()
    waiting = list(first.input)
    while waiting:
        index = makers.get(waiting.pop())
        if index is not None:
            held.add(index)
            waiting += graph.node[index].input
    weights = {weight.name for weight in graph.initializer}
    weights.update(name for node in graph.node if node.op_type in CONSTANTS for name in node.output)
    pooled: set[str] = set()
    for index, node in enumerate(graph.node):
        read = {name for name in node.input if name and name not in weights}
        if node.op_type in MEANS or (read and read <= pooled):
            pooled.update(node.output)
            if node.op_type not in MATRIX_PRODUCTS:
                held.add(index)
        elif node.op_type in ("InstanceNormalization", *CONSTANTS):
            held.add(index)
    return held


def _half_weight(weight: TensorProto, name: str) -> TensorProto:
    values = numpy_helper.to_array(weight)
    peak = float(np.max(np.abs(values), initial=0))
    # Written so that NaN fails too.
    if not peak <= HALF_MAX:
        raise InputError(
            f"the weights {weight.name} reach {peak:.3g}, past float16's {HALF_MAX:.0f}; build with fp32"
        )
    return numpy_helper.from_array(values.astype(np.float16), name)
