"""Ultralytics' BoT-SORT, whose encoder runs an ONNX file on crops that it has only divided by 255."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from osnet_edge.integrate.consumers.base import Configuration, Consumer, Fault, Plan, Precision, readme
from osnet_edge.integrate.documents import is_yaml, named_file, open_document
from osnet_edge.integrate.graphs import FedGraph, unit_graph
from osnet_edge.integrate.interface import interface_of
from osnet_edge.integrate.pipeline import Pipeline
from osnet_edge.integrate.source import Source
from osnet_edge.integrate.values import flag
from osnet_edge.integrate.yaml_edits import yaml_text
from osnet_edge.runtime.errors import InputError

_UNIT = 1 / 255
#: Ultralytics' own.
_USUAL_THRESHOLD = 0.8
#: Side of the square where a graph leaves its size free.
_USUAL_SIDE = 224


class Ultralytics(Consumer):
    """A tracker's YAML, with `with_reid` and `model`.

    The encoder divides by 255 and does nothing else: whatever a network wants besides has to be in its graph.
    """

    name: ClassVar[str] = "ultralytics"
    title: ClassVar[str] = "Ultralytics' BoT-SORT"
    version: ClassVar[str] = "Ultralytics 8.4.190; `ultralytics:square` for earlier ones"
    config: ClassVar[str] = "botsort_osnet.yaml"
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32",)
    exact_resize: ClassVar[bool] = False

    def __init__(self, *, square: bool) -> None:
        self.square = square

    @property
    def spelling(self) -> str:
        """As `--for` takes it."""
        return f"{self.name}:square" if self.square else self.name

    def feed(self, source: Source) -> FedGraph:
        """Return the graph that takes planes in [0, 1], Q/DQ and all: ONNX Runtime computes it."""
        return unit_graph(source.graph, source.info, square=self.square)

    def files(self, plan: Plan) -> dict[str, str]:
        """Return the tracker's YAML, and the page of instructions."""
        pipeline = plan.graph.pipeline
        takes = f"{pipeline.height}x{pipeline.width}"
        model = yaml_text(f"{plan.place}/{self.model}")
        threshold, why = plan.threshold(_USUAL_THRESHOLD)
        text = _TRACKER.format(model=model, takes=takes, threshold=threshold, why=why)
        return {self.config: text, "README.md": readme(self, plan, takes=takes)}

    def recognises(self, path: Path) -> bool:
        """Whether it is YAML with `tracker_type`."""
        return is_yaml(path) and "tracker_type" in open_document(path).load()

    def read(self, path: Path, size: int | None = None) -> Configuration:
        """Read the YAML, and what the graph that it names is fed with; see `Consumer.read`."""
        document = open_document(path).load()
        graph = named_file(document.get("model"), path)
        shown = interface_of(graph) if graph else None
        shape = shown.shape if shown else ()
        # A side that the graph leaves free is the usual one, or the other's.
        height = next((each for each in shape[2:3] if each), _USUAL_SIDE)
        width = next((each for each in shape[3:4] if each), height)
        pipeline = Pipeline(height, width, (_UNIT, _UNIT, _UNIT), (0.0, 0.0, 0.0), filter="four-pixel")
        if shown and shown.dtype == "float16":
            # It looks at the type, and gives halves.
            pipeline = replace(pipeline, dtype="float16")
        return Configuration(path, pipeline, graph, tuple(_faults(document)))

    def name_graph(self, graph: Path) -> dict[str, Any]:
        """Return the value that names a graph, by an absolute path."""
        return {"model": str(graph.absolute())}

    def spell(self, pipeline: Pipeline, part: str) -> Any:
        """Return None: everything but the file's name is fixed, and the graph has to fit."""
        return


def _faults(document: Mapping[str, Any]) -> list[Fault]:
    """Return mistakes that change no crop.

    Raises:
        InputError: it takes no network of its own.
    """
    model = document.get("model") or "auto"
    if str(model).lower().endswith(".pt"):
        raise InputError(
            "expected `model` as an ONNX file, got a .pt, which Ultralytics takes for a network of its own; "
            "write a graph with osnet-edge integrate --for ultralytics"
        )
    found = []
    if str(document["tracker_type"]).lower() == "bytetrack":
        why = "ByteTrack goes by motion alone, and no embedding is computed"
        found.append(Fault(("tracker_type",), "bytetrack", "botsort", why, {"tracker_type": "botsort"}))
    if not flag(document.get("with_reid") or False, "with_reid"):
        why = "no embedding is computed at all"
        found.append(Fault(("with_reid",), "False", "True", why, {"with_reid": True}))
    if model == "auto":
        why = "features of the detector are taken, and not a network for re-identification"
        found.append(Fault(("model",), "auto", "an ONNX file", why, {}))
    return found


_TRACKER = """# Written by `osnet-edge integrate`. Values that are not about re-ID are Ultralytics' defaults.
tracker_type: botsort
track_high_thresh: 0.25
track_low_thresh: 0.1
new_track_thresh: 0.25
track_buffer: 30
match_thresh: 0.8
fuse_score: True
gmc_method: sparseOptFlow
# Boxes that overlap less are not compared by their embeddings.
proximity_thresh: 0.5
# Cosine from which two embeddings may be one person; {why}.
appearance_thresh: {threshold}
# The default is False, and then `model` is not looked at.
with_reid: True
# An ONNX file that takes {takes} RGB in [0, 1] and normalises inside.
model: {model}
"""
