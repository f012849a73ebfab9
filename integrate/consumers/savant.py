"""Savant: an attribute model of its pipeline, which is Gst-nvinfer behind another spelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from osnet_edge.integrate.consumers.base import Configuration, Consumer, Plan, Precision, numbers, readme
from osnet_edge.integrate.consumers.deepstream import engine_name, start
from osnet_edge.integrate.documents import is_yaml, named_file, open_document
from osnet_edge.integrate.graphs import FedGraph, planes_graph
from osnet_edge.integrate.pipeline import Pipeline
from osnet_edge.integrate.source import Source
from osnet_edge.integrate.values import flag, image_size, number, section, triple
from osnet_edge.runtime.errors import InputError

_ELEMENT = "nvinfer@attribute_model"


class Savant(Consumer):
    """An element `nvinfer@attribute_model` of a module."""

    name: ClassVar[str] = "savant"
    title: ClassVar[str] = "Savant"
    version: ClassVar[str] = "Savant 0.5"
    config: ClassVar[str] = "module.yml"
    precisions: ClassVar[tuple[Precision, ...]] = ("fp16", "fp32")
    keys: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "input size": ("input.shape",),
        "normalisation": ("input.scale_factor", "input.offsets"),
        "colour order": ("input.color_format",),
        "aspect ratio": ("input.maintain_aspect_ratio",),
        "resize filter": ("scaling_filter",),
    }

    def feed(self, source: Source) -> FedGraph:
        """Return the graph that takes planes, Q/DQ and all."""
        return planes_graph(source.graph, source.info)

    def files(self, plan: Plan) -> dict[str, str]:
        """Return a module with the element, and the page of instructions."""
        pipeline = plan.graph.pipeline
        text = _MODULE.format(
            model=self.model,
            batch=plan.batch,
            precision=plan.computes,
            engine=engine_name(self.model, plan.batch, plan.computes),
            height=pipeline.height,
            width=pipeline.width,
            scale=pipeline.one_scale,
            offsets=numbers(pipeline.offsets),
        )
        page = readme(self, plan, start=start(plan, self.model))
        return {self.config: text, "README.md": page}

    def recognises(self, path: Path) -> bool:
        """Whether it is YAML with such an element."""
        return is_yaml(path) and bool(_places(open_document(path).load()))

    def read(self, path: Path, size: int | None = None) -> Configuration:
        """Read the one element; see `Consumer.read`."""
        model = _element(path)[1]
        asked = section(model, "input")
        if not asked.get("shape"):
            raise InputError(f"{path}: expected input.shape: [3, HEIGHT, WIDTH], and it is not there; add it")
        height, width = image_size(asked["shape"], "NCHW", "input.shape")
        scale = number(asked.get("scale_factor", 1.0), "input.scale_factor")
        color = str(asked.get("color_format", "rgb")).upper()
        if color not in ("RGB", "BGR"):
            raise InputError(f"expected input.color_format as rgb or bgr, got {color.lower()[:40]}")
        pipeline = Pipeline(
            height=height,
            width=width,
            scale=(scale, scale, scale),
            offsets=triple(asked.get("offsets", (0, 0, 0)), "input.offsets"),
            color="BGR" if color == "BGR" else "RGB",
            keep_aspect=flag(asked.get("maintain_aspect_ratio", False), "input.maintain_aspect_ratio"),
            filter="nearest" if _takes_nearest(model) else "bilinear",
        )
        return Configuration(path, pipeline, named_file(model.get("model_file"), path))

    def corrected(self, path: Path, changes: Mapping[str, Any]) -> str:
        """Return the text with values of the one element changed; see `Consumer.corrected`."""
        place = _element(path)[0]
        return super().corrected(path, {f"{place}.model.{key}": value for key, value in changes.items()})

    def name_graph(self, graph: Path) -> dict[str, Any]:
        """Return the values that name a graph in the folder of models, and no longer an engine of another."""
        return {"model_file": graph.name, "engine_file": None}

    def spell(self, pipeline: Pipeline, part: str) -> Any:
        """Return an attribute as the keys of `keys` write it."""
        scale = pipeline.one_scale
        return {
            "input size": [[3, pipeline.height, pipeline.width]],
            "normalisation": None if scale is None else [scale, numbers(pipeline.offsets)],
            "colour order": ["rgb"],
            "aspect ratio": [False],
            "resize filter": ["BILINEAR"],
        }[part]


def _takes_nearest(model: Mapping[str, Any]) -> bool:
    """Whether the filter is Gst-nvinfer's default; what a file of Gst-nvinfer's says is taken for right."""
    named = model.get("scaling_filter")
    return str(named).upper() in ("NEAREST", "0") if named is not None else not model.get("config_file")


def _places(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the attribute models of a pipeline, each by its dotted key; those of groups too."""
    found = {}

    def search(elements: Any, key: str) -> None:
        for place, each in enumerate(elements if isinstance(elements, Sequence) else ()):
            if not isinstance(each, Mapping):
                continue
            # Spelled `element@type:version`, or with a key for each.
            name, _, kind = str(each.get("element")).partition("@")
            if (
                name == "nvinfer"
                and (kind or str(each.get("element_type"))).split(":")[0] == "attribute_model"
            ):
                found[f"{key}.{place}"] = each
            search(section(each, "group").get("elements"), f"{key}.{place}.group.elements")

    search(section(document, "pipeline").get("elements"), "pipeline.elements")
    return found


def _element(path: Path) -> tuple[str, Mapping[str, Any]]:
    """Return the key and the model of the one attribute model in a module.

    Raises:
        InputError: there is none, or there are several.
    """
    places = _places(open_document(path).load())
    if len(places) != 1:
        raise InputError(f"{path}: expected one element {_ELEMENT}, found {len(places)}; leave the one in")
    ((key, element),) = places.items()
    return key, section(element, "model")


_MODULE = """# Written by `osnet-edge integrate`. Put the element behind your detector, or run it as it is.
name: osnet

parameters:
  batch_size: 1

pipeline:
  elements:
    # Your detector and tracker go here.

    - element: nvinfer@attribute_model
      name: osnet
      model:
        format: onnx
        # In the folder of models: <model_path>/osnet/
        model_file: {model}
        # Crops at once; more are split.
        batch_size: {batch}
        precision: {precision}
        # Built at the first start, unless it is there.
        engine_file: {engine}
        input:
          # Your detector's name and label, joined by a point.
          object: detector.person
          # Channels, height, width.
          shape: [3, {height}, {width}]
          # Crops are stretched, as in training; keeping their aspect costs 11 points of mAP.
          maintain_aspect_ratio: false
          # For all channels; each one's std is in the graph's weights.
          scale_factor: {scale}
          # Mean of each channel, in levels of 0 to 255.
          offsets: {offsets}
          # As the network was trained.
          color_format: rgb
        # The default takes the nearest pixel, which costs 2 points of mAP.
        scaling_filter: BILINEAR
        output:
          layer_names: [embeddings]
          converter:
            # Hands the vector on as it is; scale it to length 1 before you compare.
            module: savant.converter
            class_name: TensorToVectorConverter
          attributes:
            - name: reid
              # Kept inside of the pipeline, since it is large.
              internal: true
"""
