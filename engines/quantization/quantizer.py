"""One graph, its calibration table and an engine's rules: the INT8 graph for any choice of groups."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from osnet_edge.engines.graph.float16 import to_half
from osnet_edge.engines.graph.running import open_graph
from osnet_edge.engines.quantization.correction import correct_biases
from osnet_edge.engines.quantization.equalization import equalize
from osnet_edge.engines.quantization.layers import Layer, find_layers, groups_of
from osnet_edge.engines.quantization.qdq import insert_qdq
from osnet_edge.engines.quantization.ranges import Method
from osnet_edge.engines.quantization.rules import QdqRules
from osnet_edge.engines.quantization.table import CalibrationTable
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.graph_info import INPUT_NAME, OUTPUT_NAME

#: Whose ranges are used; the table has the others beside them.
METHOD: Method = "mse"


class Quantizer:
    """Makes INT8 graphs of one float32 graph.

    Args:
        model: the float32 graph.
        table: of this graph.
        rules: of the engine.

    Attributes:
        table: as given.
        groups: layers by the group that they are decided on with, of those the rules know.

    Raises:
        InputError: the table is another graph's.
    """

    def __init__(self, model: ModelProto, table: CalibrationTable, rules: QdqRules) -> None:
        layers = find_layers(model)
        read = [layer.input for layer in layers if layer.kind != "sum"]
        if missing := [name for name in read if name not in table.tensors]:
            raise InputError(
                f"the calibration table knows nothing of {missing[0]}: it was made for another graph; "
                "give the calibration set, and the table is made anew"
            )
        factors = {name: np.asarray(each.factors) for name, each in table.tensors.items() if each.factors}
        self._equalized = equalize(model, layers, factors)
        self.table, self._rules = table, rules
        self.groups = groups_of(tuple(filter(rules.allow, layers)))
        self._macs = sum(layer.macs for layer in layers)

    def macs_share(self, groups: Collection[str]) -> float:
        """Return the share of the network's multiply-accumulates that are in groups."""
        return sum(layer.macs for layer in self._layers(groups)) / self._macs

    def make(self, groups: Collection[str], *, half: bool = False) -> ModelProto:
        """Return the graph with groups in INT8.

        Args:
            groups: names, of `groups`.
            half: whether what is around them is float16 instead of float32.
        """
        layers = self._layers(groups)
        corrected = correct_biases(self._equalized, layers, self.table, self._rules, METHOD)
        around = to_half(corrected) if half else corrected
        return insert_qdq(around, layers, self.table, self._rules, METHOD)

    def _layers(self, groups: Collection[str]) -> tuple[Layer, ...]:
        return tuple(layer for name in self.groups if name in groups for layer in self.groups[name])


def simulate(
    model: ModelProto | Path, batches: Collection[npt.NDArray[np.generic]]
) -> npt.NDArray[np.float32]:
    """Return the embeddings of a Q/DQ graph, computed as it is written, for whatever engine it is.

    Args:
        model: a graph, or its file.
        batches: of its input.

    Returns:
        (N, D), one row for each picture.
    """
    session = open_graph(model)
    return np.concatenate([session.run([OUTPUT_NAME], {INPUT_NAME: batch})[0] for batch in batches])
