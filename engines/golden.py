"""Golden pairs: a few pictures and what the float32 network makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from osnet_edge.runtime.backends.onnxruntime_cpu import OnnxRuntimeEngine
from osnet_edge.runtime.embedder import normalize_rows
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.graph_info import GraphInfo
from osnet_edge.runtime.manifest import Golden, Precision
from osnet_edge.runtime.preprocessing import Picture, to_batch

GOLDEN_NAME = "golden.npz"
#: Mean-centred cosine distance that an engine of each precision stays well under on pictures of people:
#: rounding gives 1e-9 in float32 and 3e-5 in float16, mirrored pictures or normalising twice 1e-2 and more.
_LIMITS: dict[Precision, float] = {"fp32": 1e-5, "fp16": 1e-3}


def write_golden(graph: Path, folder: Path, crops: Picture, info: GraphInfo, precision: Precision) -> Golden:
    """Run a float32 graph on a few pictures, and write both to `golden.npz` in `folder`.

    Args:
        graph: the exported ONNX file.
        folder: the package being made.
        crops: uint8 (K, H, W, 3) RGB, of any size: their resizing is proven with the rest.
        info: what the graph says of itself.
        precision: of the engine that will be held to the pairs.

    Raises:
        InputError: fewer than two crops, which have no spread to compare with.
    """
    if len(crops) < 2:
        raise InputError(f"expected 2 golden crops or more, got {len(crops)}")
    engine = OnnxRuntimeEngine(graph, info.preprocessing, info.model.embedding_size)
    embeddings = normalize_rows(engine.infer(to_batch(list(crops), info.preprocessing)))
    np.savez_compressed(folder / GOLDEN_NAME, crops=crops, embeddings=embeddings)
    return Golden(GOLDEN_NAME, _LIMITS[precision])
