"""NVIDIA's Triton Inference Server: a model repository for its ONNX Runtime, TensorRT or OpenVINO backend."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from osnet_edge.integrate.consumers.base import Configuration, Consumer, Fault, Plan, Precision, readme
from osnet_edge.integrate.consumers.model_config import ModelConfig, parse_model_config
from osnet_edge.integrate.graphs import FedGraph, bytes_graph
from osnet_edge.integrate.pipeline import Pipeline
from osnet_edge.integrate.source import Source
from osnet_edge.runtime.package.graph_info import INPUT_NAME, OUTPUT_NAME

_DTYPES: dict[str, Any] = {"TYPE_UINT8": "uint8", "TYPE_FP32": "float32"}


class Triton(Consumer):
    """A `config.pbtxt` in a model repository.

    The server does nothing to an image: it checks type and shape. So bytes go over the wire, a quarter of
    what floats would be, and the graph normalises.
    """

    name: ClassVar[str] = "triton"
    title: ClassVar[str] = "Triton Inference Server"
    version: ClassVar[str] = "Triton 2.40 (23.11) and later"
    config: ClassVar[str] = "models/osnet/config.pbtxt"
    model: ClassVar[str] = "models/osnet/1/model.onnx"
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32",)
    keeps_int8: ClassVar[bool] = True
    keys: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "input size": ("input.dims",),
        "layout": ("input.dims",),
        "input type": ("input.data_type",),
        "embedding size": ("output.dims",),
    }
    #: What runs the graph, and on what it is put.
    backends: ClassVar[Mapping[str, str]] = {
        "onnxruntime": "KIND_CPU",
        "openvino": "KIND_CPU",
        "tensorrt": "KIND_GPU",
    }

    def __init__(self, backend: str) -> None:
        self.backend = backend

    @property
    def spelling(self) -> str:
        """As `--for` takes it."""
        return self.name if self.backend == "onnxruntime" else f"{self.name}:{self.backend}"

    def feed(self, source: Source) -> FedGraph:
        """Return the graph as it was exported, which takes bytes."""
        return bytes_graph(source.graph, source.info)

    def files(self, plan: Plan) -> dict[str, str]:
        """Return the repository's configuration, a client, and the page of instructions."""
        how = plan.source.info.preprocessing
        config = _CONFIG.format(
            backend=self.backend,
            file="model.plan" if self.backend == "tensorrt" else "model.onnx",
            batch=plan.batch,
            input=INPUT_NAME,
            output=OUTPUT_NAME,
            height=how.height,
            width=how.width,
            size=plan.size,
            kind=self.backends[self.backend],
        )
        client = Path(__file__).with_name("triton_client.py.txt").read_text(encoding="utf-8")
        client = client.replace("@HEIGHT@", str(how.height)).replace("@WIDTH@", str(how.width))
        more = _PLAN.format(batch=plan.batch, height=how.height, width=how.width) if self._plan else ""
        page = readme(self, plan, backend=self.backend, build=more)
        return {self.config: config, "client.py": client, "README.md": page}

    @property
    def _plan(self) -> bool:
        return self.backend == "tensorrt"

    def recognises(self, path: Path) -> bool:
        """Whether it is called `config.pbtxt`, as Triton calls for."""
        return path.suffix == ".pbtxt"

    def read(self, path: Path, size: int | None = None) -> Configuration:
        """Read the first input and output; see `Consumer.read`."""
        config = parse_model_config(path.read_text(), str(path))
        dims = list(config.input_dims)
        order: Any = "NHWC" if dims[-1:] == [3] and dims[:1] != [3] else "NCHW"
        height, width = ((*dims, 0, 0)[:2]) if order == "NHWC" else (*dims, 0, 0, 0)[1:3]
        pipeline = Pipeline(
            height=height,
            width=width,
            scale=(1, 1, 1),
            offsets=(0, 0, 0),
            layout=order,
            dtype=_DTYPES.get(config.input_type, "float32"),
            size=config.output_dims[-1] if config.output_dims else None,
        )
        graph = path.parent / "1" / (config.file or "model.onnx")
        if graph.suffix != ".onnx":
            # An engine says nothing of itself here; the graph that it was built from may be beside it.
            graph = graph.with_suffix(".onnx")
        return Configuration(path, pipeline, graph if graph.is_file() else None, tuple(_faults(config)))

    def mended(self, path: Path, changes: Mapping[str, Any]) -> str:
        """Return the configuration with values changed; it is written anew, without its comments."""
        return parse_model_config(path.read_text(), str(path)).replace(changes)

    def graph_at(self, config: Path) -> Path:
        """Return the model's file in the folder of its version."""
        return config.parent / "1" / "model.onnx"

    def name_graph(self, graph: Path) -> dict[str, Any]:
        """Return the value that names a graph."""
        return {"default_model_filename": graph.name}

    def spell(self, pipeline: Pipeline, part: str) -> Any:
        """Return an attribute as the keys of `keys` write it."""
        sides = [pipeline.height, pipeline.width]
        dims = [*sides, 3] if pipeline.layout == "NHWC" else [3, *sides]
        kind = next(key for key, value in _DTYPES.items() if value == pipeline.dtype)
        return {
            "input size": [dims],
            "layout": [dims],
            "input type": [kind],
            "embedding size": [[pipeline.size]],
        }[part]


def _faults(config: ModelConfig) -> list[Fault]:
    """Return mistakes that change no crop."""
    found = []
    wanted = (
        ("input.name", config.input_name, INPUT_NAME),
        ("output.name", config.output_name, OUTPUT_NAME),
    )
    for key, name, needed in wanted:
        if name != needed:
            why = "the server refuses to load a model whose tensors have other names"
            found.append(Fault((key,), name or "nothing", needed, why, {key: needed}))
    if len(config.input_dims) == 4:
        why = "with max_batch_size above 0, dims are those of one image; the server adds the batch"
        right_dims = list(config.input_dims[1:])
        found.append(
            Fault(
                ("input.dims",),
                str(list(config.input_dims)),
                str(right_dims),
                why,
                {"input.dims": right_dims},
            )
        )
    if config.max_batch_size == 0:
        why = "0 means that dims hold the batch, and that crops are not gathered into one"
        found.append(Fault(("max_batch_size",), "0", "32", why, {"max_batch_size": 32}))
    return found


_CONFIG = """# Written by `osnet-edge integrate`.
name: "osnet"
# What runs the graph: onnxruntime, openvino or tensorrt.
backend: "{backend}"
# In the folder 1/, which is the model's version.
default_model_filename: "{file}"
# Crops at once. The dims below are those of one image: the server adds the batch.
max_batch_size: {batch}
input [
  {{
    name: "{input}"
    # Bytes, RGB: the graph subtracts the mean and divides by the std itself.
    data_type: TYPE_UINT8
    # Height, width, channels; crops are resized to it before they are sent.
    dims: [ {height}, {width}, 3 ]
  }}
]
output [
  {{
    name: "{output}"
    data_type: TYPE_FP32
    # Scale rows to length 1 before you compare them.
    dims: [ {size} ]
  }}
]
# Gathers the crops of several cameras into one batch.
dynamic_batching {{ }}
instance_group [
  {{
    count: 1
    kind: {kind}
  }}
]
"""
_PLAN = """
First build the engine on the machine that serves it, with the TensorRT of its container:

    trtexec --onnx={{model}} --saveEngine=models/osnet/1/model.plan \\
        --minShapes=images:1x{height}x{width}x3 --optShapes=images:{batch}x{height}x{width}x3 \\
        --maxShapes=images:{batch}x{height}x{width}x3
""".replace("{{model}}", "models/osnet/1/model.onnx")
