"""The layers of an exported OSNet that can compute in INT8, and the groups in which they are decided on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from onnx import ModelProto, NodeProto, TensorProto

from osnet_edge.engines.graph.tensors import Tensor, count_macs
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.graph_info import QUANTIZED

#: stem: the 7x7 convolution; dense: a Lite 3x3 multiplied out by `osnet_edge.export.rewrite`; gate: the two
#: small ones of the channel gates; fc: the linear layer; sum: where a block's residual path is added, which
#: some engines want quantised too.
Kind = Literal["stem", "pointwise", "depthwise", "dense", "gate", "fc", "sum"]


@dataclass(frozen=True)
class Layer:
    """A convolution, a linear layer, or a residual sum.

    Attributes:
        node: its name.
        kind: what it is.
        group: what it is decided on with: `stem`, `gates`, `fc`, `sums`, or a part of the network and its
            kind, such as `conv2.0 depthwise`.
        input: the tensor it reads; of a sum the first.
        weight: its weights, an initializer, whose axis 0 is output channels; of a sum nothing.
        output: the tensor it writes.
        macs: multiply-accumulates for one image.
        groups: of channels that are convolved for themselves.
        beside_norm: whether an instance norm reads what it writes, or wrote what it reads, a ReLU aside.
    """

    node: str
    kind: Kind
    group: str
    input: str
    weight: str
    output: str
    macs: int
    groups: int = 1
    beside_norm: bool = False


def find_layers(
    model: ModelProto, tensors: Mapping[str, Tensor], weights: Mapping[str, TensorProto]
) -> tuple[Layer, ...]:
    """Find the layers of a graph of `osnet-edge export`, in the order in which they run.

    Parts are known by the names that the exporter gives to nodes, which are the paper's (table 1), kinds by
    shapes.

    Args:
        model: float32, of a fixed image size, its nodes named.
        tensors: types and shapes, by name.
        weights: its initializers, by name.

    Raises:
        InputError: a weight is no initializer, or the graph holds Q/DQ already.

    Returns:
        Every Conv, Gemm and residual Add.
    """
    if any(node.op_type in QUANTIZED for node in model.graph.node):
        raise InputError("expected a float32 graph, got one with Q/DQ in it; give the graph as exported")
    beside_norms = _beside_norms(model)
    convolutions = {node.output[0] for node in model.graph.node if node.op_type == "Conv"}
    layers = []
    for node in model.graph.node:
        if node.op_type == "Add" and convolutions & set(node.input):
            beside = bool(beside_norms & {*node.input, *node.output})
            layers.append(Layer(node.name, "sum", "sums", node.input[0], "", node.output[0], 0, 1, beside))
        if node.op_type not in ("Conv", "Gemm"):
            continue
        if len(node.input) < 2 or node.input[1] not in weights:
            raise InputError(f"expected the weights of {node.name} in the graph; give the graph as exported")
        _check_layout(node)
        weight = weights[node.input[1]]
        groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        kind = _kind(node, weight, groups, tensors[node.output[0]].shape)
        macs, group = count_macs(node, tensors), _group(node.name, kind)
        beside = node.input[0] in beside_norms or node.output[0] in beside_norms
        layers.append(
            Layer(node.name, kind, group, node.input[0], node.input[1], node.output[0], macs, groups, beside)
        )
    return tuple(layers)


def groups_of(layers: tuple[Layer, ...]) -> dict[str, tuple[Layer, ...]]:
    """Return the layers of each group, groups in the order of their first layer."""
    groups: dict[str, list[Layer]] = {}
    for layer in layers:
        groups.setdefault(layer.group, []).append(layer)
    return {name: tuple(members) for name, members in groups.items()}


def _beside_norms(model: ModelProto) -> set[str]:
    """Return what instance norms read and write, and what a ReLU makes of the latter."""
    norms = [node for node in model.graph.node if node.op_type == "InstanceNormalization"]
    written = {node.output[0] for node in norms}
    behind = {n.output[0] for n in model.graph.node if n.op_type == "Relu" and n.input[0] in written}
    return {node.input[0] for node in norms} | written | behind


def _check_layout(node: NodeProto) -> None:
    """Check that a Gemm is as torch's exporter writes it: output channels on axis 0, as in a Conv."""
    if node.op_type == "Gemm" and not any(a.name == "transB" and a.i for a in node.attribute):
        raise InputError(f"expected {node.name} with transB=1; export the graph again")


def _kind(node: NodeProto, weight: TensorProto, groups: int, shape: tuple[int, ...]) -> Kind:
    if node.op_type == "Gemm":
        return "fc"
    if shape[2:] == (1, 1):
        return "gate"
    if max(weight.dims[2:]) == 1:
        return "pointwise"
    if groups == weight.dims[0]:
        return "depthwise"
    return "stem" if max(weight.dims[2:]) > 3 else "dense"


def _group(node: str, kind: Kind) -> str:
    if kind in ("stem", "fc"):
        return kind
    if kind == "gate":
        return "gates"
    part = re.search(r"/(conv\d\.\d+)/", node) or re.search(r"/(conv5)/", node)
    return f"{part[1] if part else 'other'} {kind}"
