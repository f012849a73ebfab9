"""Export of a checkpoint to an ONNX file: folded, simplified, compared with torch, written atomically."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import onnx
import onnxsim
import torch

from osnet_edge.export.folding import fold_batch_norms
from osnet_edge.export.network import ExportNetwork
from osnet_edge.export.parity import check_parity
from osnet_edge.export.rewrite import rewrite
from osnet_edge.runtime.errors import CheckError, InputError
from osnet_edge.runtime.files import sha256_of, write_aside
from osnet_edge.runtime.package.graph_info import (
    INPUT_NAME,
    METADATA_KEY,
    OUTPUT_NAME,
    GraphInfo,
    dump_graph_info,
)
from osnet_edge.runtime.package.manifest import ModelInfo
from osnet_edge.runtime.package.placement import Placement, require_placement
from osnet_edge.runtime.package.self_contained import require_self_contained
from osnet_edge.runtime.preprocessing import Preprocessing
from osnet_edge.train.checkpoint import load_osnet

#: TensorRT 8.6 to 11 and RTX read this one.
DEFAULT_OPSET = 17
OPSETS = range(13, 21)


@dataclass(frozen=True)
class ExportResult:
    """The result of an export.

    Attributes:
        path: the ONNX file.
        info: the content of its metadata.
        relative_error: largest relative error of an embedding, compared with torch.
        nodes: number of operations in the graph.
    """

    path: Path
    info: GraphInfo
    relative_error: float
    nodes: int


def export_onnx(
    checkpoint: Path | str,
    output: Path | str,
    *,
    arch: str = "auto",
    placement: Placement | None = None,
    preprocessing: Preprocessing | None = None,
    l2_normalize: bool = False,
    opset: int = DEFAULT_OPSET,
    passes: tuple[str, ...] = (),
    weights_key: str | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> ExportResult:
    """Export an OSNet checkpoint to ONNX.

    The graph has one input `images` and one output `embeddings` (N, D), and only the batch is dynamic.

    Args:
        checkpoint: a file of weights or an ONNX graph, see `osnet_edge.train.checkpoint.load_osnet`.
        output: the ONNX file to write.
        arch: name of the variant, or `auto`.
        placement: the placement of instance norm that the checkpoint must have; None accepts any.
        preprocessing: size and type of the input; the default is uint8 (N, 256, 128, 3) RGB.
        l2_normalize: whether the graph scales embeddings to length 1.
        opset: version of the ONNX operator set.
        passes: names of rewrite passes, as `osnet_edge.export.rewrite.passes.parse_rewrite` returns them.
        weights_key: the network to take from a checkpoint that holds several, see `load_osnet`.
        progress: called with a line for each step.

    Raises:
        InputError: the checkpoint or an option cannot be used; nothing is written.
        CheckError: the graph's embeddings differ from torch's; nothing is written.
    """
    if opset not in OPSETS:
        raise InputError(
            f"expected an opset from {OPSETS[0]} to {OPSETS[-1]}, got {opset}; 17 suits every engine"
        )
    if Path(output).exists() and Path(checkpoint).exists() and Path(output).samefile(checkpoint):
        raise InputError(f"{output} is the checkpoint itself; name another output")
    preprocessing = preprocessing or Preprocessing()
    progress("reading the checkpoint")
    model = load_osnet(checkpoint, arch, weights_key=weights_key, progress=progress)
    require_placement(placement, model.variant.placement, str(checkpoint))
    with write_aside(output) as partial:
        progress("exporting")
        rewritten = rewrite(fold_batch_norms(model), passes)
        network = ExportNetwork(rewritten, preprocessing, l2_normalize=l2_normalize).eval()
        graph = _simplify(_trace(network, preprocessing, opset, partial))
        _require_contract(graph, preprocessing, model.variant.embedding_size)
        progress("comparing with torch")
        error = check_parity(graph.SerializeToString(), model, preprocessing, l2_normalize=l2_normalize)
        info = GraphInfo(
            model=ModelInfo(
                variant=model.variant.name,
                embedding_size=model.variant.embedding_size,
                l2_normalized=l2_normalize,
                checkpoint=Path(checkpoint).name,
                checkpoint_sha256=sha256_of(checkpoint),
                placement=model.variant.placement,
                rewrite=passes,
            ),
            preprocessing=preprocessing,
            tools=tool_versions(),
        )
        onnx.helper.set_model_props(graph, {METADATA_KEY: dump_graph_info(info)})
        onnx.save(graph, partial)
        require_self_contained(partial)
    return ExportResult(Path(output), info, error, len(graph.graph.node))


def tool_versions() -> dict[str, str]:
    """Return the versions of the libraries that take part in an export."""
    names = ("osnet-edge", "torch", "onnx", "onnxsim")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _trace(network: ExportNetwork, preprocessing: Preprocessing, opset: int, path: Path) -> onnx.ModelProto:
    shape = (2, *preprocessing.input_shape)
    kind = torch.uint8 if preprocessing.normalize_in == "graph" else torch.float32
    with warnings.catch_warnings():
        # torch announces that its older exporter will go; its newer one writes no opset 17 and more nodes.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(shape, dtype=kind),),
            str(path),
            dynamo=False,
            opset_version=opset,
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamic_axes={INPUT_NAME: {0: "batch"}, OUTPUT_NAME: {0: "batch"}},
        )
    return onnx.load(path)


def _simplify(graph: onnx.ModelProto) -> onnx.ModelProto:
    simplified: onnx.ModelProto
    simplified, equal = onnxsim.simplify(graph)
    if not equal:
        raise CheckError(
            "onnxsim's graph differs from the exported one; nothing was written. Please report this"
        )
    onnx.checker.check_model(simplified, full_check=True)
    return simplified


def _require_contract(graph: onnx.ModelProto, preprocessing: Preprocessing, size: int) -> None:
    """Check that the graph has one input and one output, and that only the batch is dynamic."""
    expected = {
        INPUT_NAME: ["batch", *preprocessing.input_shape],
        OUTPUT_NAME: ["batch", size],
    }
    got = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.graph.input, *graph.graph.output)
    }
    norms = [node for node in graph.graph.node if node.op_type == "BatchNormalization"]
    if got != expected or norms:
        raise CheckError(
            f"expected {expected} and no batch norm, got {got} and {len(norms)}; nothing was written"
        )
