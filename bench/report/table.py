"""The result as tables, what engines are, cost and take: for a terminal, and in Markdown."""

from __future__ import annotations

import csv
import io

from osnet_edge.bench.report import _format
from osnet_edge.bench.report.comparisons import FrameRatio, Ratio
from osnet_edge.bench.report.text_tables import Table, aligned, markdown
from osnet_edge.bench.result.result import BatchLatency, BenchResult, EngineResult
from osnet_edge.runtime.package import schema

_ENGINES = ("engine", "precision", "size MB", "load s", "Rank-1 %", "Rank-5 %", "Rank-10 %", "mAP %")
_CSV = (
    "engine",
    "role",
    "variant",
    "precision",
    "target",
    "size_bytes",
    "rank1",
    "mean_ap",
    "batch",
    "people",
    "mean_ms",
    "min_ms",
    "p50_ms",
    "p90_ms",
    "p95_ms",
    "p99_ms",
    "max_ms",
    "cv",
    "iterations",
    "cuda_graph",
    "transfers",
    "enqueue_ms",
    "input_ms",
    "compute_ms",
    "output_ms",
    "without_graph_ms",
    "crop_ms",
    "images_per_second",
    "speedup",
    "problem",
)
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
    further = [_changes(result), _latencies(result), _frames(result), _energy(result), _problems(result)]
    return [_engines(result), *(table for table in further if table.rows)]


def _engines(result: BenchResult) -> Table:
    measured = [engine for engine in result.engines if engine.batches or engine.frames or not engine.problem]
    return Table(_ENGINES, [_engine_cells(engine) for engine in measured], words=2)


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
    speeds = {(ratio.engine, ratio.batch): ratio for ratio in result.ratios()}
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


def _frames(result: BenchResult) -> Table:
    """Return a row for each engine and number of people, with its speed against each base."""
    speeds = {(each.engine, each.against, each.people): each for each in result.frame_ratios()}
    bases = [
        engine
        for engine in result.engines
        if engine.frames and (engine.role == "versus" or engine is result.reference)
    ]
    rows = [
        [
            _format.printable(engine.name),
            str(each.people),
            _format.milliseconds(each.latency.p50_ms),
            _format.MISSING if each.crop_ms is None else _format.milliseconds(each.crop_ms),
            _format.rate(each.people_per_second),
            *(_speed(speeds.get((engine.name, base.name, each.people))) for base in bases),
        ]
        for engine in result.engines
        for each in engine.frames
    ]
    against = tuple(f"against {_format.printable(base.name)}" for base in bases)
    return Table(("engine", "people", "p50 ms", "crops ms", "people/s", *against), rows)


def _energy(result: BenchResult) -> Table:
    rows = [
        [
            _format.printable(engine.name),
            each.source,
            str(each.batch),
            _format.milliseconds(each.idle_w),
            _format.milliseconds(each.busy_w),
            _format.milliseconds(each.joules_per_image * 1e3),
        ]
        for engine in result.engines
        for each in engine.energy
    ]
    return Table(("engine", "energy by", "batch", "rest W", "work W", "mJ an embedding"), rows, words=2)


def _problems(result: BenchResult) -> Table:
    rows = [
        [_format.printable(engine.name), _format.printable(engine.problem)]
        for engine in result.engines
        if engine.problem
    ]
    return Table(("not measured", "because"), rows, words=2)


def csv_table(result: BenchResult) -> str:
    """Return a row for each engine and batch, and each engine and number of people, as CSV.

    The columns are the fields of the JSON; one that does not apply is empty.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV, lineterminator="\n")
    writer.writeheader()
    speeds = {(each.engine, each.batch): each.speedup for each in result.ratios()}
    for engine in result.engines:
        scores = engine.accuracy.scores if engine.accuracy else None
        own = {
            "engine": engine.name,
            "role": engine.role,
            "variant": engine.variant,
            "precision": engine.precision,
            "target": engine.target,
            "size_bytes": engine.size_bytes,
            "problem": engine.problem,
            "rank1": scores.rank1 if scores else None,
            "mean_ap": scores.mean_ap if scores else None,
        }
        jobs: list[dict[str, object]] = [
            {
                "batch": each.batch,
                "images_per_second": each.images_per_second,
                "speedup": speeds.get((engine.name, each.batch)),
                "cuda_graph": each.cuda_graph,
                "transfers": each.transfers,
                **schema.to_json(each.latency),
                **(schema.to_json(each.parts) if each.parts else {}),
            }
            for each in engine.batches
        ]
        jobs += [
            {
                "people": each.people,
                "crop_ms": each.crop_ms,
                "images_per_second": each.people_per_second,
                **schema.to_json(each.latency),
            }
            for each in engine.frames
        ]
        writer.writerows({**own, **job} for job in jobs or [{}])
    return text.getvalue()


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


def _speed(ratio: Ratio | FrameRatio | None) -> str:
    if ratio is None:
        return _format.MISSING
    known = ratio.low is not None and ratio.high is not None
    spread = f" ({ratio.low:.2f} to {ratio.high:.2f})" if known else ""
    return _format.times(ratio.speedup) + spread
