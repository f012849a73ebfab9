"""The page's tables: engines side by side, then every batch of each."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from osnet_edge.bench.report import _format, _html
from osnet_edge.bench.report.comparisons import FrameRatio, Ratio
from osnet_edge.bench.report.report_group import grouped, optional
from osnet_edge.bench.result.result import BenchResult, EngineResult

# What decides comes first: on a phone the rest is a swipe away.
_SCORES = {"mean_ap": "mAP", "rank1": "Rank-1", "mean_inp": "mINP", "rank5": "Rank-5", "rank10": "Rank-10"}
_OVERVIEW = (*((label, "%") for label in _SCORES.values()), ("Size", "MB"), ("Load", "s"))
_BATCHES = (
    ("Batch", "images"),
    ("p50", "ms"),
    ("p90", "ms"),
    ("p95", "ms"),
    ("p99", "ms"),
    ("max", "ms"),
    ("Rate", "images/s"),
    ("Speed", "x ref."),
)


def overview_table(result: BenchResult) -> str:
    """Return a row for each engine, its speed at the smallest common batch, and what the columns mean."""
    speed = () if result.common_batch is None else (("p50", "ms"), ("Speed", "x ref."))
    rows = "".join(
        _html.row(
            f"{_html.breakable(engine.name)}<small>{_kind(engine)}</small>",
            _speed_cells(engine, result) + _own_cells(engine, result),
        )
        for engine in result.engines
        if engine.batches or engine.frames or not engine.problem
    )
    heads = _html.heads((("Engine", ""), *speed, *_OVERVIEW))
    return _html.table("overview", "Engines", f"<thead>{heads}</thead><tbody>{rows}</tbody>") + _html.note(
        _definitions(result)
    )


def batch_table(result: BenchResult) -> str:
    """Return a section with a group of rows for each engine that was timed, a row for each batch."""
    speeds = _ratios(result)

    def rows(engine: EngineResult) -> Iterable[list[str]]:
        for each in engine.batches:
            stats = each.latency
            p50, *others = map(
                _format.milliseconds, (stats.p50_ms, stats.p90_ms, stats.p95_ms, stats.p99_ms, stats.max_ms)
            )
            yield [
                str(each.batch),
                p50 + _interval(each.median_interval),
                *others,
                _format.rate(each.images_per_second),
                ratio_cell(speeds.get((engine.name, each.batch))),
            ]

    note = (
        "p50 to p99: half, 90 %, 95 % and 99 % of the calls take at most this long; below p50, what encloses "
        "it with 95 %. Rate: batch over mean latency, of one caller. Speed: the reference's time over this "
        "engine's, median over rounds of turns, and its 95 % interval."
    )
    return grouped(result, "Latency at every batch", _BATCHES, rows, note)


def ratio_cell(ratio: Ratio | FrameRatio | None) -> str:
    """Return a speed with its interval below."""
    if ratio is None:
        return _format.MISSING
    known = ratio.low is not None and ratio.high is not None
    return f"{ratio.speedup:.2f}" + (f"<small>{ratio.low:.2f} to {ratio.high:.2f}</small>" if known else "")


def _speed_cells(engine: EngineResult, result: BenchResult) -> list[str]:
    measured = engine.at(result.common_batch) if result.common_batch is not None else None
    if measured is None:
        return [_format.MISSING] * 2 if result.common_batch is not None else []
    return [
        _format.milliseconds(measured.latency.p50_ms) + _interval(measured.median_interval),
        ratio_cell(_ratios(result).get((engine.name, measured.batch))),
    ]


def _interval(ends: tuple[float, float] | None) -> str:
    return f"<small>{_format.between(ends)}</small>" if ends else ""


def _ratios(result: BenchResult) -> dict[tuple[str, int], Ratio]:
    return {(ratio.engine, ratio.batch): ratio for ratio in result.ratios()}


def _own_cells(engine: EngineResult, result: BenchResult) -> list[str]:
    scores = engine.accuracy.scores if engine.accuracy else None
    below = _changes(engine, result)
    return [
        *(
            optional(scores and getattr(scores, name), _format.percent) + below.get(name, "")
            for name in _SCORES
        ),
        _format.megabytes(engine.size_bytes),
        _format.milliseconds(engine.load_seconds),
    ]


def _changes(engine: EngineResult, result: BenchResult) -> dict[str, str]:
    """Return what stands below a score: its change from the reference, and the interval of that."""
    change = next((each for each in result.accuracy_changes() if each.engine == engine.name), None)
    if change is None or engine.reference:
        return {}
    found = {}
    for name in ("mean_ap", "rank1", "mean_inp"):
        points, ends = getattr(change, name), change.intervals and getattr(change.intervals, name)
        if points is not None:
            below = f"<small>{_format.interval(ends)}</small>" if ends else ""
            found[name] = f"<small>{_format.points(points)}</small>{below}"
    return found


def _kind(engine: EngineResult) -> str:
    mark = "<b>reference</b>, " if engine.reference else ""
    return mark + escape(f"{engine.precision}, {engine.target}")


def _definitions(result: BenchResult) -> str:
    text = "Speed: the reference's time over this engine's, and its 95 % interval."
    base = result.reference.accuracy
    if base is None:
        return text
    scores = base.scores
    skipped = f" ({scores.skipped} without a match, left out)" if scores.skipped else ""
    return (
        f"{text} mAP, Rank-k and mINP: Market-1501 protocol on {base.data_set}, {scores.queries} "
        f"queries{skipped} against {scores.gallery} gallery pictures, {base.distance} distance. "
        f"Below each, its change from the reference in percentage points{_interval_meaning(result)}."
    )


def _interval_meaning(result: BenchResult) -> str:
    """Say what the intervals are; where engines have different ones, all that are there."""
    found = [engine.change_intervals for engine in result.engines if engine.change_intervals]
    if not found:
        return ""
    kinds = sorted({f"{each.confidence * 100:g} % interval ({each.samples} resamples)" for each in found})
    return f", and its {' or '.join(kinds)} by a paired bootstrap over the queries"
