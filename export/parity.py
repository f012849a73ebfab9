"""Comparison of the exported graph with torch, on images of people and at several batch sizes."""

from __future__ import annotations

import numpy as np
import torch

from osnet_edge.runtime.errors import CheckError, InputError
from osnet_edge.runtime.package.golden import normalize_rows
from osnet_edge.runtime.package.graph_info import INPUT_NAME, OUTPUT_NAME
from osnet_edge.runtime.preprocessing import Preprocessing, normalize
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.synthetic import sample_crops

#: One, a few, and a number that no tuned kernel divides.
BATCHES = (1, 2, 7)
#: Largest relative error of a row that passes for rounding in float32.
TOLERANCE = 1e-4


def check_parity(graph: bytes, model: OSNet, preprocessing: Preprocessing, *, l2_normalize: bool) -> float:
    """Compare a graph in ONNX Runtime with its original model in torch, whose batch norms are not folded.

    Images for torch are normalised by the runtime's own code, so a graph that normalises twice, or not at
    all, is found too.

    Args:
        graph: the ONNX file's bytes.
        model: the network as it was loaded.
        preprocessing: the graph's input.
        l2_normalize: whether the graph scales embeddings to length 1.

    Returns:
        The largest relative error of a row, over all batches: |graph - torch| / |torch|.

    Raises:
        CheckError: the error is above `TOLERANCE`.
        InputError: the network's embeddings are zero, NaN or infinite.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    crops = sample_crops(sum(BATCHES), preprocessing.height, preprocessing.width, seed=0)
    worst = 0.0
    for batch in np.split(crops, np.cumsum(BATCHES)[:-1]):
        floats = normalize(batch, preprocessing)
        with torch.inference_mode():
            expected = model.eval()(torch.from_numpy(floats)).numpy()
        if l2_normalize:
            expected = normalize_rows(expected)
        images = batch if preprocessing.normalize_in == "graph" else floats
        got = session.run([OUTPUT_NAME], {INPUT_NAME: images})[0]
        with np.errstate(all="ignore"):
            errors = np.linalg.norm(got - expected, axis=1) / np.linalg.norm(expected, axis=1)
        # NaN, which no comparison holds against it, comes from weights that overflow or embed nothing.
        if not np.isfinite(errors).all():
            raise InputError("these weights give embeddings that are zero or no numbers; nothing was written")
        worst = max(worst, float(errors.max()))
        if worst > TOLERANCE:
            raise CheckError(
                f"the exported graph differs from torch by {worst:.2g} relative at batch {len(batch)}, over "
                f"{TOLERANCE:g}; nothing was written. Please report this with the checkpoint's variant"
            )
    return worst
