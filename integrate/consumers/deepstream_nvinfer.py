"""DeepStream's Gst-nvinfer as a secondary engine: an embedding for each object that a detector found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from osnet_edge.integrate.consumers.base import (
    Configuration,
    Consumer,
    Fault,
    Plan,
    Precision,
    Setting,
    numbers,
    readme,
)
from osnet_edge.integrate.consumers.deepstream import COLORS, ORDERS, engine_name
from osnet_edge.integrate.documents import named_file, open_document, read_text
from osnet_edge.integrate.graphs import FedGraph, planes_graph
from osnet_edge.integrate.interface import interface_of
from osnet_edge.integrate.pipeline import Layout, Pipeline
from osnet_edge.integrate.source import Source
from osnet_edge.integrate.values import choice, flag, image_size, number, section, triple, whole
from osnet_edge.runtime.errors import InputError

#: The plugin's own values for keys that are left out ("Gst-nvinfer", file configuration).
DEFAULTS = {
    "net-scale-factor": "1.0",
    "offsets": "0;0;0",
    "model-color-format": "0",
    "network-input-order": "0",
    "maintain-aspect-ratio": "0",
    "scaling-filter": "0",
    "network-mode": "0",
    "network-type": "0",
    "process-mode": "1",
    "output-tensor-meta": "0",
    "strongly-typed": "0",
}
_PRECISIONS = {0: "FP32", 1: "INT8", 2: "FP16"}
_FILTERS: dict[int, Any] = {0: "nearest", **dict.fromkeys(range(1, 6), "bilinear")}


class DeepStreamNvinfer(Consumer):
    """The section `[property]` of a key file."""

    name: ClassVar[str] = "deepstream-nvinfer"
    title: ClassVar[str] = "DeepStream's Gst-nvinfer, as a secondary engine"
    version: ClassVar[str] = "DeepStream 7.1 to 9.1; strongly-typed from 9.1 on"
    config: ClassVar[str] = "config_infer_osnet.txt"
    precisions: ClassVar[tuple[Precision, ...]] = ("fp16", "fp32", "fp16-typed")
    keys: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "input size": ("property.infer-dims",),
        "normalisation": ("property.net-scale-factor", "property.offsets"),
        "colour order": ("property.model-color-format",),
        "layout": ("property.network-input-order", "property.infer-dims"),
        "aspect ratio": ("property.maintain-aspect-ratio",),
        "resize filter": ("property.scaling-filter",),
    }

    def feed(self, source: Source) -> FedGraph:
        """Return the graph that takes planes, Q/DQ and all."""
        return planes_graph(source.graph, source.info)

    def files(self, plan: Plan) -> dict[str, str]:
        """Return the key file, and the page of instructions."""
        lines = [f"# {each.why}\n{each.key}={each.value}" for each in _settings(plan)]
        text = "# Written by `osnet-edge integrate`.\n[property]\n" + "\n".join(lines) + "\n"
        return {self.config: text, "README.md": readme(self, plan)}

    def recognises(self, path: Path) -> bool:
        """Whether it is a key file, or YAML, with a section `property`."""
        # Most other texts are no key files, and what is wrong with them as such is not to be told.
        return "property" in read_text(path) and "property" in open_document(path).load()

    def read(self, path: Path, size: int | None = None) -> Configuration:
        """Read the section `property`; see `Consumer.read`."""
        values = {**DEFAULTS, **section(open_document(path).load(), "property")}
        order = choice(values["network-input-order"], ORDERS, "network-input-order")
        graph = named_file(values.get("onnx-file"), path)
        height, width = _size(path, values.get("infer-dims"), order, graph)
        scale = number(values["net-scale-factor"], "net-scale-factor")
        pipeline = Pipeline(
            height=height,
            width=width,
            scale=(scale, scale, scale),
            offsets=triple(values["offsets"], "offsets"),
            color=choice(values["model-color-format"], COLORS, "model-color-format"),
            layout=order,
            keep_aspect=flag(values["maintain-aspect-ratio"], "maintain-aspect-ratio"),
            filter=choice(values["scaling-filter"], _FILTERS, "scaling-filter"),
        )
        return Configuration(path, pipeline, graph, tuple(_faults(values)))

    def name_graph(self, graph: Path) -> dict[str, Any]:
        """Return the values that name a graph beside the configuration."""
        return {"property.onnx-file": graph.name, "property.model-engine-file": f"{graph.name}.engine"}

    def spell(self, pipeline: Pipeline, part: str) -> Any:
        """Return an attribute as the keys of `keys` write it."""
        dims = f"3;{pipeline.height};{pipeline.width}"
        scale = pipeline.one_scale
        return {
            "input size": [dims],
            "normalisation": None if scale is None else [scale, _joined(pipeline.offsets)],
            "colour order": [0],
            "layout": [0, dims],
            "aspect ratio": [0],
            "resize filter": [1],
        }[part]


def _size(path: Path, written: Any, order: Layout, graph: Path | None) -> tuple[int, int]:
    """Return the input's height and width: as written, or else as the graph has them.

    Raises:
        InputError: neither says.
    """
    if written is None and graph:
        shape = interface_of(graph).shape
        written = shape[1:] if len(shape) == 4 and 0 not in shape[1:] else None
    if written is None:
        raise InputError(f"{path}: expected infer-dims=3;HEIGHT;WIDTH, and it is not there; add it")
    return image_size(written, order, "infer-dims")


def _joined(values: tuple[float, ...]) -> str:
    return ";".join(f"{value:g}" for value in numbers(values))


def _faults(values: Mapping[str, Any]) -> list[Fault]:
    """Return mistakes that change no crop."""
    wanted = {
        "process-mode": (2, "it runs on whole frames, and not on people"),
        "network-type": (100, "embeddings are taken for the output of a detector or classifier"),
        "output-tensor-meta": (1, "embeddings are computed and thrown away"),
    }
    found = [
        Fault((f"property.{key}",), str(values[key]), str(value), why, {f"property.{key}": value})
        for key, (value, why) in wanted.items()
        if (flag if key == "output-tensor-meta" else whole)(values[key], key) != value
    ]
    if choice(values["network-mode"], _PRECISIONS, "network-mode") == "INT8" and not values.get(
        "int8-calib-file"
    ):
        found.append(
            Fault(
                ("property.network-mode", "property.int8-calib-file"),
                "1 (INT8) without a calibration table",
                "2 (FP16), or strongly-typed=1 and a graph with Q/DQ",
                "the engine that is built is FP16",
                {"property.network-mode": 2},
            )
        )
    return found


def _settings(plan: Plan) -> list[Setting]:
    """Return the section `[property]`, whole."""
    pipeline = plan.graph.pipeline
    typed = plan.precision == "fp16-typed" or plan.source.quantized
    mode = "fp32" if typed else plan.precision
    settings = [
        Setting("gpu-id", 0, "which GPU"),
        Setting("process-mode", 2, "2: on the objects that another engine found"),
        Setting("gie-unique-id", 2, "any number that no other engine of the pipeline has"),
        Setting("operate-on-gie-id", 1, "the gie-unique-id of your detector"),
        Setting(
            "operate-on-class-ids", 0, "the class of people in your detector, 0 in COCO's and PeopleNet's"
        ),
        Setting("network-type", 100, "100: no parser, the output is handed on as it is"),
        Setting("output-tensor-meta", 1, "1: hands embeddings on, as NvDsInferTensorMeta of each object"),
        Setting("onnx-file", DeepStreamNvinfer.model, "beside this file"),
        Setting(
            "model-engine-file",
            engine_name(DeepStreamNvinfer.model, plan.batch, mode),
            "built at the first start, which takes minutes, and loaded from then on",
        ),
        Setting("batch-size", plan.batch, "crops at once; more are split"),
        Setting("network-mode", {"fp32": 0, "fp16": 2}[mode], "0: FP32, 2: FP16; 1 (INT8) needs a table"),
        Setting("infer-dims", f"3;{pipeline.height};{pipeline.width}", "channels, height, width"),
        Setting("network-input-order", 0, "0: NCHW"),
        Setting("model-color-format", 0, "0: RGB, as the network was trained"),
        Setting(
            "net-scale-factor",
            pipeline.one_scale,
            "for all channels; each one's std is in the graph's weights",
        ),
        Setting("offsets", _joined(pipeline.offsets), "mean of each channel, in levels of 0 to 255"),
        Setting("maintain-aspect-ratio", 0, "0: crops are stretched, as in training"),
        Setting("symmetric-padding", 0, "nothing is padded"),
        Setting("scaling-filter", 1, "1: bilinear; the default of 0 takes the nearest pixel"),
        Setting("secondary-reinfer-interval", 0, "embeds an object in every frame"),
    ]
    if typed:
        settings.append(
            Setting("strongly-typed", 1, "1: TensorRT computes in the types that the graph is written in")
        )
    return settings
