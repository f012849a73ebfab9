"""What was measured of one engine: a row of the result, and the records that it is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from osnet_edge.bench._require import require
from osnet_edge.bench.metrics.changes import ChangeIntervals
from osnet_edge.bench.metrics.scores import RetrievalScores
from osnet_edge.bench.metrics.statistics import median_interval, require_interval
from osnet_edge.bench.metrics.verification import ThresholdChange, Verification
from osnet_edge.bench.result.latency_stats import LatencyStats
from osnet_edge.bench.result.tracking import Tracking

#: A package of ours, the float32 graph in ONNX Runtime directly, or an alternative to this project.
Role = Literal["package", "reference", "versus"]


@dataclass(frozen=True)
class Parts:
    """Medians of the parts of a call on a device, in ms; None where the backend does not report them.

    Attributes:
        enqueue_ms: the host's time to enqueue the work.
        input_ms: copying to the device.
        compute_ms: on the device.
        output_ms: copying back.
        without_graph_ms: on the device without a CUDA graph, if `compute_ms` is with one; None if neither is.
    """

    enqueue_ms: float | None = None
    input_ms: float | None = None
    compute_ms: float | None = None
    output_ms: float | None = None
    without_graph_ms: float | None = None

    def __post_init__(self) -> None:
        for part in vars(self).values():
            require(part is None or part >= 0, "parts of 0 ms or more", part)


@dataclass(frozen=True)
class StreamRate:
    """Throughput of several callers at once.

    Attributes:
        streams: callers, each of which calls again at once.
        batch: images a call.
        images_per_second: of all together.
    """

    streams: int
    batch: int
    images_per_second: float

    def __post_init__(self) -> None:
        require(self.streams >= 1 and self.batch >= 1, "1 stream and image or more", self.streams)
        require(self.images_per_second >= 0, "a rate of 0 or more", self.images_per_second)


@dataclass(frozen=True)
class FrameTime:
    """What a tracker asks for: from a frame and its boxes to embeddings.

    Attributes:
        people: boxes in the frame.
        latency: of the whole, from frame to embeddings.
        crop_ms: median of cropping and resizing alone; None where the engine does not report it.
        people_per_second: people over mean latency.
        turns_ms: median of each turn, in the order they were taken.
        median_interval: 95 % interval of the median, from the turns; None for fewer than six.
    """

    people: int
    latency: LatencyStats
    crop_ms: float | None
    people_per_second: float
    turns_ms: tuple[float, ...] = ()
    median_interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        require(self.people >= 1, "1 person or more", self.people)
        require(self.crop_ms is None or self.crop_ms >= 0, "a time of 0 or more", self.crop_ms)
        rate = self.latency.images_per_second(self.people)
        agrees = math.isclose(self.people_per_second, rate, rel_tol=1e-6)
        require(agrees, "people_per_second to be people / mean latency", self.people_per_second)
        require_interval(self.median_interval, self.turns_ms)

    @classmethod
    def of(cls, people: int, latency: LatencyStats, turns_ms: tuple[float, ...]) -> FrameTime:
        """Make one from the statistics and the turns, without the crops' time."""
        rate = latency.images_per_second(people)
        return cls(people, latency, None, rate, turns_ms, median_interval(turns_ms))


@dataclass(frozen=True)
class Sustained:
    """A long run of one job, in windows of equal length.

    Attributes:
        batch: images a call.
        stretch_s: length of a window.
        median_ms: median call of each window.
        memory_bytes: of the process after each window; empty where it cannot be read.
        drift: median of the last fifth of the windows over that of the first fifth, minus 1.
        memory_growth_bytes: memory after the last window minus that after the first fifth; None where it
            cannot be read.
    """

    batch: int
    stretch_s: float
    median_ms: tuple[float, ...]
    memory_bytes: tuple[int, ...]
    drift: float
    memory_growth_bytes: int | None

    def __post_init__(self) -> None:
        require(bool(self.median_ms), "1 stretch or more", self.median_ms)
        require(self.stretch_s > 0, "stretches longer than 0 s", self.stretch_s)


@dataclass(frozen=True)
class ColdStart:
    """Medians over new processes, in seconds; files are in the system's cache, as after a restart.

    Attributes:
        runs: processes started.
        process_s: from the start of the process to its first embedding and end.
        process_range_s: shortest and longest of these.
        import_s: of it, importing.
        load_s: of it, loading and verifying the package.
        first_s: of it, the first embedding.
    """

    runs: int
    process_s: float
    process_range_s: tuple[float, float]
    import_s: float
    load_s: float
    first_s: float

    def __post_init__(self) -> None:
        low, high = self.process_range_s
        require(low <= self.process_s <= high, "a median within its range", self.process_s)


@dataclass(frozen=True)
class Memory:
    """Peak memory of the engine's own process; None where it cannot be read.

    Attributes:
        peak_host_bytes: resident, of the whole process: interpreter, libraries and engine.
        peak_device_bytes: on the GPU, seen after the measurements: libraries keep what they took.
    """

    peak_host_bytes: int | None
    peak_device_bytes: int | None


@dataclass(frozen=True)
class Energy:
    """Energy of embeddings, with what the machine draws at rest subtracted.

    Attributes:
        batch: images a call.
        source: what was measured, by what.
        idle_w: power at rest, before.
        busy_w: power while the engine ran.
        joules_per_image: (busy_w - idle_w) over the images a second meanwhile.
    """

    batch: int
    source: str
    idle_w: float
    busy_w: float
    joules_per_image: float


@dataclass(frozen=True)
class LayerTime:
    """Time of one layer as the backend reports it; it may be several operations fused.

    Attributes:
        name: the backend's.
        kind: the operation.
        ms: mean of a call.
    """

    name: str
    kind: str
    ms: float

    def __post_init__(self) -> None:
        require(self.ms >= 0, "a time of 0 or more", self.ms)


@dataclass(frozen=True)
class Layers:
    """Per-layer times at one batch, slowest first."""

    batch: int
    times: tuple[LayerTime, ...]


@dataclass(frozen=True)
class Retention:
    """What an engine keeps of the reference's embeddings, on the same images.

    Attributes:
        top_k: how many gallery images of each ranking are compared.
        top_k_agreement: share of the reference's first k that are among the engine's, mean over queries.
        centred_cosine_mean: cosine of each image's two embeddings after subtracting the mean of the
            reference's embeddings, mean over images. Without that, any two images look alike.
        centred_cosine_min: of the worst image.
        lost: queries, by file name, that the reference found first and the engine did not.
        gained: the other way round.
    """

    top_k: int
    top_k_agreement: float
    centred_cosine_mean: float
    centred_cosine_min: float
    lost: tuple[str, ...]
    gained: tuple[str, ...]

    def __post_init__(self) -> None:
        require(0 <= self.top_k_agreement <= 1, "an agreement in [0, 1]", self.top_k_agreement)
        cosines = self.centred_cosine_min, self.centred_cosine_mean
        require(-1.001 <= cosines[0] <= cosines[1] <= 1.001, "rising cosines in [-1, 1]", cosines)


@dataclass(frozen=True)
class BatchLatency:
    """Latency of one call at one batch size.

    Attributes:
        batch: images a call.
        images_per_second: batch over mean latency: the throughput of one caller.
        latency: statistics of the calls.
        turns_ms: median call of each turn, in the order they were taken.
        median_interval: 95 % interval of the median, from the turns; None for fewer than six.
        parts: of a call on a device; None on the CPU, where a call has none.
        cuda_graph: whether calls replayed a CUDA graph; None where there is no such thing.
        transfers: whether a call copies to the device and back; None where there is no device.
        warnings: why these figures may be unreliable.
    """

    batch: int
    images_per_second: float
    latency: LatencyStats
    turns_ms: tuple[float, ...] = ()
    median_interval: tuple[float, float] | None = None
    parts: Parts | None = None
    cuda_graph: bool | None = None
    transfers: bool | None = None
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(self.batch >= 1, "a batch of 1 or more", self.batch)
        rate = self.latency.images_per_second(self.batch)
        agrees = math.isclose(self.images_per_second, rate, rel_tol=1e-6)
        require(agrees, "images_per_second to be batch / mean latency", self.images_per_second)
        require_interval(self.median_interval, self.turns_ms)

    @classmethod
    def of(cls, batch: int, latency: LatencyStats, turns_ms: tuple[float, ...] = ()) -> BatchLatency:
        """Make one from the statistics and the turns."""
        rate = latency.images_per_second(batch)
        return cls(batch, rate, latency, turns_ms, median_interval(turns_ms))


@dataclass(frozen=True)
class Accuracy:
    """Retrieval scores and the data set they are of."""

    data_set: str
    distance: str
    scores: RetrievalScores

    def __post_init__(self) -> None:
        s = self.scores
        # Results from before Rank-20 and mINP were measured have neither.
        curve = [share for share in (s.rank1, s.rank5, s.rank10, s.rank20) if share is not None]
        for share in (*curve, s.mean_ap, *([] if s.mean_inp is None else [s.mean_inp])):
            require(0 <= share <= 1, "accuracies in [0, 1]", share)
        require(curve == sorted(curve), "Rank-1 <= Rank-5 <= Rank-10 <= Rank-20", curve)
        require(0 <= s.skipped < s.queries, "fewer queries skipped than given", (s.skipped, s.queries))
        require(s.gallery >= 1, "a gallery of 1 or more", s.gallery)


@dataclass(frozen=True)
class EngineResult:
    """What was measured of one engine; what was not measured is None or empty.

    Attributes:
        name: of the package, unique in the document.
        variant: the model, such as "osnet_x0_25".
        precision: such as "fp32" or "int8".
        target: what runs it, such as "onnxruntime" or "tensorrt".
        size_bytes: of the model file.
        load_seconds: from file to ready.
        batches: latency at each batch it was measured at, ascending.
        accuracy: None where it was not measured.
        reference: whether the others are compared with this one.
        change_intervals: of its accuracy less the reference's; None where they were not scored on the same
            images together, and in results from before it was measured.
        role: what kind of row this is.
        problem: why there is nothing, or nothing more: it crashed, or is not installed.
        package_bytes: of all files of the package.
        streams: throughput of several callers.
        frames: the job of a tracker, by people in the frame.
        sustained: a long run.
        cold_start: from the start of a process to its first embedding.
        memory: its peak.
        energy: of embeddings, by batch and meter.
        layers: time of each layer.
        retention: what it keeps of the reference's embeddings.
        input_size: height and width of a crop that it takes, in pixels; None in results from before it was
            kept.
        verification: thresholds and error rates on the set of `accuracy`; None where not asked for.
        threshold_changes: of its thresholds less the reference's.
        tracking: identities in sequences by its embeddings; None where not asked for.
    """

    name: str
    variant: str
    precision: str
    target: str
    size_bytes: int
    load_seconds: float
    batches: tuple[BatchLatency, ...]
    accuracy: Accuracy | None
    reference: bool
    change_intervals: ChangeIntervals | None = None
    role: Role = "package"
    problem: str | None = None
    package_bytes: int | None = None
    streams: tuple[StreamRate, ...] = ()
    frames: tuple[FrameTime, ...] = ()
    sustained: Sustained | None = None
    cold_start: ColdStart | None = None
    memory: Memory | None = None
    energy: tuple[Energy, ...] = ()
    layers: Layers | None = None
    retention: Retention | None = None
    input_size: tuple[int, int] | None = None
    verification: Verification | None = None
    threshold_changes: tuple[ThresholdChange, ...] = ()
    tracking: Tracking | None = None

    def __post_init__(self) -> None:
        require(bool(self.name), "an engine's name", self.name)
        require(self.size_bytes >= 0, "a size of 0 or more", self.size_bytes)
        require(self.load_seconds >= 0, "a load time of 0 or more", self.load_seconds)
        sizes = [each.batch for each in self.batches]
        require(sizes == sorted(set(sizes)), f"ascending batches of {self.name}", sizes)
        alone = self.accuracy is None or self.reference
        require(not (alone and self.change_intervals), "intervals only of an accuracy compared", self.name)

    def at(self, batch: int) -> BatchLatency | None:
        """Return the latency at `batch`, or None where it was not measured."""
        return next((each for each in self.batches if each.batch == batch), None)

    def with_people(self, people: int) -> FrameTime | None:
        """Return the time of a frame with that many people, or None where it was not measured."""
        return next((each for each in self.frames if each.people == people), None)
