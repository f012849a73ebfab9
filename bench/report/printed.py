"""A result as text, Markdown and CSV: which tables are printed, and in which order."""

from __future__ import annotations

import csv
import io
from typing import Any

from osnet_edge.bench.report.render import Table, aligned, markdown
from osnet_edge.bench.report.tables import (
    batches,
    call_parts,
    changes,
    energy,
    engines,
    frames,
    problems,
    thresholds,
)
from osnet_edge.bench.report.tracking import tracking_table
from osnet_edge.bench.result.result import BenchResult

#: How a cell begins that spreadsheets take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
#: The order of CSV that readers of it know; further columns come behind these.
_CSV_ORDER = (
    *("engine", "role", "variant", "precision", "target", "size_bytes", "rank1", "mean_ap"),
    *("batch", "people", "mean_ms", "min_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms", "cv"),
    *("iterations", "cuda_graph", "transfers", "enqueue_ms", "input_ms", "compute_ms", "output_ms"),
    *("without_graph_ms", "crop_ms", "images_per_second", "speedup", "problem"),
)


def text_table(result: BenchResult) -> str:
    """Return the tables, aligned: a line for each engine, one for what it costs, one for each of its batches.

    What it costs is its change from the reference in percentage points, with the interval by a paired
    bootstrap over the queries, where the engines were scored together. "speed" is the reference's p50 over
    this engine's at the same batch.
    """
    return "\n".join(aligned(table.as_text()) for table in _in_text(result))


def markdown_table(result: BenchResult) -> str:
    """Return the tables of `text_table` in Markdown (GitHub flavour), numbers to the right."""
    return "\n".join(markdown(table.as_text()) for table in _in_text(result))


def csv_table(result: BenchResult) -> str:
    """Return a row for each engine and batch, and each engine and number of people, as CSV.

    Where people were tracked, a row more has the tracks by motion alone.

    The columns are the fields of the JSON; one that does not apply is empty.
    """
    jobs: dict[str, list[dict[str, Any]]] = {engine.name: [] for engine in result.engines}
    timed, parts, framed = batches(result), call_parts(result, every=True), frames(result)
    for row, record, further in zip(timed.rows, timed.records(), parts.records(), strict=True):
        jobs[row.name].append({**record, **further})
    for frame, record in zip(framed.rows, framed.records(), strict=True):
        jobs[frame.name].append(record)
    own, tracked = engines(result, every=True), tracking_table(result)
    tracks = {record["engine"]: record for record in tracked.records()}
    rows = [
        {**record, **tracks.get(record["engine"], {}), **job}
        for record in own.records()
        for job in jobs[record["engine"]] or [{}]
    ]
    rows += [record for name, record in tracks.items() if name not in jobs]
    tables: list[Table[Any]] = [own, timed, parts, framed, *([tracked] if tracked.rows else [])]
    columns = {column.csv for table in tables for column in table.columns}
    text = io.StringIO()
    added = sorted(columns - {*_CSV_ORDER, ""})
    writer = csv.DictWriter(text, [*_CSV_ORDER, *added], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _as_text(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _as_text(value: Any) -> Any:
    """Return a cell that a spreadsheet shows and does not compute: names come from whoever made a package."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _in_text(result: BenchResult) -> list[Table[Any]]:
    further = (
        changes(result),
        tracking_table(result),
        thresholds(result),
        batches(result),
        frames(result),
        energy(result),
        problems(result),
    )
    return [engines(result), *(table for table in further if table.rows)]
