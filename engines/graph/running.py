"""A graph run over images in ONNX Runtime, for what a build measures of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import helper

from osnet_edge.engines.graph.reading import Graph
from osnet_edge.runtime.backends.onnxruntime import default_threads
from osnet_edge.runtime.package.graph_info import INPUT_NAME, OUTPUT_NAME
from osnet_edge.runtime.preprocessing import Picture, Preprocessing, to_batch


def open_graph(graph: Graph | Path) -> Any:
    """Open a graph, or its file, in a session that computes every Q/DQ in it as it is written.

    No kernel of integers takes part, whose sums may saturate on processors without VNNI.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = default_threads()
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    source = str(graph) if isinstance(graph, Path) else graph.model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def expose(graph: Graph, names: Sequence[str]) -> Graph:
    """Return a copy of a graph that gives the tensors of these names too, in order, behind its outputs."""
    exposed = graph.copy()
    known = {output.name for output in exposed.graph.output}
    exposed.graph.output.extend(
        helper.make_empty_tensor_value_info(name) for name in names if name not in known
    )
    return Graph(exposed)


def tensor_runner(
    graph: Graph, names: Sequence[str]
) -> Callable[[npt.NDArray[np.generic]], list[npt.NDArray[np.float32]]]:
    """Return what runs a batch through a float32 graph, and gives the tensors of these names, in order."""
    session = open_graph(expose(graph, names))
    return lambda batch: session.run(names, {INPUT_NAME: batch})


def batches_of(
    crops: Iterable[Picture], preprocessing: Preprocessing, size: int
) -> Iterator[npt.NDArray[np.generic]]:
    """Yield (H, W, 3) uint8 RGB crops of any sizes as a graph's input, `size` at a time."""
    left = iter(crops)
    while some := list(islice(left, size)):
        yield to_batch(some, preprocessing)


def simulate(graph: Graph | Path, batches: Iterable[npt.NDArray[np.generic]]) -> npt.NDArray[np.float32]:
    """Return the embeddings of a graph with every Q/DQ computed as it is written, for whatever engine it is.

    Args:
        graph: a graph, or its file.
        batches: of its input.

    Returns:
        (N, D), one row for each image.
    """
    session = open_graph(graph)
    return np.concatenate([session.run([OUTPUT_NAME], {INPUT_NAME: batch})[0] for batch in batches])
