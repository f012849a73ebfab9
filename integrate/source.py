"""What is plugged in: the network of a package or of an exported graph, and the embeddings it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from osnet_edge.engines.graph.reading import Graph, read_graph
from osnet_edge.engines.graph.running import open_graph
from osnet_edge.integrate.pipeline import Floats
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.errors import InputError, OsnetEdgeError
from osnet_edge.runtime.package.folder import open_package
from osnet_edge.runtime.package.golden import normalize_rows
from osnet_edge.runtime.package.graph_info import INPUT_NAME, OUTPUT_NAME, GraphInfo
from osnet_edge.runtime.package.manifest import BatchRange, Manifest
from osnet_edge.runtime.package.threshold import Threshold
from osnet_edge.runtime.preprocessing import Picture, to_batch

_BATCH = 32


@dataclass(frozen=True, eq=False)
class Source:
    """A network to be plugged in somewhere.

    Attributes:
        path: of its package or graph, as it was given.
        graph: what it computes, float32 or with Q/DQ.
        info: network and preprocessing.
        batch: batch sizes that the package takes; None for a graph, which takes any.
        embedder: the package's own, where it computes the graph in float32 on this machine's CPU; None where
            the graph, run as it is written, stands for it.
        threshold: that was measured on the package; None if none was.
    """

    path: Path
    graph: Graph
    info: GraphInfo
    batch: BatchRange | None = None
    embedder: Embedder | None = None
    threshold: Threshold | None = None

    @property
    def quantized(self) -> bool:
        """Whether the graph has Q/DQ."""
        return any(node.op_type == "QuantizeLinear" for node in self.graph.nodes)

    @cached_property
    def _session(self) -> Any:
        return open_graph(self.graph)

    def embed(self, crops: Sequence[Picture]) -> Floats:
        """Embed H x W x 3 uint8 RGB crops of any sizes: (N, D) float32, rows of length 1."""
        if self.embedder:
            return self.embedder(list(crops))
        how = self.info.preprocessing
        parts = [
            self._session.run([OUTPUT_NAME], {INPUT_NAME: to_batch(crops[start : start + _BATCH], how)})[0]
            for start in range(0, len(crops), _BATCH)
        ]
        return normalize_rows(np.concatenate(parts))


def open_source(path: Path | str) -> Source:
    """Open a package or a graph of `osnet-edge export`.

    Raises:
        InputError: it is neither, or a package that holds no graph but an engine for one kind of GPU.
    """
    path = Path(path)
    if not path.is_dir():
        graph = read_graph(path)
        return Source(path, graph, graph.info)
    manifest = open_package(path)
    file = path / manifest.model_file
    if file.suffix != ".onnx":
        raise InputError(
            f"expected a package with a graph in it, and {path} holds an engine for one kind of GPU; give "
            "the ONNX file that it was built from"
        )
    info = GraphInfo(manifest.model, manifest.preprocessing, manifest.tools)
    embedder = _embedder(path, manifest)
    return Source(path, Graph(onnx.load(file)), info, manifest.batch, embedder, manifest.threshold)


def _embedder(path: Path, manifest: Manifest) -> Embedder | None:
    """Return the embedder of a package in float32; others round, and their graph says what they should."""
    if manifest.precision != "fp32" or manifest.target.device != "cpu":
        return None
    try:
        return Embedder.load(path)
    except OsnetEdgeError:
        return None
