"""A CPU's candidate to an engine that can be timed, as its package would open it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx

from osnet_edge.engines.backends.registry import builder_of
from osnet_edge.engines.tuning.accuracy import Accuracy
from osnet_edge.engines.tuning.candidate import Candidate
from osnet_edge.runtime.backends.base import Engine
from osnet_edge.runtime.backends.openvino import compiled_sizes


def open_on_cpu(
    candidate: Candidate, accuracy: Accuracy, batches: Sequence[int], processor: str, scratch: Path
) -> Engine:
    """Open a CPU's candidate without a package.

    Args:
        candidate: to be opened.
        accuracy: has its graph.
        batches: batch sizes to run.
        processor: the kind that it is made for.
        scratch: a folder for its graph.

    Raises:
        OsnetEdgeError: it cannot be run here.
    """
    graph, best = accuracy.graphs[candidate.rewrite], candidate.best or max(batches)
    path = graph.path
    if candidate.quantized:
        path = scratch / "int8.onnx"
        onnx.save(accuracy.graph(candidate).model, path)
    sizes, builder = used_sizes(best, batches), builder_of(candidate.backend)
    return builder.open_graph(path, graph.info, candidate.precision, best, sizes, processor=processor)


def used_sizes(best: int, batches: Sequence[int]) -> tuple[int, ...]:
    """Return the batch sizes that an OpenVINO engine compiled for `best` runs these batches in, falling to 1.

    Example:
        >>> used_sizes(32, [1, 9])
        (8, 1)
    """
    used = {1}
    for batch in batches:
        left = batch
        for size in compiled_sizes(best):
            if left >= size:
                used.add(size)
                left %= size
    return tuple(sorted(used, reverse=True))
