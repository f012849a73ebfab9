"""NVIDIA's Triton Inference Server: a model repository for its ONNX Runtime, TensorRT or OpenVINO backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from osnet_edge.integrate.consumers.base import Configuration, Consumer, Fault, Plan, Precision, readme
from osnet_edge.integrate.consumers.tensorrt import build_command
from osnet_edge.integrate.documents import read_text
from osnet_edge.integrate.graphs import FedGraph, bytes_graph
from osnet_edge.integrate.interface import Interface, interface_of
from osnet_edge.integrate.model_config import ModelConfig, TensorConfig, parse_model_config
from osnet_edge.integrate.pipeline import Pipeline, bytes_pipeline, normalized_pipeline
from osnet_edge.integrate.source import Source
from osnet_edge.integrate.values import LARGEST_SIDE
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.graph_info import INPUT_NAME, OUTPUT_NAME
from osnet_edge.runtime.preprocessing import Preprocessing

_DTYPES: dict[str, Any] = {"TYPE_UINT8": "uint8", "TYPE_FP32": "float32", "TYPE_FP16": "float16"}


@dataclass(frozen=True)
class Backend:
    """What runs the graph in a server.

    Attributes:
        name: as Triton calls it.
        suffix: of the consumer's spelling; empty for the usual one.
        file: of the model, in the folder of its version.
        kind: what it is put on.
        builds: whether the model's file has to be built from the graph first.
    """

    name: str
    suffix: str
    file: str
    kind: str
    builds: bool = False


BACKENDS = (
    Backend("onnxruntime", "", "model.onnx", "KIND_CPU"),
    Backend("openvino", ":openvino", "model.onnx", "KIND_CPU"),
    Backend("tensorrt", ":tensorrt", "model.plan", "KIND_GPU", builds=True),
)


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
    keys: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "input size": ("input.dims",),
        "layout": ("input.dims",),
        "input type": ("input.data_type",),
        "embedding size": ("output.dims",),
    }

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @property
    def spelling(self) -> str:
        """As `--for` takes it."""
        return f"{self.name}{self.backend.suffix}"

    def feed(self, source: Source) -> FedGraph:
        """Return the graph as it was exported, which takes bytes."""
        return bytes_graph(source.graph, source.info)

    def files(self, plan: Plan) -> dict[str, str]:
        """Return the repository's configuration, a client, and the page of instructions."""
        how = plan.source.info.preprocessing
        config = _CONFIG.format(
            backend=self.backend.name,
            file=self.backend.file,
            batch=plan.batch,
            input=INPUT_NAME,
            output=OUTPUT_NAME,
            height=how.height,
            width=how.width,
            size=plan.size,
            kind=self.backend.kind,
        )
        client = Path(__file__).with_name("triton_client.py.txt").read_text(encoding="utf-8")
        by_opencv = how.interpolation == "opencv-bilinear"
        blanks = {
            "@HEIGHT@": str(how.height),
            "@WIDTH@": str(how.width),
            "@IMPORT@": "import cv2\n" if by_opencv else "",
            "@RESIZE@": "cv2.resize(np.asarray(image), SIZE)"
            if by_opencv
            else "np.asarray(image.resize(SIZE, Image.BILINEAR))",
        }
        for blank, value in blanks.items():
            client = client.replace(blank, value)
        shape = (how.height, how.width, 3)
        built = build_command(plan, self.model, "models/osnet/1/model.plan", shape)
        more = f"{_BUILD}{built}\n" if self.backend.builds else ""
        opencv = " opencv-python" if by_opencv else ""
        page = readme(self, plan, backend=self.backend.name, build=more, opencv=opencv)
        return {self.config: config, "client.py": client, "README.md": page}

    def recognises(self, path: Path) -> bool:
        """Whether it is called `config.pbtxt`, as Triton calls for."""
        return path.suffix == ".pbtxt"

    def read(self, path: Path, size: int | None = None) -> Configuration:
        """Read the input and the first output; see `Consumer.read`."""
        config = parse_model_config(read_text(path), str(path))
        if config.is_ensemble:
            raise InputError(
                f"{path} is an ensemble of other models; check the config.pbtxt of the one with OSNet"
            )
        graph = _graph(path, config)
        shown = interface_of(graph) if graph else None
        inputs, outputs = config.tensors("input"), config.tensors("output")
        if len(inputs) > 1:
            raise InputError(f"{path}: expected one input, of images, found {len(inputs)}")
        pipeline = _pipeline(inputs[0] if inputs else TensorConfig("", "", ()), shown, path)
        # Which of several outputs is compared, no file says.
        dims = outputs[0].dims if len(outputs) == 1 else ()
        pipeline = replace(pipeline, size=dims[-1] if dims and dims[-1] > 0 else None)
        return Configuration(path, pipeline, graph, tuple(_faults(config, shown)))

    def corrected(self, path: Path, changes: Mapping[str, Any]) -> str:
        """Return the configuration with values changed; see `Consumer.corrected`."""
        return parse_model_config(read_text(path), str(path)).replace(changes)

    def assumed(self, read: Pipeline, how: Preprocessing) -> Pipeline:
        """Return what a graph expects that takes the type and the layout of the configuration."""
        usual = bytes_pipeline(how) if read.dtype == "uint8" else normalized_pipeline(how)
        return replace(usual, dtype=read.dtype, layout=read.layout)

    def settled(self, read: Pipeline, expected: Pipeline) -> Pipeline:
        """Return a pipeline normalised as the graph expects, and of its size where that is left free.

        Both are for the client to see to, which the configuration says nothing of.
        """
        return replace(
            read,
            height=read.height or expected.height,
            width=read.width or expected.width,
            scale=expected.scale,
            offsets=expected.offsets,
        )

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


def _graph(path: Path, config: ModelConfig) -> Path | None:
    """Return the ONNX file of the newest version, or the one beside its engine; None if there is none.

    An engine says nothing of itself here; the graph that it was built from may be beside it.
    """
    versions = [each for each in path.parent.iterdir() if each.name.isdecimal() and each.is_dir()]
    newest = max(versions, key=lambda each: int(each.name), default=path.parent / "1")
    graph = (newest / Path(config.file or "model.onnx").name).with_suffix(".onnx")
    return graph if graph.is_file() else None


def _pipeline(asked: TensorConfig, shown: Interface | None, path: Path) -> Pipeline:
    """Return what an input takes; what it leaves out, the server takes from the graph.

    A side that is left free, as in the graph, is 0.

    Raises:
        InputError: it takes no images.
    """
    shape = shown.shape[1:] if shown else ()
    # With the batch, which is a mistake of its own.
    dims = (asked.dims or shape)[-3:]
    if len(dims) != 3 or len(asked.dims) > 4 or max(dims) > LARGEST_SIDE:
        raise InputError(
            f"{path}: expected input.dims of an image, such as [256, 128, 3], got {list(asked.dims)}"
        )
    kind = asked.data_type or next(
        (key for key, each in _DTYPES.items() if shown and each == shown.dtype), ""
    )
    if kind not in _DTYPES:
        raise InputError(f"{path}: expected input.data_type {' or '.join(_DTYPES)}, got {kind or 'nothing'}")
    # Free in the configuration, but not in the graph: the server refuses it.
    shape = shape if len(shape) == len(dims) else dims
    fixed = [each < 1 and wanted > 0 for each, wanted in zip(dims, shape, strict=True)]
    sides = [-1 if wrong else max(0, each) for each, wrong in zip(dims, fixed, strict=True)]
    last = dims[2] == 3 and dims[0] != 3
    height, width = sides[:2] if last else sides[1:]
    return Pipeline(
        height=height,
        width=width,
        scale=(1, 1, 1),
        offsets=(0, 0, 0),
        layout="NHWC" if last else "NCHW",
        dtype=_DTYPES[kind],
    )


def _faults(config: ModelConfig, shown: Interface | None) -> list[Fault]:
    """Return mistakes that change no crop."""
    found = []
    for name, known in (("input", [shown.input]), ("output", shown.outputs)) if shown else ():
        for written in config.tensors(name)[:1]:
            if written.name not in known:
                why = "the server refuses to load a model whose tensors have other names"
                key = f"{name}.name"
                found.append(Fault((key,), written.name or "nothing", known[0], why, {key: known[0]}))
    for name, length in (("input", 4), ("output", 2)):
        for written in config.tensors(name)[:1]:
            if len(written.dims) == length:
                why = "with max_batch_size above 0, dims are those of one image; the server adds the batch"
                key, right = f"{name}.dims", list(written.dims[1:])
                found.append(Fault((key,), str(list(written.dims)), str(right), why, {key: right}))
    if config.max_batch_size < 1:
        why = "0 means that dims hold the batch, and that crops are not gathered into one"
        most = str(config.max_batch_size)
        found.append(Fault(("max_batch_size",), most, "32", why, {"max_batch_size": 32}))
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
_BUILD = """
First build the engine on the machine that serves it, with the TensorRT of its container:

"""
