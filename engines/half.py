"""A float32 graph to one whose types say float16, for TensorRT that takes types as they are written.

Strongly typed networks are the only kind in TensorRT 11 and TensorRT-RTX, and one of two in 10. What stays
float32: the arithmetic before the first convolution (a byte less its mean has more digits than float16 keeps;
the byte itself has not), the instance norms (their variances leave float16's range; NVIDIA/TensorRT#2691,
onnxruntime#10079), and the inputs and outputs.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from osnet_edge.runtime.errors import InputError

#: Operators whose arithmetic stays float32.
FLOAT32_OPERATORS = ("InstanceNormalization",)
#: Operators that do not compute: bytes pass through them whole in float16, whose integers are exact to 2048.
MOVING_OPERATORS = ("Cast", "Transpose")


def to_half(model: ModelProto) -> ModelProto:
    """Return a float16 copy of a float32 graph, with the same inputs and outputs.

    Args:
        model: float32, its nodes in an order in which they can run.

    Raises:
        InputError: it holds float16 already, or a weight that float16 cannot hold.
    """
    # Slow to import, and needed only here.
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    copy = ModelProto()
    copy.CopyFrom(model)
    held = _float32_nodes(copy)
    _separate_weights(copy, held)
    _check_weights(copy, held)
    converted: ModelProto = convert_float_to_float16(
        copy, keep_io_types=True, op_block_list=[], node_block_list=[node.name for node in held]
    )
    # It appends its casts; a parser expects them where they are used.
    OnnxModel.graph_topological_sort(converted.graph)
    onnx.checker.check_model(converted)
    return converted


def _float32_nodes(model: ModelProto) -> list[NodeProto]:
    """Name every node, and return those that stay float32."""
    for index, node in enumerate(model.graph.node):
        # The converter tells nodes apart by name, and not every exporter gives them one.
        node.name = f"{node.name or node.op_type}_{index}"
    makers = {output: node for node in model.graph.node for output in node.output}
    first = next((node for node in model.graph.node if node.op_type == "Conv"), None)
    held = {node.name: node for node in model.graph.node if node.op_type in FLOAT32_OPERATORS}
    waiting = [makers[name] for name in first.input if name in makers] if first is not None else []
    while waiting:
        node = waiting.pop()
        if node.op_type not in MOVING_OPERATORS:
            held[node.name] = node
        waiting += [makers[name] for name in node.input if name in makers]
    return list(held.values())


def _separate_weights(model: ModelProto, held: list[NodeProto]) -> None:
    """Give held nodes their own copy of a weight that others share, or they would read it in float16."""
    names = {node.name for node in held}
    shared = {name for node in model.graph.node if node.name not in names for name in node.input}
    weights = {weight.name: weight for weight in model.graph.initializer}
    copied: set[str] = set()
    for node in held:
        for index, name in enumerate(node.input):
            if name in weights and name in shared:
                node.input[index] = f"{name}_float32"
                if name not in copied:
                    copied.add(name)
                    model.graph.initializer.add().CopyFrom(weights[name])
                    model.graph.initializer[-1].name = f"{name}_float32"


def _check_weights(model: ModelProto, held: list[NodeProto]) -> None:
    """Refuse weights that would overflow; the converter would clip them and say nothing."""
    kept = {name for node in held for name in node.input}
    largest = float(np.finfo(np.float16).max)
    for weight in model.graph.initializer:
        if weight.data_type == TensorProto.FLOAT16:
            raise InputError(
                f"expected a float32 graph, and {weight.name} is float16; give the graph as it was exported"
            )
        if weight.data_type != TensorProto.FLOAT or weight.name in kept:
            continue
        peak = float(np.max(np.abs(numpy_helper.to_array(weight)), initial=0))
        # Written so that NaN fails too.
        if not peak <= largest:
            raise InputError(
                f"the weights {weight.name} reach {peak:.3g}, past float16's {largest:.0f}; build with fp32"
            )
