"""Golden pairs: a few pictures and what the float32 network makes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from onnx import ModelProto

from osnet_edge.engines.graph import ExportedGraph
from osnet_edge.engines.quantization.quantizer import simulate
from osnet_edge.runtime.backends.onnxruntime_cpu import OnnxRuntimeEngine
from osnet_edge.runtime.embedder import normalize_rows
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.manifest import Golden, Precision
from osnet_edge.runtime.preprocessing import Picture, to_batch

GOLDEN_NAME = "golden.npz"
#: Mean-centred cosine distance that an engine of each precision stays well under on pictures of people.
#: Rounding gives 1e-7 in float32 and 3e-5 in float16, and mirrored pictures 1e-2. In bfloat16, whose 8 bits
#: are 3 fewer than float16's, it gives 8e-3 (the worst golden row of the published x0_25, x0_5 and x1_0; 2e-2
#: is the worst of 64 other crops), so that its limit tells an engine ruined from one that is rounded (colours
#: swapped or normalising twice give 0.7, pictures upside down 0.5), but not a picture mirrored: preparing
#: pictures is the runtime's in every precision, and a float32 package of the same graph proves it. INT8 is
#: held to its own graph as written, from which engines differ by rounding alone (1e-2 with bf16 around), and
#: to float32 by mAP on people: what INT8 costs cannot be read off a distance.
_LIMITS: dict[Precision, float] = {"fp32": 1e-5, "fp16": 1e-3, "bf16": 3e-2, "int8": 1e-1}


def write_golden(
    graph: ExportedGraph,
    folder: Path,
    crops: Picture,
    precision: Precision,
    quantize: Callable[[bool], ModelProto] | None = None,
) -> Golden:
    """Run a graph on a few pictures, and write both to `golden.npz` in `folder`.

    Args:
        graph: the float32 graph.
        folder: the package being made.
        crops: uint8 (K, H, W, 3) RGB, of any size: their resizing is proven with the rest.
        precision: of the engine that will be held to the pairs.
        quantize: for INT8, makes the graph with Q/DQ, run in place of the other with each of them as written.

    Raises:
        InputError: fewer than two crops, which have no spread to compare with.
    """
    if len(crops) < 2:
        raise InputError(f"expected 2 golden crops or more, got {len(crops)}")
    info = graph.info
    batch = to_batch(list(crops), info.preprocessing)
    if quantize is None:
        rows = OnnxRuntimeEngine(graph.path, info.preprocessing, info.model.embedding_size).infer(batch)
    else:
        rows = simulate(quantize(False), [batch])
    embeddings = normalize_rows(rows)
    np.savez_compressed(folder / GOLDEN_NAME, crops=crops, embeddings=embeddings)
    return Golden(GOLDEN_NAME, _LIMITS[precision])
