"""What the Q/DQ pairs of a graph stand at, counted: to hold a placement against another tool's."""

from __future__ import annotations

from collections import Counter

from onnx import ModelProto


def count_pairs(model: ModelProto) -> dict[str, int]:
    """Count a graph's Q/DQ, and the operators that read nothing else.

    Args:
        model: a graph with Q/DQ.

    Returns:
        How many QuantizeLinear and DequantizeLinear there are, `weights` of these that make weights of
        integers, and, as `Conv` and the like, operators all of whose inputs are dequantised, a bias aside.
    """
    constants = {each.name for each in model.graph.initializer}
    restored = {each.output[0] for each in model.graph.node if each.op_type == "DequantizeLinear"}
    found = Counter[str]()
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            found[node.op_type] += 1
            found["weights"] += node.op_type == "DequantizeLinear" and node.input[0] in constants
        elif {*node.input[:2]} <= restored:
            found[node.op_type] += 1
    return dict(sorted(found.items()))
