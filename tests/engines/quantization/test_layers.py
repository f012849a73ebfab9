"""Layers of a graph, and the groups that they are decided on in."""

from __future__ import annotations

from collections import Counter

import pytest

from osnet_edge.engines.graph.layers import groups_of
from osnet_edge.engines.quantization.quantizer import Quantizer
from osnet_edge.engines.quantization.rules import OPENVINO
from osnet_edge.runtime.errors import InputError
from quantization.graphs import graph_of, table_of


def test_layers_of_osnet_are_told_by_kind_and_group() -> None:
    layers = graph_of("osnet_x1_0").layers
    # Counts of the published network: ../shared/facts/tensorrt.md, section 3.
    assert Counter(layer.kind for layer in layers) == {
        "stem": 1,
        "pointwise": 78,
        "depthwise": 60,
        "gate": 48,
        "fc": 1,
        "sum": 6,
    }
    # Table 1 of the paper counts 978.9 million at 256x128; this graph is a quarter of the size.
    assert sum(layer.macs for layer in layers) == pytest.approx(978.9e6 / 4, rel=0.01)
    groups = groups_of(layers)
    assert len(groups["gates"]) == 48
    assert {"stem", "conv2.0 pointwise", "conv4.1 depthwise", "conv5 pointwise", "fc", "sums"} <= set(groups)


def test_a_graph_with_pairs_in_it_is_refused() -> None:
    quantizer = Quantizer(graph_of("osnet_x0_25"), table_of("osnet_x0_25"), OPENVINO)
    with pytest.raises(InputError, match="got one with Q/DQ in it"):
        _ = quantizer.make(quantizer.groups).layers
