"""Graphs to quantise, with their tables, made once a process."""

from __future__ import annotations

import functools

import numpy as np
import onnx
from tensorrt_graphs import exported, pictures

from osnet_edge.engines.graph.reading import Graph
from osnet_edge.engines.graph.running import simulate
from osnet_edge.engines.quantization.table import CalibrationTable, make_table


@functools.cache
def graph_of(name: str) -> Graph:
    return Graph(onnx.load(exported(name)))


@functools.cache
def table_of(name: str) -> CalibrationTable:
    batches = [pictures(4)[:2], pictures(4)[2:]]
    names = {"graph_sha256": "g", "pictures_sha256": "p"}
    return make_table(graph_of(name), batches, **names, methods=("mse",))


def run(graph: Graph, batch: np.ndarray) -> np.ndarray:
    return simulate(graph, [batch])
