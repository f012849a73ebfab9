"""Graphs, images and manifests for the TensorRT tests: small and seeded."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import onnx
from networks import network
from onnx import TensorProto, helper, numpy_helper

from osnet_edge.runtime.package.manifest import BatchRange, FileEntry, Golden, Manifest, ModelInfo, Target
from osnet_edge.runtime.preprocessing import Preprocessing

HEIGHT, WIDTH = 128, 64


def exported(name: str) -> Path:
    """A public variant with random weights, as a float32 graph from bytes to embeddings."""
    return network(name) / "osnet.onnx"


def tiny_graph(
    weight: float = 0.1, *, batch: str | int = "batch", norm: bool = False, operator: str = "Relu"
) -> onnx.ModelProto:
    """Bytes (N, 8, 8, 3), less a mean, through one convolution to four numbers: it builds in a blink."""
    rng = np.random.default_rng(0)
    kernel = rng.normal(0, 0.1, (4, 3, 3, 3)).astype(np.float32)
    kernel[0, 0, 0, 0] = weight
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["planes", "mean"], ["centred"]),
        helper.make_node("Conv", ["centred", "kernel"], ["map"], pads=[1, 1, 1, 1]),
        helper.make_node("InstanceNormalization", ["map", "ones", "ones"], ["normed"])
        if norm
        else helper.make_node("Mul", ["map", "ones4"], ["normed"]),
        helper.make_node(operator, ["normed"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["embeddings"]),
    ]
    constants = {
        "mean": np.full((1, 3, 1, 1), 120.5, np.float32),
        "kernel": kernel,
        "ones": np.ones(4, np.float32),
        "ones4": np.ones((1, 4, 1, 1), np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [batch, 8, 8, 3])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, [batch, 4])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def pictures(count: int, height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> np.ndarray:
    """Smooth coloured bands with a little grain, as people are; noise would make all rows alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (count, 5, 3, 3))
    rows = np.linspace(0, 4, height)
    columns = np.linspace(0, 2, width)
    top, left = np.minimum(rows.astype(int), 3), np.minimum(columns.astype(int), 1)
    down, right = (rows - top)[None, :, None, None], (columns - left)[None, None, :, None]
    upper = coarse[:, top][:, :, left] * (1 - right) + coarse[:, top][:, :, left + 1] * right
    lower = coarse[:, top + 1][:, :, left] * (1 - right) + coarse[:, top + 1][:, :, left + 1] * right
    grain = rng.normal(0, 4, (count, height, width, 3))
    return np.clip(upper * (1 - down) + lower * down + grain, 0, 255).astype(np.uint8)


def cosine_distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Of rows, less the mean of all rows: what they share would hide any error."""
    mean = right.mean(axis=0)
    left, right = left - mean, right - mean
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return 1 - np.sum(left * right, axis=1) / lengths


def manifest_for(target: Target, batch: BatchRange, *, size: int, height: int, width: int) -> Manifest:
    """A manifest around a plan called model.plan."""
    entry = FileEntry("0" * 64, 1)
    return Manifest(
        schema_version=1,
        model=ModelInfo("osnet_x0_25", size, False, "random", "0" * 64),
        preprocessing=Preprocessing(height=max(height, 32), width=max(width, 32)),
        precision="fp32",
        batch=batch,
        target=target,
        model_file="model.plan",
        onnx_sha256="0" * 64,
        files={"model.plan": entry, "golden.npz": entry},
        golden=Golden("golden.npz", 1e-3),
    )


def rtx_target(version: str = "1.7.1.116", capabilities: tuple[str, ...] = ("8.6",)) -> Target:
    """What a TensorRT-RTX plan of the tests is for."""
    return Target("tensorrt_rtx", version, "cuda", platform.machine(), capabilities, True)
