"""The result as tables, what engines are, cost and take: for a terminal, and in Markdown."""

from __future__ import annotations

from osnet_edge.bench import _format
from osnet_edge.bench.result import BatchLatency, BenchResult, EngineResult
from osnet_edge.bench.text_tables import Table, aligned, markdown

_ENGINES = ("engine", "precision", "size MB", "load s", "Rank-1 %", "Rank-5 %", "Rank-10 %", "mAP %")
_LATENCIES = ("engine", "batch", "p50 ms", "p90 ms", "p95 ms", "p99 ms", "images/s", "speed")


def text_table(result: BenchResult) -> str:
    """Return the tables, aligned: a line for each engine, one for what it costs, one for each of its batches.

    What it costs is its change from the reference in percentage points, with the interval by a paired
    bootstrap over the queries, where the engines were scored together. "speed" is the reference's p50 over
    this engine's at the same batch.
    """
    return "\n".join(aligned(table) for table in _tables(result))


def markdown_table(result: BenchResult) -> str:
    """Return the tables of `text_table` in Markdown (GitHub flavour), numbers to the right."""
    return "\n".join(markdown(table) for table in _tables(result))


def _tables(result: BenchResult) -> list[Table]:
    changes = _changes(result)
    return [_engines(result), *([changes] if changes.rows else []), _latencies(result)]


def _engines(result: BenchResult) -> Table:
    return Table(_ENGINES, [_engine_cells(engine) for engine in result.engines], words=2)


def _changes(result: BenchResult) -> Table:
    measured = [(each, each.intervals) for each in result.accuracy_changes() if each.intervals]
    rows = [
        [
            _format.printable(change.engine),
            _format.points(change.mean_ap),
            _format.interval(intervals.mean_ap),
            _format.points(change.rank1),
            _format.interval(intervals.rank1),
        ]
        for change, intervals in measured
    ]
    shares = sorted({f"{intervals.confidence * 100:g} %" for _, intervals in measured})
    heads = ("engine", "mAP points", "%s interval", "Rank-1 points", "%s interval")
    return Table(tuple(head.replace("%s", ", ".join(shares)) for head in heads), rows)


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
