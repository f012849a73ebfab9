"""What was measured of one engine: a row of the result."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from osnet_edge.bench._require import require
from osnet_edge.bench.measure.latency import LatencyStats
from osnet_edge.bench.metrics.accuracy_change import ChangeIntervals
from osnet_edge.bench.metrics.scores import RetrievalScores
from osnet_edge.bench.metrics.spread import median_interval, require_interval
from osnet_edge.bench.result.measurements import (
    ColdStart,
    Energy,
    FrameTime,
    Layers,
    Memory,
    Parts,
    Retention,
    StreamRate,
    Sustained,
)

#: A package of ours, the float32 graph opened by hand, or what a user would pick instead.
Role = Literal["package", "reference", "versus"]


@dataclass(frozen=True)
class BatchLatency:
    """Latency of one call at one batch size.

    Attributes:
        batch: pictures a call.
        images_per_second: batch over mean latency: the throughput of one caller.
        latency: statistics of the calls.
        turns_ms: median call of each turn, in the order they were taken.
        median_interval: what encloses the median with 95 %, from the turns; None of fewer than six.
        parts: of a call on a device; None on the CPU, where a call has none.
        cuda_graph: whether calls replayed a CUDA graph; None where there is no such thing.
        transfers: whether a call copies to the device and back; None likewise.
        warnings: what makes these figures doubtful.
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
        # Results of before Rank-20 and mINP were measured have neither.
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
            pictures together, and in results of before it was measured.
        role: what kind of row this is.
        problem: why there is nothing, or nothing more: it crashed, or is not installed.
        package_bytes: of all files of the package.
        streams: throughput of several callers.
        frames: the job of a tracker, by people in the frame.
        sustained: a long run.
        cold_start: from the start of a process to its first embedding.
        memory: at its most.
        energy: of embeddings, by batch and meter.
        layers: time of each layer.
        retention: what it keeps of the reference's embeddings.
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
        """Return the time of a frame with so many people, or None where it was not measured."""
        return next((each for each in self.frames if each.people == people), None)
