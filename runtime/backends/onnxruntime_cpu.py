"""ONNX Runtime on the CPU: the embedded default."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.preprocessing import Preprocessing

#: OSNet's tensors are small: past four threads, waiting for each other costs more than it brings.
MOST_THREADS = 4


class OnnxRuntimeEngine:
    """One ONNX Runtime session; its `run` may be called from several threads.

    Args:
        model: the ONNX file.
        preprocessing: what the graph's input must look like.
        threads: threads for one call; None takes the cores this process may use, four at most.

    Raises:
        InputError: the file is no ONNX graph of the expected input and output, or `threads` is below 1.
    """

    def __init__(self, model: Path, preprocessing: Preprocessing, threads: int | None = None) -> None:
        # Imported here so that `import osnet_edge.runtime` stays quick, and works without this backend.
        import onnxruntime

        if threads is not None and threads < 1:
            raise InputError(f"expected at least 1 thread, got {threads}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or default_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(model), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            # onnxruntime's exceptions have no common base of their own to catch.
            raise InputError(f"ONNX Runtime cannot load {model}: {str(error).splitlines()[0]}") from None
        self.threads = options.intra_op_num_threads
        expected = list(preprocessing.input_shape)
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].name != "images" or list(inputs[0].shape[1:]) != expected:
            shown = ", ".join(f"{item.name} {item.shape}" for item in inputs)
            raise InputError(f"{model}: expected one input, images of (N, {expected}), got {shown}")

    def infer(self, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        """Run (N, *input_shape), any N >= 1, to (N, D)."""
        embeddings: NDArray[np.float32] = self._session.run(["embeddings"], {"images": batch})[0]
        return embeddings


def default_threads() -> int:
    """Return the cores that this process may use (its affinity, as a container sets it), four at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_THREADS)
