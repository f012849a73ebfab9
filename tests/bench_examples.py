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
