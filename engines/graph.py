"""Reading back a graph that `osnet-edge export` wrote."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.graph_info import INPUT_NAME, METADATA_KEY, OUTPUT_NAME, GraphInfo, parse_graph_info


def read_graph(path: Path | str) -> tuple[onnx.ModelProto, GraphInfo]:
    """Read and check an exported ONNX file.

    Raises:
        InputError: it is missing, no ONNX graph, damaged, or not one that `osnet-edge export` wrote.
    """
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise InputError(f"expected an ONNX file, found {found} at {path}; make one with osnet-edge export")
    try:
        graph = onnx.load(path)
        onnx.checker.check_model(graph)
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} is no whole ONNX graph ({reason}); export it again") from None
    metadata = {entry.key: entry.value for entry in graph.metadata_props}
    if METADATA_KEY not in metadata:
        raise InputError(
            f"{path} does not say how its pictures are to be prepared; "
            "build takes graphs of osnet-edge export, so export the checkpoint with it"
        )
    info = parse_graph_info(metadata[METADATA_KEY], str(path))
    _check_contract(path, graph, info)
    return graph, info


def _check_contract(path: Path, graph: onnx.ModelProto, info: GraphInfo) -> None:
    """Hold inputs and outputs to what the metadata says, in case the graph was edited since."""
    expected = {INPUT_NAME: info.preprocessing.input_shape, OUTPUT_NAME: (info.model.embedding_size,)}
    got = {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim[1:])
        for value in (*graph.graph.input, *graph.graph.output)
    }
    if got != expected:
        raise InputError(f"{path}: its metadata says {expected}, its graph {got}; export it again")
