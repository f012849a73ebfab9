"""A small result to make tables and pages of; every number is made up and easy to find again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from osnet_edge.bench import (
    Accuracy,
    BatchLatency,
    BenchResult,
    ChangeIntervals,
    EngineResult,
    LatencyStats,
    MachineFacts,
    RetrievalScores,
    Settings,
)
from osnet_edge.bench.devices.jetson import JetsonFacts
from osnet_edge.bench.devices.nvml import GpuFacts
from osnet_edge.bench.result.limits import Ceilings, LayerWork, Work
from osnet_edge.bench.result.measurements import (
    ColdStart,
    Energy,
    FrameTime,
    Layers,
    LayerTime,
    Memory,
    Parts,
    Retention,
    StreamRate,
    Sustained,
)
from osnet_edge.bench.result.tracking import TrackedSet, Tracking
from osnet_edge.track.change import TracksChange
from osnet_edge.track.scores import TrackingScores

#: Of a change of -1.04 points.
INTERVALS = ChangeIntervals((-0.0221, 0.0011), (-0.0162, -0.0048), 0.95, 2000)


def engine(
    name: str,
    p50_by_batch: Mapping[int, float],
    mean_ap: float | None = 0.45,
    *,
    reference: bool = False,
    precision: str = "fp32",
    data_set: str = "synthetic",
    spread: float = 0.02,
) -> EngineResult:
    batches = []
    for batch, p50 in p50_by_batch.items():
        p50_ns = p50 * 1e6
        samples = [round(p50_ns * (1 + spread * step)) for step in (-1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4)]
        batches.append(BatchLatency.of(batch, LatencyStats.from_nanoseconds(samples)))
    accuracy = None
    if mean_ap is not None:
        scores = RetrievalScores(mean_ap - 0.1, mean_ap, mean_ap + 0.1, mean_ap, 632, 2, 640)
        accuracy = Accuracy(data_set, "cosine", scores)
    return EngineResult(
        name=name,
        variant="osnet_x0_25",
        precision=precision,
        target="onnxruntime",
        size_bytes=1_234_567,
        load_seconds=0.321,
        batches=tuple(batches),
        accuracy=accuracy,
        reference=reference,
    )


def compared() -> BenchResult:
    """Return a result whose engines were scored together, so that intervals are known."""
    reference, int8 = result().engines
    return result(reference, replace(int8, change_intervals=INTERVALS))


def everything() -> BenchResult:
    """Return a result with every kind of figure, none of them round, so that each can be found again."""
    reference, int8 = compared().engines

    def timed(each: EngineResult, by: float) -> EngineResult:
        turns = tuple(step * by for step in (1.013, 1.027, 1.041, 1.053, 1.069, 1.087, 1.091))
        batches = tuple(BatchLatency.of(b.batch, b.latency, turns) for b in each.batches)
        latency = LatencyStats.from_nanoseconds([round(step * 23e6) for step in turns])
        interval = batches[0].median_interval
        frame = FrameTime(32, latency, 7.77, latency.images_per_second(32), turns, interval)
        accuracy = each.accuracy
        if accuracy:
            scores = replace(accuracy.scores, rank20=0.6789, mean_inp=0.1311 + by / 1000)
            accuracy = replace(accuracy, scores=scores)
        return replace(
            each,
            accuracy=accuracy,
            batches=(replace(batches[0], warnings=("calls vary: 7.31 %, above 2.5 %",)), *batches[1:]),
            frames=(frame,),
            streams=(StreamRate(2, 8, 1717.1),),
            sustained=Sustained(8, 0.55, (9.91, 9.97, 9.83, 9.79, 10.41), (10**8,) * 4 + (10**8 + 3_210_000,),
                                10.41 / 9.91 - 1, 3_210_000),
            cold_start=ColdStart(5, 0.27, (0.21, 0.33), 0.131, 0.083, 0.0123),
            memory=Memory(123_450_000, 67_800_000),
            package_bytes=3_456_789,
            energy=(Energy(8, "module, INA3221 VDD_IN", 4.321, 9.876, 0.006543),),
            layers=Layers(8, (LayerTime("conv1", "Conv", 0.789), LayerTime("fc", "Gemm", 0.147))),
        )  # fmt: skip

    kept = Retention(10, 0.9234, 0.98765, 0.54321, ("a.jpg", "b.jpg", "c.jpg", "d.jpg"), ())
    intervals = replace(INTERVALS, mean_inp=(-0.0123, 0.0077))
    rival = replace(timed(engine("BoxMOT", {1: 3.3}), 2.1), role="versus")
    plan = engine("trtexec on osnet-rtx", {1: 0.71}, None)
    parts = Parts(enqueue_ms=0.613, input_ms=0.0317, compute_ms=0.6283, output_ms=0.0113)
    parts = replace(parts, without_graph_ms=0.7417)
    copied = replace(plan.batches[0], parts=parts, cuda_graph=False, transfers=True)
    plan = replace(plan, role="versus", batches=(copied,))
    gone = replace(engine("rtx", {}, None), problem="no NVIDIA driver is installed")
    base = result(
        replace(timed(reference, 2.0), role="reference"),
        replace(timed(int8, 1.0), retention=kept, change_intervals=intervals),
        rival,
        plan,
        gone,
    )
    board = JetsonFacts(
        "Jetson Orin Nano", "36.4.3", "6.2", "15W", "on", "34 %", {"cpu": 46.125}, {"VDD_IN": 7.55}
    )
    gpu = GpuFacts("Orin", "540.4", 1020, None, 25.0, 46.5, ("power cap",))
    work = Work((LayerWork("conv1", "Conv", 178_000_000, 2_500_000, 203_000),), 98_304, 2_048)
    return replace(
        base,
        machine=replace(base.machine, load=1.23, jetson=board, gpu=gpu),
        settings=replace(base.settings, frames="drawn, 1920x1080", power="module, INA3221 VDD_IN"),
        ceilings=Ceilings(21.7e9, {"fp32": 87.3e9, "int8": 345.6e9}),
        work=work,
    )


def tracked(base: BenchResult, *idf1: float | None, threshold: float = 0.6) -> BenchResult:
    """Return a result with tracks by motion alone, and by engines of these IDF1 in percent; None: without."""

    def row(percent: float) -> Tracking:
        change = TracksChange(percent - (idf1[0] or 0), 0.0, 0.0, (-3.21, 4.56), None, None, "16 windows")
        scores = TrackingScores(61.23, 71.34, 52.45, percent, 81.56, 17, 29)
        of = Tracking.of(scores, 48.67, 0.789, crop_ms=1.234, embed_ms=5.678, change=change)
        return replace(of, change=None) if percent == idf1[0] else of

    engines = tuple(
        replace(each, tracking=None if percent is None else row(percent))
        for each, percent in zip(base.engines, idf1, strict=True)
    )
    motion = Tracking.of(TrackingScores(41.0, 71.0, 31.0, 43.21, 80.0, 99, 30), 33.3, 0.5)
    seen = TrackedSet(("camera-1", "camera-2"), ("det.txt",), 360, 2.34, ("site",), threshold, motion)
    return replace(base, engines=engines, tracked=seen)


def result(
    *engines: EngineResult, command: str = "osnet-edge bench a b", cpu: str = "Some CPU"
) -> BenchResult:
    if not engines:
        engines = (
            engine("x0_25-fp32", {1: 1.7, 8: 9.76, 32: 41.9}, 0.4579, reference=True),
            engine("x0_25-int8", {1: 0.85, 8: 7.04, 32: 28.2}, 0.4475, precision="int8"),
        )
    return BenchResult(
        machine=MachineFacts(
            cpu=cpu,
            architecture="x86_64",
            logical_cores=2,
            governor="not available",
            memory_bytes=8 * 2**30,
            os="Linux 6.1",
            accelerator="not available",
            versions={"python": "3.11.7", "numpy": "2.4.6", "onnxruntime": "1.32.0"},
        ),
        settings=Settings(
            command=command,
            created="2026-01-02T03:04:05Z",
            threads=1,
            batches=(1, 8, 32),
            warmup_s=0.2,
            duration_s=3.0,
            min_iterations=10,
            interleaved=True,
            measured="inference",
        ),
        engines=engines,
    )
