"""Bias correction: what quantising does to the mean of a layer's output goes back into its bias.

Source: Nagel et al., "Data-free quantization through weight equalization and bias correction" (2019), section
4.2, with means from calibration images in place of batch norms.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from onnx import numpy_helper

from osnet_edge.engines.graph.layers import Layer
from osnet_edge.engines.graph.reading import Graph
from osnet_edge.engines.quantization.ranges import Method, quantize_weights
from osnet_edge.engines.quantization.rules import QdqRules
from osnet_edge.engines.quantization.table import CalibrationTable, levels_for, range_key

Array = npt.NDArray[np.float64]


def correct_biases(
    graph: Graph, layers: Sequence[Layer], table: CalibrationTable, rules: QdqRules, method: Method
) -> Graph:
    """Return a copy with the biases of layers corrected; a 1x1 in front of a depthwise 3x3 gains one.

    It is exact for 1x1 convolutions and the linear layer, and for others but at the image's border.

    Args:
        graph: the equalised float32 graph.
        layers: those that will be quantised.
        table: of this graph.
        rules: of the engine.
        method: whose ranges will be used.
    """
    copy = graph.copy()
    nodes = {node.name: node for node in copy.graph.node}
    for layer in layers:
        if layer.kind == "sum" or layer.input not in table.tensors:
            continue
        tensor = table.tensors[layer.input]
        key = range_key(method, levels_for(tensor.signed, rules.activations))
        weights = numpy_helper.to_array(graph.initializers[layer.weight]).astype(np.float64)
        integers, scales = quantize_weights(weights, bits=rules.weight_bits, one_scale=rules.one_weight_scale)
        rounded = integers * scales.reshape([-1] + [1] * (weights.ndim - 1))
        mean, moved = np.asarray(tensor.mean), np.asarray(tensor.shifts[key])
        # What comes out for W x + b is W' x' + b': their means differ by (W' - W) x + W' (x' - x).
        drift = _apply(rounded - weights, mean, layer) + _apply(rounded, moved, layer)
        node = nodes[layer.node]
        bias = numpy_helper.to_array(graph.initializers[node.input[2]]) if len(node.input) > 2 else 0.0
        name = f"{layer.output}_corrected_bias"
        corrected = (bias - drift).astype(np.float32)
        copy.graph.initializer.append(numpy_helper.from_array(corrected, name))
        if len(node.input) > 2:
            node.input[2] = name
        else:
            node.input.append(name)
    return Graph(copy)


def _apply(weights: Array, means: Array, layer: Layer) -> Array:
    """Return what a layer of (O, I, ...) weights makes of an input that is (C,) `means` everywhere."""
    taps = weights.reshape(*weights.shape[:2], -1).sum(axis=2)
    rows = means.reshape(layer.groups, -1).repeat(len(taps) // layer.groups, axis=0)
    made: Array = (taps * rows).sum(axis=1)
    return made
