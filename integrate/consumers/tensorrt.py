"""Engines that users build with TensorRT's own program, where a consumer's builder takes no such graph."""

from __future__ import annotations

from osnet_edge.integrate.consumers.base import Plan
from osnet_edge.runtime.package.graph_info import INPUT_NAME


def build_command(plan: Plan, model: str, engine: str, shape: tuple[int, int, int]) -> str:
    """Return the command that builds an engine, indented as a page has it.

    Q/DQ make TensorRT compute in the types that the graph is written in, which TensorRT 11 does always, and
    TensorRT 10 if it is told to.

    Args:
        plan: batch size, and whether the graph has Q/DQ.
        model: file of the graph.
        engine: file to write.
        shape: of one image, as the graph takes it.
    """
    image = "x".join(map(str, shape))
    typed = " --stronglyTyped" if plan.source.quantized else ""
    shapes = {"min": 1, "opt": plan.batch, "max": plan.batch}
    given = [f"--{name}Shapes={INPUT_NAME}:{count}x{image}" for name, count in shapes.items()]
    return (
        f"    trtexec --onnx={model}{typed} --saveEngine={engine} \\\n"
        f"        {given[0]} {given[1]} \\\n        {given[2]}"
    )
