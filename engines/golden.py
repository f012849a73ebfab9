"""Golden pairs: a few pictures and what the float32 network makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from osnet_edge.runtime.backends.onnxruntime_cpu import OnnxRuntimeEngine
from osnet_edge.runtime.embedder import normalize_rows
from osnet_edge.runtime.manifest import Golden, Precision
from osnet_edge.runtime.preprocessing import Picture, Preprocessing, to_batch

GOLDEN_NAME = "golden.npz"
#: Cosine distance that an engine of each precision stays well under on pictures of people.
_LIMITS: dict[Precision, float] = {"fp32": 1e-4, "fp16": 1e-3}


def write_golden(
    graph: Path, folder: Path, crops: Picture, preprocessing: Preprocessing, precision: Precision
) -> Golden:
    """Run a float32 graph on a few pictures, and write both to `golden.npz` in `folder`.

    Args:
        graph: the exported ONNX file.
        folder: the package being made.
        crops: uint8 (K, H, W, 3) RGB, of any size: their resizing is proven with the rest.
        preprocessing: of the graph.
        precision: of the engine that will be held to the pairs.
    """
    engine = OnnxRuntimeEngine(graph, preprocessing)
    embeddings = normalize_rows(engine.infer(to_batch(list(crops), preprocessing)))
    np.savez_compressed(folder / GOLDEN_NAME, crops=crops, embeddings=embeddings)
    return Golden(GOLDEN_NAME, _LIMITS[precision])
