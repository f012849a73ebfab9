"""What is measured: an engine package through the runtime, or the float32 graph opened by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.measure.layer_times import onnxruntime_layers, openvino_layers
from osnet_edge.bench.metrics._checks import FloatArray
from osnet_edge.bench.result.engine_result import BatchLatency
from osnet_edge.bench.result.machine import installed_version
from osnet_edge.bench.result.measurements import Layers
from osnet_edge.runtime.backends.onnxruntime import default_threads
from osnet_edge.runtime.boxes import clip_boxes
from osnet_edge.runtime.cuda.probe import probe
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.errors import InputError, first_line
from osnet_edge.runtime.package.golden import normalize_rows
from osnet_edge.runtime.package.graph_info import INPUT_NAME, METADATA_KEY, OUTPUT_NAME, parse_graph_info
from osnet_edge.runtime.preprocessing import Picture, Preprocessing, check_crops, to_batch

REFERENCE_NAME = "float32 reference"
Batch = npt.NDArray[np.generic]
#: Boxes of a frame: (N, 4) of x1, y1, x2, y2 in pixels.
Boxes = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SubjectFacts:
    """What an engine says of itself.

    Attributes:
        variant: the network.
        precision: of its weights.
        target: what runs it.
        size_bytes: of the model file.
        package_bytes: of all its files; None where there is no package.
        load_seconds: from file to ready.
        batches: smallest and largest batch that `infer` takes; a largest of None has no limit.
        accelerator: name of the GPU that runs it; None on the CPU.
        versions: of the library that runs it, by its name.
        transfers: whether calls copy to a device and back; None where there is no device.
    """

    variant: str
    precision: str
    target: str
    size_bytes: int
    package_bytes: int | None
    load_seconds: float
    batches: tuple[int, int | None] = (1, None)
    accelerator: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    transfers: bool | None = None


@dataclass(frozen=True)
class Subject:
    """An engine to measure, loaded.

    Attributes:
        facts: of it.
        embed: takes crops, H x W x 3 uint8 RGB, to (N, D) rows; None where it only tells times.
        embed_frame: takes a frame, H x W x 3 uint8 as OpenCV reads it (BGR), and N boxes, to (N, D) rows of
            length 1; None likewise.
        infer: takes (N, *preprocessing.input_shape) to (N, D); None where only whole frames can be given.
        preprocessing: what a batch for `infer` must look like.
        crop_frame: the part of `embed_frame` that cuts out and resizes; None where it is no separate part.
        layers: times of the layers at a batch; None where the backend does not tell.
        parts: runs a batch and returns the milliseconds of its parts, by the names of `Parts`; None likewise.
        cuda_graph: whether calls replay a CUDA graph by now, which may turn out not to work; None where there
            is no such thing.
        read_batch: what another program says of a batch, run for so many seconds; None but for such.
    """

    facts: SubjectFacts
    embed: Callable[[list[Picture]], Any] | None = None
    embed_frame: Callable[[Picture, Boxes], Any] | None = None
    infer: Callable[[Batch], FloatArray] | None = None
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    crop_frame: Callable[[Picture, Boxes], Any] | None = None
    layers: Callable[[Batch], Layers] | None = None
    parts: Callable[[Batch], Mapping[str, float]] | None = None
    cuda_graph: Callable[[], bool] | None = None
    read_batch: Callable[[int, float], BatchLatency] | None = None

    def example(self, size: int) -> Batch:
        """Return a batch of noise; what pictures show does not change the time of an engine."""
        how = self.preprocessing
        pictures = np.random.default_rng(0).integers(0, 256, (size, how.height, how.width, 3), np.uint8)
        return to_batch(list(pictures), how)


def load_package(package: Path | str, threads: int | None = None) -> Subject:
    """Load a package as the runtime does, hashes and all.

    Raises:
        InputError, UnavailableError: as `Embedder.load`.
    """
    started = time.perf_counter()
    embedder = Embedder.load(package, threads=threads)
    seconds = time.perf_counter() - started
    manifest, target = embedder.manifest, embedder.manifest.target
    # A plan runs with the version that built it; of the others the installed one counts.
    version = target.backend_version if target.exact_version else installed_version(target.backend)
    on_device = target.device == "cuda"
    return Subject(
        SubjectFacts(
            variant=manifest.model.variant,
            precision=manifest.precision,
            target=target.backend,
            size_bytes=manifest.files[manifest.model_file].bytes,
            package_bytes=sum(file.stat().st_size for file in Path(package).rglob("*") if file.is_file()),
            load_seconds=seconds,
            batches=(manifest.batch.min, manifest.batch.max),
            accelerator=probe().devices[0].name if on_device else None,
            versions={target.backend: version},
            transfers=True if on_device else None,
        ),
        embed=embedder,
        embed_frame=partial(embedder.embed_boxes, bgr=True),
        infer=embedder.infer,
        preprocessing=manifest.preprocessing,
        crop_frame=None if on_device else partial(_crop_frame, embedder),
        layers=_package_layers(embedder, threads),
        # TensorRT's engine tells them; those on the CPU have no parts.
        parts=partial(_parts, embedder.engine) if hasattr(embedder.engine, "timed_parts") else None,
        cuda_graph=partial(_replays, embedder.engine) if on_device else None,
    )


def load_reference(graph: Path | str, threads: int | None = None) -> Subject:
    """Open an exported float32 graph in ONNX Runtime as one would by hand: default options, nothing split.

    Args:
        graph: ONNX file of `osnet-edge export`, which carries its own preprocessing.
        threads: CPU threads; None takes what the runtime would take, so that both have the same.

    Raises:
        InputError: it is no such graph.
    """
    try:
        session, infer, seconds = open_by_hand(graph, default_threads() if threads is None else threads)
    except ImportError:
        raise
    except Exception as error:
        # onnxruntime's exceptions have no common base of their own to catch.
        raise InputError(f"{graph} is no graph for ONNX Runtime ({first_line(error)})") from None
    metadata = session.get_modelmeta().custom_metadata_map
    if METADATA_KEY not in metadata:
        raise InputError(f"{graph} does not say how pictures are prepared; expected one of osnet-edge export")
    info = parse_graph_info(metadata[METADATA_KEY], str(graph))
    return by_hand(
        SubjectFacts(
            variant=info.model.variant,
            precision="fp32",
            target="onnxruntime by hand",
            size_bytes=Path(graph).stat().st_size,
            package_bytes=None,
            load_seconds=seconds,
        ),
        infer,
        info.preprocessing,
        layers=partial(onnxruntime_layers, Path(graph), threads=threads),
    )


def open_by_hand(graph: Path | str, threads: int) -> tuple[Any, Callable[[Batch], FloatArray], float]:
    """Open a graph in ONNX Runtime with default options; return the session, its call, and the seconds."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    started = time.perf_counter()
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    seconds = time.perf_counter() - started

    def infer(batch: Batch) -> FloatArray:
        rows: FloatArray = session.run([OUTPUT_NAME], {INPUT_NAME: batch})[0]
        return rows

    return session, infer, seconds


def by_hand(
    facts: SubjectFacts,
    infer: Callable[[Batch], FloatArray],
    how: Preprocessing,
    layers: Callable[[Batch], Layers] | None = None,
) -> Subject:
    """Return what somebody writes around a bare engine: crop, resize, one batch, rows of length 1."""

    def crop(frame: Picture, boxes: Boxes) -> Batch:
        return to_batch(cut_out(frame, boxes), how, bgr=True)

    return Subject(
        facts,
        embed=lambda crops: normalize_rows(infer(to_batch(check_crops(crops), how))),
        embed_frame=lambda frame, boxes: normalize_rows(infer(crop(frame, boxes))),
        infer=infer,
        preprocessing=how,
        crop_frame=crop,
        layers=layers,
    )


def cut_out(frame: Picture, boxes: Boxes) -> list[Picture]:
    """Return the parts of a frame in its boxes; boxes that hold no pixel are left out."""
    clipped, valid = clip_boxes(boxes, *frame.shape[:2])
    return [frame[y1:y2, x1:x2] for x1, y1, x2, y2 in clipped[valid]]


def _crop_frame(embedder: Embedder, frame: Picture, boxes: Boxes) -> Batch:
    return embedder.prepare(cut_out(frame, boxes), bgr=True)


def _replays(engine: object) -> bool:
    """Say whether an engine on a GPU replays CUDA graphs; ONNX Runtime's does not."""
    return bool(getattr(engine, "replays_graphs", False))


def _parts(engine: Any, batch: Batch) -> dict[str, float]:
    """Return a call's parts; of a graph that the engine captured, and not TensorRT itself, also without."""
    parts: dict[str, float] = engine.timed_parts(batch)
    if engine.captures_graphs:
        parts["without_graph_ms"] = engine.timed_parts(batch, cuda_graphs=False)["compute_ms"]
    return parts


def _package_layers(embedder: Embedder, threads: int | None) -> Callable[[Batch], Layers] | None:
    manifest = embedder.manifest
    model = embedder.package / manifest.model_file
    if manifest.target.backend == "onnxruntime":
        return partial(onnxruntime_layers, model, threads=threads)
    if manifest.target.backend == "openvino":
        processor = manifest.target.processor
        return partial(
            openvino_layers, model, precision=manifest.precision, threads=threads, processor=processor
        )
    return None
