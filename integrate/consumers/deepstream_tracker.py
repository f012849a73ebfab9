"""DeepStream's multi-object tracker: re-identification inside of NvDCF and NvDeepSORT."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from osnet_edge.integrate.consumers.base import (
    Configuration,
    Consumer,
    Fault,
    Plan,
    Setting,
    numbers,
    readme,
)
from osnet_edge.integrate.consumers.deepstream import COLORS, ORDERS, engine_name, start
from osnet_edge.integrate.documents import is_yaml, named_file, open_document
from osnet_edge.integrate.graphs import FedGraph, planes_graph
from osnet_edge.integrate.pipeline import Pipeline
from osnet_edge.integrate.source import Source
from osnet_edge.integrate.values import choice, flag, image_size, number, section, triple, whole
from osnet_edge.integrate.yaml_edits import yaml_text

#: The library's own values for keys that are left out ("Gst-nvtracker", section Re-ID).
DEFAULTS: dict[str, Any] = {
    "reidType": 0,
    "batchSize": 1,
    "reidFeatureSize": 128,
    "inferDims": [128, 64, 3],
    "inputOrder": 1,
    "colorFormat": 0,
    "networkMode": 0,
    "offsets": [0.0, 0.0, 0.0],
    "netScaleFactor": 1.0,
    "keepAspc": 1,
    "addFeatureNormalization": 0,
}
_TYPES = {0: "none", 1: "NvDeepSORT", 2: "re-association", 3: "both"}
_PRECISIONS = {0: "FP32", 1: "FP16", 2: "INT8"}
_MODES = {"fp32": 0, "fp16": 1}
#: Cosine from which two embeddings are taken for one person; the page says how to measure one.
_USUAL_THRESHOLD = 0.7


class DeepStreamTracker(Consumer):
    """The section `ReID` of a tracker's configuration."""

    name: ClassVar[str] = "deepstream-tracker"
    title: ClassVar[str] = "DeepStream's tracker (NvDCF, NvDeepSORT)"
    version: ClassVar[str] = "DeepStream 7.1 to 9.1"
    config: ClassVar[str] = "config_tracker_NvDCF.yml"
    keys: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "input size": ("ReID.inferDims",),
        "normalisation": ("ReID.netScaleFactor", "ReID.offsets"),
        "colour order": ("ReID.colorFormat",),
        "layout": ("ReID.inputOrder", "ReID.inferDims"),
        "aspect ratio": ("ReID.keepAspc",),
        "row normalisation": ("ReID.addFeatureNormalization",),
        "embedding size": ("ReID.reidFeatureSize",),
    }

    @property
    def configs(self) -> tuple[str, ...]:
        """Of both trackers."""
        return self.config, "config_tracker_NvDeepSORT.yml"

    def feed(self, source: Source) -> FedGraph:
        """Return the graph that takes planes, Q/DQ and all."""
        return planes_graph(source.graph, source.info)

    def files(self, plan: Plan) -> dict[str, str]:
        """Return both trackers' configurations, and the page of instructions."""
        return {
            "config_tracker_NvDCF.yml": _document(plan, reid_type=2, sections=_DCF),
            "config_tracker_NvDeepSORT.yml": _document(plan, reid_type=1, sections=_DEEP_SORT),
            "README.md": readme(self, plan, start=start(plan, self.model)),
        }

    def recognises(self, path: Path) -> bool:
        """Whether it is YAML with a section `ReID`."""
        return is_yaml(path) and "ReID" in open_document(path).load()

    def read(self, path: Path, size: int | None = None) -> Configuration:
        """Read the section `ReID`; see `Consumer.read`."""
        document = open_document(path).load()
        reid = {**DEFAULTS, **section(document, "ReID")}
        order = choice(reid["inputOrder"], ORDERS, "inputOrder")
        height, width = image_size(reid["inferDims"], order, "inferDims")
        scale = number(reid["netScaleFactor"], "netScaleFactor")
        pipeline = Pipeline(
            height=height,
            width=width,
            scale=(scale, scale, scale),
            offsets=triple(reid["offsets"], "offsets"),
            color=choice(reid["colorFormat"], COLORS, "colorFormat"),
            layout=order,
            keep_aspect=flag(reid["keepAspc"], "keepAspc"),
            normalized=flag(reid["addFeatureNormalization"], "addFeatureNormalization"),
            size=whole(reid["reidFeatureSize"], "reidFeatureSize"),
        )
        graph = named_file(reid.get("onnxFile"), path)
        return Configuration(path, pipeline, graph, tuple(_faults(document, reid)))

    def name_graph(self, graph: Path) -> dict[str, Any]:
        """Return the values that name a graph, by an absolute path."""
        path = str(graph.absolute())
        return {"ReID.onnxFile": path, "ReID.modelEngineFile": f"{path}.engine"}

    def spell(self, pipeline: Pipeline, part: str) -> Any:
        """Return an attribute as the keys of `keys` write it."""
        dims = [3, pipeline.height, pipeline.width]
        return {
            "input size": [dims],
            "normalisation": _affine(pipeline),
            "colour order": [0],
            "layout": [0, dims],
            "aspect ratio": [0],
            "row normalisation": [1],
            "embedding size": [pipeline.size],
        }[part]


def _affine(pipeline: Pipeline) -> list[Any] | None:
    scale = pipeline.one_scale
    return None if scale is None else [scale, numbers(pipeline.offsets)]


def _faults(document: Mapping[str, Any], reid: Mapping[str, Any]) -> list[Fault]:
    """Return mistakes that change no crop."""
    found = []
    kind = choice(reid["reidType"], _TYPES, "reidType")
    if kind == "none":
        found.append(
            Fault(
                ("ReID.reidType",),
                "0",
                "1 (NvDeepSORT), 2 (re-association of NvDCF) or 3 (both)",
                "no embedding is computed at all",
                {"ReID.reidType": 2},
            )
        )
    if choice(reid["networkMode"], _PRECISIONS, "networkMode") == "INT8" and not reid.get(
        "calibrationTableFile"
    ):
        found.append(
            Fault(
                ("ReID.networkMode", "ReID.calibrationTableFile"),
                "2 (INT8) without a calibration table",
                "1 (FP16)",
                "without a table there is no INT8, whatever the key says",
                {"ReID.networkMode": 1},
            )
        )
    trajectory = section(document, "TrajectoryManagement")
    reassociates = flag(trajectory.get("enableReAssoc", 0), "enableReAssoc")
    if kind in ("re-association", "both") and not reassociates:
        found.append(
            Fault(
                ("TrajectoryManagement.enableReAssoc",),
                "0",
                "1",
                "embeddings are computed, and nothing uses them",
                {"TrajectoryManagement.enableReAssoc": 1},
            )
        )
    return found


def _settings(plan: Plan, reid_type: int) -> list[Setting]:
    """Return the section `ReID`, whole."""
    pipeline, model = plan.graph.pipeline, f"{plan.place}/{DeepStreamTracker.model}"
    return [
        Setting("reidType", reid_type, "1: NvDeepSORT's association; 2: NvDCF's re-association; 3: both"),
        Setting("batchSize", plan.batch, "crops at once; more are split"),
        Setting("workspaceSize", 1000, "MB that TensorRT may use while it builds"),
        Setting("reidFeatureSize", plan.size, "floats of an embedding; the default is 128"),
        Setting("reidHistorySize", 100, "embeddings kept of each person"),
        Setting("inferDims", [3, pipeline.height, pipeline.width], "channels, height, width"),
        Setting("inputOrder", 0, "NCHW; the default is NHWC"),
        Setting("colorFormat", 0, "RGB, as the network was trained"),
        Setting("networkMode", _MODES[plan.precision], "0: FP32, 1: FP16; 2 (INT8) needs a table"),
        Setting("offsets", numbers(pipeline.offsets), "mean of each channel, 0 to 255; the default is 0"),
        Setting(
            "netScaleFactor", pipeline.one_scale, "for all channels; each one's std is in the graph's weights"
        ),
        Setting(
            "keepAspc", 0, "crops are stretched, as in training; the default of 1 loses 11 points of mAP"
        ),
        Setting("useVPICropScaler", 1, "the scaler of NVIDIA's own samples"),
        Setting("addFeatureNormalization", 1, "rows of length 1, since similarity is their dot product"),
        Setting("outputReidTensor", 1, "hands embeddings on, for reid-track-output-dir and probes"),
        Setting("onnxFile", model, "an absolute path"),
        Setting(
            "modelEngineFile",
            engine_name(model, plan.batch, plan.computes),
            "you build it, as the README says, since the graph has Q/DQ"
            if plan.source.quantized
            else "built at the first start, which takes minutes, and loaded from then on",
        ),
    ]


def _spelled(value: Any) -> str:
    return yaml_text(value) if isinstance(value, str) else str(value)


def _document(plan: Plan, reid_type: int, sections: str) -> str:
    """Return a tracker's configuration."""
    threshold, why = plan.threshold(_USUAL_THRESHOLD)
    lines = [f"  {each.key}: {_spelled(each.value)}  # {each.why}" for each in _settings(plan, reid_type)]
    before = sections.format(threshold=threshold, why=why)
    return f"{_HEAD}{before}ReID:\n" + "\n".join(lines) + "\n"


_HEAD = """%YAML:1.0
# Written by `osnet-edge integrate`. Keys that are not here have the library's documented defaults.

"""
_DCF = """BaseConfig:
  minDetectorConfidence: 0.2  # detections below are not looked at

TargetManagement:
  maxTargetsPerStream: 150
  probationAge: 3  # frames until somebody counts as a target
  maxShadowTrackingAge: 30  # frames that somebody unseen is waited for

TrajectoryManagement:
  enableReAssoc: 1  # what embeddings are for; the default is 0
  reidExtractionInterval: 0  # embeds every frame; a larger number saves time
  minMatchingScore4ReidSimilarity: {threshold}  # cosine; {why}
  matchingScoreWeight4TrackletSimilarity: 0.4
  matchingScoreWeight4ReidSimilarity: 0.6  # the default of 0 would leave embeddings out

DataAssociator:
  associationMatcherType: 1  # cascaded

StateEstimator:
  stateEstimatorType: 1

VisualTracker:
  visualTrackerType: 1  # NvDCF

"""
_DEEP_SORT = """BaseConfig:
  minDetectorConfidence: 0.2  # detections below are not looked at

TargetManagement:
  maxTargetsPerStream: 150
  probationAge: 3  # frames until somebody counts as a target
  maxShadowTrackingAge: 30  # frames that somebody unseen is waited for

DataAssociator:
  associationMatcherType: 1  # cascaded: by embeddings first
  minMatchingScore4ReidSimilarity: {threshold}  # cosine; {why}
  matchingScoreWeight4ReidSimilarity: 0.7
  matchingScoreWeight4Iou: 0.3

StateEstimator:
  stateEstimatorType: 2  # a Kalman filter of boxes, as DeepSORT has

"""
