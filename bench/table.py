"""The result as two tables, what the engines are and how long they take: for a terminal, and in Markdown."""

from __future__ import annotations

from osnet_edge.bench import _format
from osnet_edge.bench.result import BatchLatency, BenchResult, EngineResult
from osnet_edge.bench.text_tables import Table, aligned, markdown

_ENGINES = ("engine", "precision", "size MB", "load s", "Rank-1 %", "Rank-5 %", "Rank-10 %", "mAP %")
_LATENCIES = ("engine", "batch", "p50 ms", "p90 ms", "p95 ms", "p99 ms", "images/s", "speed")


def text_table(result: BenchResult) -> str:
    """Return both tables, aligned: a line for each engine, then a line for each engine and batch.

    "speed" is the reference's p50 over this engine's at the same batch.
    """
    return "\n".join(aligned(table) for table in (_engines(result), _latencies(result)))


def markdown_table(result: BenchResult) -> str:
    """Return the tables of `text_table` in Markdown (GitHub flavour), numbers to the right."""
    return "\n".join(markdown(table) for table in (_engines(result), _latencies(result)))


def _engines(result: BenchResult) -> Table:
    return Table(_ENGINES, [_engine_cells(engine) for engine in result.engines], words=2)


def _latencies(result: BenchResult) -> Table:
    speeds = {(ratio.engine, ratio.batch): ratio.speedup for ratio in result.ratios()}
    rows = [
        [
            _format.printable(engine.name),
            *_latency_cells(measured),
            "reference" if engine.reference else _speed(speeds.get((engine.name, measured.batch))),
        ]
        for engine in result.engines
        for measured in engine.batches
    ]
    return Table(_LATENCIES, rows)


def _engine_cells(engine: EngineResult) -> list[str]:
    scores = engine.accuracy.scores if engine.accuracy else None
    shares = (scores.rank1, scores.rank5, scores.rank10, scores.mean_ap) if scores else ()
    return [
        _format.printable(engine.name),
        _format.printable(engine.precision),
        _format.megabytes(engine.size_bytes),
        _format.milliseconds(engine.load_seconds),
        *([_format.percent(share) for share in shares] or [_format.MISSING] * 4),
    ]


def _latency_cells(measured: BatchLatency) -> list[str]:
    stats = measured.latency
    times = (stats.p50_ms, stats.p90_ms, stats.p95_ms, stats.p99_ms)
    return [
        str(measured.batch),
        *(_format.milliseconds(value) for value in times),
        _format.rate(measured.images_per_second),
    ]


def _speed(speed: float | None) -> str:
    return _format.MISSING if speed is None else _format.times(speed)
