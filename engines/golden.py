"""Golden pairs: a few images with their float32 embeddings; and where an engine differs from its graph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osnet_edge.engines.backends.base import Builder
from osnet_edge.engines.graph.reading import ExportedGraph, Graph
from osnet_edge.engines.graph.running import simulate, tensor_runner
from osnet_edge.engines.quantization.quantizer import Quantized
from osnet_edge.runtime.backends.base import Engine
from osnet_edge.runtime.backends.onnxruntime import OnnxRuntimeEngine
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.golden import hold_to_golden, normalize_rows, read_golden
from osnet_edge.runtime.package.manifest import Golden, Manifest
from osnet_edge.runtime.precisions import PRECISIONS, Precision
from osnet_edge.runtime.preprocessing import Picture, to_batch

GOLDEN_NAME = "golden.npz"


@dataclass(frozen=True)
class GoldenPairs:
    """Crops and what must become of them.

    Attributes:
        crops: uint8 (K, H, W, 3) RGB, of any size.
        batch: the same as the engine's input.
        embeddings: float32 (K, D), of length 1.
        limit: the mean-centred cosine distance that an engine's row may have.
    """

    crops: Picture
    batch: npt.NDArray[np.generic]
    embeddings: npt.NDArray[np.float32]
    limit: float

    def hold(self, engine: Engine, max_batch: int) -> float:
        """Compare an engine with the pairs, with at most `max_batch` images a call, and return its distance.

        Raises:
            CheckError: it computes something else.
        """
        parts = [engine.infer(self.batch[i : i + max_batch]) for i in range(0, len(self.batch), max_batch)]
        return hold_to_golden(np.concatenate(parts), self.embeddings, self.limit)


def make_golden(
    graph: ExportedGraph,
    crops: Picture,
    precision: Precision,
    quantized: Quantized | None = None,
) -> GoldenPairs:
    """Run a graph on a few images.

    Args:
        graph: the float32 graph.
        crops: uint8 (K, H, W, 3) RGB, of any size: their resizing is proven with the rest.
        precision: of the engine that will be compared with the pairs.
        quantized: for INT8, whose graph is run in place of the other, with every Q/DQ as written.

    Raises:
        InputError: fewer than two crops, which have no spread to compare with.
    """
    if len(crops) < 2:
        raise InputError(f"expected 2 golden crops or more, got {len(crops)}")
    info = graph.info
    batch = to_batch(list(crops), info.preprocessing)
    if quantized is None:
        rows = OnnxRuntimeEngine(graph.path, info.preprocessing, info.model.embedding_size).infer(batch)
    else:
        rows = simulate(quantized.make(), [batch])
    return GoldenPairs(crops, batch, normalize_rows(rows), PRECISIONS[precision].golden_distance)


def write_golden(pairs: GoldenPairs, folder: Path) -> Golden:
    """Write golden pairs to `golden.npz` in a folder, and return their entry in the manifest."""
    np.savez_compressed(folder / GOLDEN_NAME, crops=pairs.crops, embeddings=pairs.embeddings)
    return Golden(GOLDEN_NAME, pairs.limit)


def hold_as_written(package: Path, manifest: Manifest) -> float:
    """Compare a package's graph, with every Q/DQ computed as written, with its golden pairs.

    This verifies what can be verified without the engine's processor: its file and its resizing.

    Raises:
        CheckError: it computes something else.
    """
    crops, embeddings = read_golden(package, manifest)
    batch = to_batch(list(crops), manifest.preprocessing)
    rows = simulate(package / manifest.model_file, [batch])
    return hold_to_golden(rows, embeddings, manifest.golden.max_centred_distance)


#: What rounding makes of a tensor grows little from layer to layer. A kernel that cuts sums off shows at
#: once: on OSNet x0.25 and x1.0 by 7 and 9 % at the second tensor, where rounding leaves 0
#: (docs/PRECISION.md).
_LEAST, _JUMP = 0.05, 3


def first_difference(
    graph: Graph, builder: Builder, processor: str, batch: npt.NDArray[np.generic]
) -> str | None:
    """Return the first quantised tensor that an engine computes otherwise than its graph is written.

    Args:
        graph: with Q/DQ.
        builder: of the library that runs it.
        processor: the kind that it was built for, as in manifests.
        batch: a few images, as the engine's input.

    Returns:
        Its name, and by how much it differs, as a share of its length (the Euclidean norm); None where no
        tensor differs by a twentieth and by three times as much as all before it.
    """
    names = [
        node.output[0]
        for node in graph.nodes
        if node.op_type == "DequantizeLinear" and node.input[0] not in graph.initializers
    ]
    as_written = tensor_runner(graph, names)(batch)
    computed = builder.tensor_values(graph, names, processor, batch)
    worst = 0.0
    for name, got, expected in zip(names, computed, as_written, strict=True):
        difference = float(np.linalg.norm(got - expected) / max(float(np.linalg.norm(expected)), 1e-12))
        # Written so that NaN is found too.
        if not difference <= max(_LEAST, _JUMP * worst):
            return f"{name.removesuffix('_dequantized')} (by {difference:.0%})"
        worst = max(worst, difference)
    return None
