"""What is measured of an engine besides its latency and accuracy; each is one record of the result."""

from __future__ import annotations

import math
from dataclasses import dataclass

from osnet_edge.bench._require import require
from osnet_edge.bench.measure.latency import LatencyStats
from osnet_edge.bench.metrics.spread import median_interval, require_interval


@dataclass(frozen=True)
class Parts:
    """Medians of the parts of a call on a device, in milliseconds; None where the backend does not tell.

    Attributes:
        enqueue_ms: the host's time to hand the work over.
        input_ms: copying to the device.
        compute_ms: on the device.
        output_ms: copying back.
        without_graph_ms: on the device where the work is not handed over as one CUDA graph, as it is in
            `compute_ms`; None where it is not there either.
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
        batch: pictures a call.
        images_per_second: of all together.
    """

    streams: int
    batch: int
    images_per_second: float

    def __post_init__(self) -> None:
        require(self.streams >= 1 and self.batch >= 1, "1 stream and picture or more", self.streams)
        require(self.images_per_second >= 0, "a rate of 0 or more", self.images_per_second)


@dataclass(frozen=True)
class FrameTime:
    """The job of a tracker: a frame and its boxes to embeddings.

    Attributes:
        people: boxes in the frame.
        latency: of the whole, from frame to embeddings.
        crop_ms: median of cutting out and resizing alone; None where the engine does not say.
        people_per_second: people over mean latency.
        turns_ms: median of each turn, in the order they were taken.
        median_interval: what encloses the median with 95 %, from the turns; None of fewer than six.
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
    """A long run of one job, in stretches of equal length.

    Attributes:
        batch: pictures a call.
        stretch_s: length of a stretch.
        median_ms: median call of each stretch.
        memory_bytes: of the process after each stretch; empty where it cannot be read.
        drift: median of the last fifth of the stretches over that of the first fifth, less 1.
        memory_growth_bytes: memory after the last stretch less that after the first fifth; None likewise.
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
    """The most memory of the engine's own process; None where it does not tell.

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
        batch: pictures a call.
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
    """Time of one layer as the backend tells it, which may be several operations fused.

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
    """What an engine keeps of the reference's embeddings, on the same pictures.

    Attributes:
        top_k: how many gallery pictures of each ranking are compared.
        top_k_agreement: share of the reference's first k that are among the engine's, mean over queries.
        centred_cosine_mean: cosine of each picture's two embeddings once the mean of the reference's is
            taken off, mean over pictures. With it on, any two pictures look alike.
        centred_cosine_min: of the worst picture.
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
