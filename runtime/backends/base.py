"""What a backend gives: an engine, and what the input and output of its graph must be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.graph_info import INPUT_NAME, OUTPUT_NAME
from osnet_edge.runtime.preprocessing import Preprocessing


class Engine(Protocol):
    """A loaded engine; calls may come from several threads at once."""

    def infer(self, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        """Run one batch.

        Args:
            batch: (N, *preprocessing.input_shape), contiguous, uint8 or float32 as the manifest says, with
                batch.min <= N <= batch.max.

        Returns:
            Embeddings (N, embedding_size), as the network gives them.
        """


@runtime_checkable
class DeviceEngine(Engine, Protocol):
    """An engine on a GPU that also takes arrays from the GPU's memory, and may cut crops there.

    An array in the GPU's memory is one of torch, CuPy or another library with `__dlpack__` or
    `__cuda_array_interface__`; it is contiguous, and on the first GPU.
    """

    @property
    def crops_problem(self) -> str:
        """Why crops are not cut on the GPU, so that the next two cannot be called; empty where they are."""

    def infer_boxes(
        self, frame: object, boxes: NDArray[np.integer[Any]], *, bgr: bool
    ) -> NDArray[np.float32]:
        """Cut boxes out of a frame on the GPU, and run them.

        Args:
            frame: uint8 (H, W, 3), in the host's memory or in the GPU's.
            boxes: (N, 4) whole x1, y1, x2, y2 within the frame, each with a pixel, N > 0.
            bgr: whether the frame is blue-green-red.
        """

    def infer_crops(self, crops: Sequence[object], *, bgr: bool) -> NDArray[np.float32]:
        """Run crops that are in the GPU's memory, uint8 (H, W, 3) each, one or more."""


def check_tensors(
    model: Path,
    got: list[tuple[str, str, list[int]]],
    preprocessing: Preprocessing,
    embedding_size: int,
    *,
    byte: str,
    real: str,
) -> None:
    """Hold a graph's inputs and outputs to what its package says.

    Args:
        model: the graph's file, for the message.
        got: name, type and shape behind the batch of each input, then of each output, as the library says.
        preprocessing: what the input must look like.
        embedding_size: columns of the output.
        byte: what the library calls uint8.
        real: what it calls float32.

    Raises:
        InputError: they are others.
    """
    kind = byte if preprocessing.normalize_in == "graph" else real
    expected = [(INPUT_NAME, kind, list(preprocessing.input_shape)), (OUTPUT_NAME, real, [embedding_size])]
    if got != expected:
        raise InputError(f"{model}: expected {expected} behind the batch, got {got}; build it again")
