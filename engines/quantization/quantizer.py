"""One graph, its calibration table and an engine's rules: the INT8 graph for any choice of groups."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from osnet_edge.engines.graph.float16 import to_half
from osnet_edge.engines.graph.layers import Layer, groups_of
from osnet_edge.engines.graph.reading import Graph
from osnet_edge.engines.quantization.correction import correct_biases
from osnet_edge.engines.quantization.equalization import equalize
from osnet_edge.engines.quantization.qdq import insert_qdq
from osnet_edge.engines.quantization.ranges import Method
from osnet_edge.engines.quantization.rules import QdqRules
from osnet_edge.engines.quantization.table import CalibrationTable
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.decisions import Int8
from osnet_edge.runtime.package.graph_info import OUTPUT_NAME

#: Whose ranges are used; the table has the others beside them.
METHOD: Method = "mse"


class Quantizer:
    """Makes INT8 graphs of one float32 graph.

    Args:
        graph: the float32 graph.
        table: of this graph.
        rules: of the engine.

    Attributes:
        table: as given.
        groups: layers by the group that they are decided on with, of those the rules know.

    Raises:
        InputError: the table is another graph's.
    """

    def __init__(self, graph: Graph, table: CalibrationTable, rules: QdqRules) -> None:
        read = [layer.input for layer in graph.layers if layer.kind != "sum"]
        # A table from before it was wanted has no range of the embedding.
        read += [OUTPUT_NAME] * rules.throughout
        if missing := [name for name in read if name not in table.tensors]:
            raise InputError(
                f"the calibration table knows nothing of {missing[0]}: it was made for another graph; "
                "give the calibration set, and the table is made again"
            )
        factors = {name: np.asarray(each.factors) for name, each in table.tensors.items() if each.factors}
        self._equalized = equalize(graph, factors)
        self.table, self._rules = table, rules
        self.groups = groups_of(tuple(filter(rules.allow, graph.layers)))
        self._macs = sum(layer.macs for layer in graph.layers)

    def macs_share(self, groups: Collection[str]) -> float:
        """Return the share of the network's multiply-accumulates that are in groups."""
        return sum(layer.macs for layer in self._layers(groups)) / self._macs

    def make(self, groups: Collection[str], *, half: bool = False) -> Graph:
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


@dataclass(frozen=True, eq=False)
class Quantized:
    """INT8 of one graph for one engine, its groups chosen.

    Attributes:
        quantizer: makes the graph.
        groups: those in INT8; none where none is within the budget.
    """

    quantizer: Quantizer
    groups: tuple[str, ...]
    _made: dict[bool, Graph] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def decided(cls, quantizer: Quantizer, decision: Int8) -> Quantized:
        """Take the groups that a decision has in INT8."""
        return cls(quantizer, tuple(each.group for each in decision.groups if each.int8))

    @property
    def whole(self) -> bool:
        """Whether all groups are in INT8."""
        return len(self.groups) == len(self.quantizer.groups)

    def make(self, *, half: bool = False) -> Graph:
        """Return the graph, what is around INT8 in float16 instead of float32 with `half`."""
        if half not in self._made:
            self._made[half] = self.quantizer.make(self.groups, half=half)
        return self._made[half]
