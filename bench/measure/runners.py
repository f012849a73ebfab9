"""What is measured: an engine package through the runtime, or the float32 graph in ONNX Runtime directly."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.devices.sysfs import NOT_AVAILABLE
from osnet_edge.bench.measure.layer_times import engine_layers, onnxruntime_layers
from osnet_edge.bench.metrics.distances import FloatArray
from osnet_edge.bench.result.measurements import BatchLatency, Layers
from osnet_edge.runtime.backends.onnxruntime import default_threads
from osnet_edge.runtime.backends.registry import backend_named
from osnet_edge.runtime.boxes import clip_boxes
from osnet_edge.runtime.cuda.probe import probe
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.errors import InputError, OsnetEdgeError, first_line
from osnet_edge.runtime.package.golden import normalize_rows
from osnet_edge.runtime.package.graph_info import INPUT_NAME, METADATA_KEY, OUTPUT_NAME, parse_graph_info
from osnet_edge.runtime.preprocessing import Picture, Preprocessing, check_crops, to_batch

REFERENCE_NAME = "float32 reference"
Batch = npt.NDArray[np.generic]
#: Boxes of a frame: (N, 4) of x1, y1, x2, y2 in pixels.
Boxes = npt.NDArray[np.float64]


class NotSupportedError(OsnetEdgeError):
    """This engine has no such thing to measure; it is left out, and nothing is wrong."""

    exit_code = 1


@dataclass(frozen=True)
class RunnerFacts:
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
        input_size: height and width of a crop, in pixels; `Runner` fills it in.
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
    input_size: tuple[int, int] | None = None


class Runner:
    """A loaded engine to measure. Subclasses override what their engine can do.

    Args:
        facts: of the engine.
        preprocessing: what a batch for `infer` must look like.
    """

    def __init__(self, facts: RunnerFacts, preprocessing: Preprocessing | None = None) -> None:
        self.preprocessing = preprocessing or Preprocessing()
        self.facts = replace(facts, input_size=(self.preprocessing.height, self.preprocessing.width))

    def infer(self, batch: Batch) -> FloatArray:
        """Run (N, *preprocessing.input_shape) to (N, D)."""
        raise NotSupportedError("takes no batch")

    def embed(self, crops: list[Picture]) -> FloatArray:
        """Embed crops, H x W x 3 uint8 RGB, to (N, D)."""
        raise NotSupportedError("embeds no crops")

    def embed_frame(self, frame: Picture, boxes: Boxes) -> Any:
        """Embed N boxes of a frame, H x W x 3 uint8 as OpenCV reads it (BGR), to (N, D) rows of length 1."""
        raise NotSupportedError("takes no frame")

    def crop_frame(self, frame: Picture, boxes: Boxes) -> object:
        """Only crop and resize, as `embed_frame` does."""
        raise NotSupportedError("cutting out is no part of its own")

    def layers(self, batch: Batch) -> Layers:
        """Run a batch and return the times of the layers."""
        raise NotSupportedError("its backend does not tell the times of layers")

    def read_batch(self, size: int, seconds: float) -> BatchLatency:
        """Return what another program says of a batch, run for so many seconds."""
        raise NotSupportedError("is no other program")

    def parts(self, batch: Batch) -> Mapping[str, float]:
        """Run a batch; return the milliseconds of its parts, by the names of `Parts`; empty without parts."""
        return {}

    def cuda_graph(self) -> bool | None:
        """Return whether calls replay a CUDA graph by now; None where there is no such thing."""
        return None

    def example(self, size: int) -> Batch:
        """Return a batch of noise; what crops show does not change the time of an engine."""
        height, width = self.preprocessing.height, self.preprocessing.width
        crops = np.random.default_rng(0).integers(0, 256, (size, height, width, 3), np.uint8)
        return to_batch(list(crops), self.preprocessing)


class PackageRunner(Runner):
    """A package, loaded as the runtime does, including the check of its hashes.

    Args:
        package: its folder.
        threads: CPU threads; None leaves it to the runtime.

    Raises:
        InputError, UnavailableError: as `Embedder.load`.
    """

    def __init__(self, package: Path | str, threads: int | None = None) -> None:
        started = time.perf_counter()
        embedder = Embedder.load(package, threads=threads)
        seconds = time.perf_counter() - started
        manifest, target = embedder.manifest, embedder.manifest.target
        # A plan runs with the version that built it; of the others the installed one counts.
        here = backend_named(target.backend).version_here or NOT_AVAILABLE
        version = target.backend_version if target.exact_version else here
        self._embedder, self._threads, self._on_device = embedder, threads, target.device == "cuda"
        facts = RunnerFacts(
            variant=manifest.model.variant,
            precision=manifest.precision,
            target=target.backend,
            size_bytes=manifest.files[manifest.model_file].bytes,
            package_bytes=sum(file.stat().st_size for file in Path(package).rglob("*") if file.is_file()),
            load_seconds=seconds,
            batches=(manifest.batch.min, manifest.batch.max),
            accelerator=probe().devices[0].name if self._on_device else None,
            versions={target.backend: version},
            transfers=True if self._on_device else None,
        )
        super().__init__(facts, manifest.preprocessing)

    def infer(self, batch: Batch) -> FloatArray:
        """Run (N, *preprocessing.input_shape) to (N, D)."""
        return self._embedder.infer(batch)

    def embed(self, crops: list[Picture]) -> FloatArray:
        """Embed crops to (N, D) rows of length 1."""
        return self._embedder(crops)

    def embed_frame(self, frame: Picture, boxes: Boxes) -> Any:
        """Embed N boxes; see `Embedder.embed_boxes` for what it returns."""
        return self._embedder.embed_boxes(frame, boxes, bgr=True)

    def crop_frame(self, frame: Picture, boxes: Boxes) -> object:
        """Cut out and resize, where that is done on the CPU."""
        if self._on_device:
            return super().crop_frame(frame, boxes)
        return self._embedder.prepare(cut_out(frame, boxes), bgr=True)

    def layers(self, batch: Batch) -> Layers:
        """Ask the engine's backend."""
        layers = engine_layers(self._embedder.engine, self._embedder, batch, self._threads)
        return super().layers(batch) if layers is None else layers

    def parts(self, batch: Batch) -> Mapping[str, float]:
        """Ask an engine that can tell; of a graph that it captured, and not TensorRT itself, also without."""
        engine: Any = self._embedder.engine
        if not hasattr(engine, "timed_parts"):
            return {}
        parts: dict[str, float] = engine.timed_parts(batch)
        if engine.captures_graphs:
            parts["without_graph_ms"] = engine.timed_parts(batch, cuda_graphs=False)["compute_ms"]
        return parts

    def cuda_graph(self) -> bool | None:
        """Say whether an engine on a GPU replays CUDA graphs; ONNX Runtime's does not."""
        return bool(getattr(self._embedder.engine, "replays_graphs", False)) if self._on_device else None


class BareRunner(Runner):
    """What somebody writes around a bare engine: crop, resize, one batch, rows of length 1.

    Args:
        facts: of the engine.
        infer: takes (N, *preprocessing.input_shape) to (N, D).
        preprocessing: what it takes.
    """

    def __init__(
        self, facts: RunnerFacts, infer: Callable[[Batch], FloatArray], preprocessing: Preprocessing
    ) -> None:
        super().__init__(facts, preprocessing)
        self._infer = infer

    def infer(self, batch: Batch) -> FloatArray:
        """Run (N, *preprocessing.input_shape) to (N, D)."""
        return self._infer(batch)

    def embed(self, crops: list[Picture]) -> FloatArray:
        """Embed crops to (N, D) rows of length 1."""
        return normalize_rows(self.infer(to_batch(check_crops(crops), self.preprocessing)))

    def embed_frame(self, frame: Picture, boxes: Boxes) -> FloatArray:
        """Embed the boxes that hold a pixel."""
        return normalize_rows(self.infer(self.crop_frame(frame, boxes)))

    def crop_frame(self, frame: Picture, boxes: Boxes) -> Batch:
        """Return the batch of a frame."""
        return to_batch(cut_out(frame, boxes), self.preprocessing, bgr=True)


class ReferenceRunner(BareRunner):
    """An exported float32 graph in ONNX Runtime as one would open it by hand: default options, nothing split.

    Args:
        graph: ONNX file of `osnet-edge export`, which carries its own preprocessing.
        threads: CPU threads; None takes what the runtime would take, so that both have the same.

    Raises:
        InputError: it is no such graph.
    """

    def __init__(self, graph: Path | str, threads: int | None = None) -> None:
        try:
            session, infer, seconds = open_by_hand(graph, default_threads() if threads is None else threads)
        except ImportError:
            raise
        except Exception as error:
            # onnxruntime's exceptions have no common base of their own to catch.
            raise InputError(f"{graph} is no graph for ONNX Runtime ({first_line(error)})") from None
        metadata = session.get_modelmeta().custom_metadata_map
        if METADATA_KEY not in metadata:
            raise InputError(
                f"{graph} does not say how images are prepared; expected one of osnet-edge export"
            )
        info = parse_graph_info(metadata[METADATA_KEY], str(graph))
        facts = RunnerFacts(
            variant=info.model.variant,
            precision="fp32",
            target="onnxruntime by hand",
            size_bytes=Path(graph).stat().st_size,
            package_bytes=None,
            load_seconds=seconds,
        )
        super().__init__(facts, infer, info.preprocessing)
        self._graph, self._threads = Path(graph), threads

    def layers(self, batch: Batch) -> Layers:
        """Ask ONNX Runtime."""
        return onnxruntime_layers(self._graph, batch, threads=self._threads)


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


def cut_out(frame: Picture, boxes: Boxes) -> list[Picture]:
    """Return the parts of a frame in its boxes; boxes that hold no pixel are left out."""
    clipped, valid = clip_boxes(boxes, *frame.shape[:2])
    return [frame[y1:y2, x1:x2] for x1, y1, x2, y2 in clipped[valid]]
