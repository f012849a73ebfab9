"""The result as a table: for a terminal, and in Markdown."""

from __future__ import annotations

from osnet_edge.bench import _format
from osnet_edge.bench.result import BatchLatency, BenchResult, EngineResult

_HEADERS = (
    "engine",
    "precision",
    "size MB",
    "load s",
    "Rank-1 %",
    "mAP %",
    "batch",
    "p50 ms",
    "p99 ms",
    "images/s",
    "speed",
)
_TEXT_COLUMNS = 2


def text_table(result: BenchResult) -> str:
    """Return an aligned table, one line per engine and batch; what belongs to the engine stands once.

    "speed" is the reference's p50 over this engine's at the same batch.
    """
    rows = [list(_HEADERS), *_rows(result)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADERS))]
    rows.insert(1, ["-" * width for width in widths])
    lines = ("  ".join(_aligned(row, widths)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


def markdown_table(result: BenchResult) -> str:
    """Return the table of `text_table` in Markdown (GitHub flavour), numbers to the right."""
    rules = ["---" if column < _TEXT_COLUMNS else "---:" for column in range(len(_HEADERS))]
    body = [[cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row] for row in _rows(result)]
    return "".join(f"| {' | '.join(row)} |\n" for row in (_HEADERS, rules, *body))


def _rows(result: BenchResult) -> list[list[str]]:
    speeds = {(ratio.engine, ratio.batch): ratio.speedup for ratio in result.ratios()}
    rows = []
    for engine in result.engines:
        own = _engine_cells(engine)
        # An engine whose speed was not measured still has its accuracy and size to show.
        for latency in engine.batches or (None,):
            speed = speeds.get((engine.name, latency.batch)) if latency else None
            rows.append([*own, *_latency_cells(latency, speed, engine.reference)])
            own = [""] * len(own)
    return rows


def _engine_cells(engine: EngineResult) -> list[str]:
    scores = engine.accuracy.scores if engine.accuracy else None
    return [
        _format.printable(engine.name),
        _format.printable(engine.precision),
        _format.megabytes(engine.size_bytes),
        _format.milliseconds(engine.load_seconds),
        _format.percent(scores.rank1) if scores else _format.MISSING,
        _format.percent(scores.mean_ap) if scores else _format.MISSING,
    ]


def _latency_cells(measured: BatchLatency | None, speed: float | None, reference: bool) -> list[str]:
    if measured is None:
        return [_format.MISSING] * 5
    stats = measured.latency
    return [
        str(measured.batch),
        *(_format.milliseconds(value) for value in (stats.p50_ms, stats.p99_ms)),
        _format.rate(measured.images_per_second),
        "reference" if reference else _format.MISSING if speed is None else _format.times(speed),
    ]


def _aligned(row: list[str], widths: list[int]) -> list[str]:
    return [
        cell.ljust(width) if column < _TEXT_COLUMNS else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
