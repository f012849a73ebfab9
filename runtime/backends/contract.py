"""What a graph's input and output must be, whichever library reads the graph."""

from __future__ import annotations

from pathlib import Path

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.graph_info import INPUT_NAME, OUTPUT_NAME
from osnet_edge.runtime.preprocessing import Preprocessing


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
