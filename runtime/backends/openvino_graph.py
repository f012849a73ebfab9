"""An OSNet graph arranged as OpenVINO's CPU kernels like it: the same operations in another order."""

from __future__ import annotations

from typing import Any

import numpy as np


def arrange(graph: Any) -> None:
    """Rearrange a graph of `osnet-edge export`; what looks otherwise is left alone.

    In float32 it computes what it did; in bf16 it rounds in other places, since other operations are fused.

    Args:
        graph: an `openvino.Model`, which is changed.
    """
    _compute_gates_once(graph)
    _subtract_mean_from_rows(graph)
    graph.validate_nodes_and_infer_types()


def _compute_gates_once(graph: Any) -> None:
    """Take the sigmoids of channel gates out of the kernels that scale whole maps by them.

    OpenVINO fuses a sigmoid with the product behind it, and then computes it anew for every pixel. It fuses
    nothing across a change of shape, which itself costs nothing.
    """
    from openvino import opset13 as ops

    for node in graph.get_ordered_ops():
        if node.get_type_name() != "Sigmoid":
            continue
        shape = node.get_output_partial_shape(0)
        if len(shape) == 4 and shape[2] == shape[3] == 1:
            gates = ops.sigmoid(ops.reshape(node.input_value(0), [0, -1], special_zero=True))
            node.output(0).replace(ops.reshape(gates, [0, -1, 1, 1], special_zero=True).output(0))


def _subtract_mean_from_rows(graph: Any) -> None:
    """Subtract the mean before channels come first, not after.

    OpenVINO computes with channels last, as a picture has them. With nothing but the convolution behind it
    the transposition is a matter of names; in front of the subtraction it is carried out, and undone again.
    The mean is repeated to a whole row of pixels, for a kernel that repeats three numbers is slow.
    """
    from openvino import opset13 as ops

    (picture,) = graph.get_parameters()
    nodes = [picture]
    for kind in ("Convert", "Transpose", "Subtract"):
        readers = list(nodes[-1].output(0).get_target_inputs())
        if len(readers) != 1 or readers[0].get_node().get_type_name() != kind:
            return
        nodes.append(readers[0].get_node())
    _, floats, transposed, centred = nodes
    mean, width = centred.input_value(1).get_node(), picture.get_partial_shape()[2]
    if mean.get_type_name() != "Constant" or mean.get_data().size != 3 or not width.is_static:
        return
    row = np.tile(mean.get_data().reshape(1, 1, 1, 3), (1, 1, width.get_length(), 1))
    rows = ops.subtract(floats, ops.constant(row))
    centred.output(0).replace(ops.transpose(rows, transposed.input_value(1)).output(0))
