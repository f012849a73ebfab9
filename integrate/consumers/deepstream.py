"""What DeepStream's two ways to run a network share: the numbers of their keys, and names of engine files."""

from __future__ import annotations

from typing import Any

COLORS: dict[int, Any] = {0: "RGB", 1: "BGR"}
ORDERS: dict[int, Any] = {0: "NCHW", 1: "NHWC"}


def engine_name(model: str, batch: int, precision: str) -> str:
    """Return how DeepStream calls the engine that it builds of an ONNX file, so that it finds it again."""
    return f"{model}_b{batch}_gpu0_{precision}.engine"
