"""A graph and all that is derived from it, once; and reading back one that `osnet-edge export` wrote."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import onnx
from onnx import ModelProto, NodeProto, TensorProto

from osnet_edge.engines.graph.layers import Layer, find_layers
from osnet_edge.engines.graph.tensors import Tensor, infer_tensors
from osnet_edge.engines.graph.work import Work, count_work
from osnet_edge.runtime.errors import InputError, first_line, printable
from osnet_edge.runtime.files import sha256_of
from osnet_edge.runtime.package.graph_info import (
    INPUT_NAME,
    METADATA_KEY,
    OUTPUT_NAME,
    QUANTIZED,
    QUANTIZED_ADVICE,
    GraphInfo,
    parse_graph_info,
)
from osnet_edge.runtime.package.self_contained import require_self_contained

#: A checkpoint is a zip file, as torch writes it since 1.6, or a pickle; an ONNX file is neither.
_CHECKPOINT_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04")


@dataclass(frozen=True, eq=False)
class Graph:
    """A graph, with what is derived from it on first use.

    It is never changed in place: whatever rewrites a graph changes a `copy` of its model and returns a new
    `Graph` of that.

    Attributes:
        model: the graph itself.
    """

    model: ModelProto

    @property
    def nodes(self) -> Sequence[NodeProto]:
        """The operations, in an order in which they can run."""
        nodes: Sequence[NodeProto] = self.model.graph.node
        return nodes

    @cached_property
    def initializers(self) -> dict[str, TensorProto]:
        """Weights and other constants, by name."""
        return {each.name: each for each in self.model.graph.initializer}

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Type and shape of every tensor and weight that are known, by name."""
        return infer_tensors(self.model)

    @cached_property
    def makers(self) -> dict[str, NodeProto]:
        """The node that makes each tensor, by the tensor's name; inputs and weights are not among them."""
        return {name: node for node in self.nodes for name in node.output}

    @cached_property
    def readers(self) -> dict[str, list[NodeProto]]:
        """The nodes that read each tensor, by its name; a tensor that no node reads is not among them."""
        readers: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                readers.setdefault(name, []).append(node)
        return readers

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """What can compute in INT8, in the order in which it runs; see `find_layers` for what it raises."""
        return find_layers(self.model, self.tensors, self.initializers)

    @cached_property
    def work(self) -> tuple[Work, ...]:
        """Operations and bytes for one image, node by node; see `count_work`."""
        return count_work(self.model, self.tensors, self.makers, self.readers)

    def copy(self) -> ModelProto:
        """Return a model of its own, to be changed."""
        copy = ModelProto()
        copy.CopyFrom(self.model)
        return copy


@dataclass(frozen=True, eq=False)
class ExportedGraph(Graph):
    """A float32 graph of `osnet-edge export`, read and checked.

    Attributes:
        path: its file.
        info: what it says of itself.
    """

    path: Path
    info: GraphInfo

    @cached_property
    def sha256(self) -> str:
        """Of its file."""
        return sha256_of(self.path)


def read_onnx(path: Path) -> Graph:
    """Read and check a graph of one input `images`, of a free batch size and a fixed image, and one output.

    Raises:
        InputError: it is missing, damaged, another kind of graph, or not all in this file.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise InputError(f"expected an ONNX file, found {found} at {path}; make one with osnet-edge export")
    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith(_CHECKPOINT_STARTS) or path.suffix == ".safetensors":
        raise InputError(
            f"expected an ONNX file, found a checkpoint at {path}; export it first: "
            f"{_export(path, path.with_suffix('.onnx').name)}"
        )
    require_self_contained(path)
    try:
        model: ModelProto = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(model)
    except Exception as error:
        # protobuf's and onnx's exceptions have no common base of their own to catch.
        reason = first_line(error)
        raise InputError(f"{path} is no ONNX graph, or not a whole one ({reason}); export it again") from None
    _name_nodes(model)
    if wrong := next((node for node in model.graph.node if node.op_type in QUANTIZED), None):
        raise InputError(
            f"expected a float32 graph, and {path} is quantised already (node {printable(wrong.name)!r}, "
            f"{wrong.op_type}); {QUANTIZED_ADVICE}"
        )
    inputs, outputs = list(model.graph.input), list(model.graph.output)
    shape = [item.dim_value for item in inputs[0].type.tensor_type.shape.dim] if inputs else []
    if len(inputs) != 1 or len(outputs) != 1 or inputs[0].name != INPUT_NAME or len(shape) != 4:
        names = ", ".join(item.name for item in [*inputs, *outputs]) or "none"
        raise InputError(
            f"{path}: expected one input, {INPUT_NAME}, and one output, got {names}; {_export_advice(path)}"
        )
    if shape[0] != 0 or 0 in shape[1:]:
        raise InputError(f"{path}: expected {INPUT_NAME} of a free batch size and a fixed image, got {shape}")
    return Graph(model)


def _name_nodes(model: ModelProto) -> None:
    """Give nodes without a name one, as tools leave them; torch's exporter named outputs by their nodes."""
    for node in model.graph.node:
        if not node.name and node.output:
            node.name = node.output[0].removesuffix("_output_0")


def is_exported(path: Path) -> bool:
    """Tell whether a file has what `osnet-edge export` writes into its graphs, and no checkpoint has."""
    with path.open("rb") as file:
        return not file.read(4).startswith(_CHECKPOINT_STARTS) and METADATA_KEY.encode() in file.read()


def _export_advice(path: Path) -> str:
    made = _export(path, f"{path.stem}-edge.onnx")
    return f"{made} makes one, of a checkpoint or of such a graph"


def _export(path: Path, output: str) -> str:
    """Return what to type."""
    return shlex.join(["osnet-edge", "export", str(path), "-o", output])


def read_graph(path: Path | str) -> ExportedGraph:
    """Read an exported graph and what it says of itself.

    Raises:
        InputError: it is no such graph, or not one that `osnet-edge export` wrote.
    """
    path = Path(path)
    model = read_onnx(path).model
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if METADATA_KEY not in metadata:
        raise InputError(
            f"{path} does not say how its images are to be prepared, as graphs of osnet-edge export do; "
            f"{_export_advice(path)}"
        )
    info = parse_graph_info(metadata[METADATA_KEY], str(path))
    # The graph may have been edited since.
    expected = {INPUT_NAME: info.preprocessing.input_shape, OUTPUT_NAME: (info.model.embedding_size,)}
    got = {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim[1:])
        for value in (*model.graph.input, *model.graph.output)
    }
    if got != expected:
        raise InputError(f"{path}: its metadata says {expected}, its graph {got}; export it again")
    return ExportedGraph(model, path, info)
