"""What DeepStream's two ways to run a network share: the numbers of their keys, and names of engine files."""

from __future__ import annotations

from textwrap import indent
from typing import Any

from osnet_edge.integrate.consumers.base import Plan
from osnet_edge.integrate.consumers.tensorrt import build_command

COLORS: dict[int, Any] = {0: "RGB", 1: "BGR"}
ORDERS: dict[int, Any] = {0: "NCHW", 1: "NHWC"}


def engine_name(model: str, batch: int, precision: str) -> str:
    """Return how DeepStream calls the engine that it builds of an ONNX file, so that it finds it again."""
    return f"{model}_b{batch}_gpu0_{precision}.engine"


def start(plan: Plan, model: str) -> str:
    """Return what a page says of the first start: who builds the engine, and how.

    Args:
        plan: what the page is written for.
        model: file of the graph.
    """
    if not plan.source.quantized:
        return (
            f"The first start builds the engine ({plan.computes}), which takes minutes, and keeps it beside "
            "the graph."
        )
    how = plan.source.info.preprocessing
    engine = engine_name(model, plan.batch, plan.computes)
    command = build_command(plan, model, engine, (3, how.height, how.width))
    return (
        "Build the engine (int8) beside the graph, on the device, with the TensorRT of its DeepStream. The\n"
        "   graph has Q/DQ, for which there is no key; an engine that is there is loaded:\n\n"
        f"{indent(command, '    ')}"
    )
