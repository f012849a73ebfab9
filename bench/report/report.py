"""The result as one HTML page that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from osnet_edge.bench.report import _format, _html
from osnet_edge.bench.report._style import STYLE
from osnet_edge.bench.report.bar_chart import bar_chart
from osnet_edge.bench.report.charts import COLOURS, Chart, Series, line_chart, marker, scatter_chart
from osnet_edge.bench.report.picture_section import PictureSection, picture_sections
from osnet_edge.bench.report.report_machine import machine_section
from osnet_edge.bench.report.report_sections import further_sections, problems, warnings
from osnet_edge.bench.report.report_table import batch_table, overview_table
from osnet_edge.bench.report.roofline_chart import roofline_chart
from osnet_edge.bench.report.summary import caution, fastest, summary
from osnet_edge.bench.result.result import BenchResult
from osnet_edge.runtime.errors import InputError


def html_report(
    results: Sequence[BenchResult],
    *,
    title: str = "OSNet engines, measured",
    sections: Sequence[PictureSection] = (),
) -> str:
    """Return the page: for each result a summary, tables, charts, and what to type to repeat it.

    Args:
        results: one per machine or run, in order. Every number on the page is one of theirs, or follows from
            two of them.
        title: of the page.
        sections: pictures to show after the figures.

    Raises:
        InputError: there is no result.
    """
    if not results:
        raise InputError("expected at least one benchmark result to show, but got none")
    return _html.page(title, html_report_body(results) + picture_sections(sections))


def html_report_body(results: Sequence[BenchResult]) -> str:
    """Return what the page says of each result, for a page that says more."""
    several = len(results) > 1
    return "".join(_result(result, f"r{index}", several) for index, result in enumerate(results))


def _result(result: BenchResult, key: str, several: bool) -> str:
    heading = f"<h2>{escape(result.machine.cpu)}</h2>" if several else ""
    warning = caution(result)
    noisy = f'<p class="caution">{_html.unbroken(warning)}</p>' if warning else ""
    return (
        f'<section>{heading}<p class="lead">{_html.unbroken(summary(result))}</p>{noisy}{_tiles(result)}'
        f"<h2>{_engines_at(result)}</h2>{overview_table(result)}{problems(result)}{_legend(result)}"
        f'<div class="charts">{_latency_chart(result, key)}{_accuracy_chart(result, key)}'
        f"{_roofline(result, key)}{_energy_chart(result, key)}</div>"
        f"{batch_table(result)}{warnings(result)}{further_sections(result)}"
        f'<h2>Machine and settings</h2><div class="card">{machine_section(result)}</div>'
        f"<h2>Repeat it</h2>{_html.command(result.settings.command)}</section>"
    )


def _engines_at(result: BenchResult) -> str:
    return "Engines" if result.common_batch is None else f"Engines at batch {result.common_batch}"


def _tiles(result: BenchResult) -> str:
    """Return the three figures that people look for first."""
    tiles = []
    best, batch = fastest(result), result.common_batch
    if best is not None and batch is not None and (measured := best.at(batch)):
        p50 = _format.milliseconds(measured.latency.p50_ms)
        tiles.append(("Shortest call", f"{p50} ms", f"{best.name}, batch {batch}, p50"))
    rates = [(each, engine) for engine in result.candidates for each in engine.batches]
    if rates:
        each, engine = max(rates, key=lambda pair: pair[0].images_per_second)
        most = _format.rate(each.images_per_second)
        tiles.append(("Most images a second", most, f"{engine.name}, batch {each.batch}"))
    scored = [(engine.accuracy, engine) for engine in result.candidates if engine.accuracy]
    if scored:
        accuracy, engine = max(scored, key=lambda pair: pair[0].scores.mean_ap)
        mean_ap = f"{_format.percent(accuracy.scores.mean_ap)} %"
        tiles.append(("Highest mAP", mean_ap, f"{engine.name}, on {accuracy.data_set}"))
    shown = "".join(
        f'<div class="card"><div class="soft">{label}</div><div class="value">{value}</div>'
        f'<div class="soft">{escape(where)}</div></div>'
        for label, value, where in tiles
    )
    return f'<div class="tiles">{shown}</div>'


def _legend(result: BenchResult) -> str:
    entries = "".join(
        f'<li><svg viewBox="-8 -8 16 16" aria-hidden="true">{marker(slot)}</svg>'
        f"{_html.breakable(engine.name)}</li>"
        for slot, engine in enumerate(result.engines)
    )
    return f'<h2>Charts</h2><ul class="key" aria-label="Markers of the engines">{entries}</ul>'


def _latency_chart(result: BenchResult, key: str) -> str:
    batches = sorted({each.batch for engine in result.engines for each in engine.batches})
    if not batches:
        return ""
    series = [
        Series(
            engine.name,
            slot,
            tuple((batches.index(b.batch), b.latency.p50_ms / b.batch) for b in engine.batches),
        )
        for slot, engine in enumerate(result.engines)
    ]
    told = "; ".join(
        f"{engine.name}: "
        + ", ".join(
            f"{_format.milliseconds(b.latency.p50_ms / b.batch)} ms at batch {b.batch}"
            for b in engine.batches
        )
        for engine in result.engines
        if engine.batches
    )
    chart = Chart(f"{key}-latency", "Latency against batch", told, "batch", "ms an image")
    note = "p50 latency of a call divided by its images. Lower is better."
    return _figure(chart, note, line_chart(chart, batches, series))


def _accuracy_chart(result: BenchResult, key: str) -> str:
    batch = result.common_batch
    comparable = {change.engine for change in result.accuracy_changes()}
    series, told = [], []
    for slot, engine in enumerate(result.engines):
        measured = engine.at(batch) if batch is not None else None
        if measured and engine.accuracy and engine.name in comparable:
            point = (measured.latency.p50_ms, engine.accuracy.scores.mean_ap * 100)
            series.append(Series(engine.name, slot, (point,)))
            told.append(f"{engine.name}: {_format.milliseconds(point[0])} ms, mAP {point[1]:.2f} %")
    if not series:
        return ""
    chart = Chart(
        f"{key}-accuracy", "Accuracy against latency", "; ".join(told), f"p50 ms, batch {batch}", "mAP %"
    )
    note = (
        "Up and to the left is better; below and to the right of the line (Pareto front) an engine is beaten "
        "in both. The mAP axis does not start at zero."
    )
    return _figure(chart, note, scatter_chart(chart, series))


def _roofline(result: BenchResult, key: str) -> str:
    if not result.limits() or result.ceilings is None:
        return ""
    series, told = [], []
    for slot, engine in enumerate(result.engines):
        own = [each for each in result.limits() if each.engine == engine.name]
        if own:
            best = max(own, key=lambda each: each.operations_per_second)
            series.append(
                Series(engine.name, slot, ((best.operations_per_byte, best.operations_per_second),))
            )
            told.append(
                f"{engine.name}: {_format.operations(best.operations_per_second)} operations a second"
            )
    chart = Chart(
        f"{key}-roofline",
        "Roofline",
        "; ".join(told),
        "operations a byte, nothing fused",
        "operations a second",
    )
    note = (
        "Each engine at its best batch, below what arithmetic in its precision (flat) and a large copy "
        "(slanted) allow. Engines that keep numbers in caches may stand above the slanted roof."
    )
    return _figure(chart, note, roofline_chart(chart, result.ceilings, series))


def _energy_chart(result: BenchResult, key: str) -> str:
    sources = {each.source for engine in result.engines for each in engine.energy}
    series = [
        Series(
            f"{engine.name}, {each.source}" if len(sources) > 1 else engine.name,
            slot,
            ((each.joules_per_image, 0),),
        )
        for slot, engine in enumerate(result.engines)
        for each in engine.energy
    ]
    if not series:
        return ""
    told = "; ".join(f"{each.name}: {_format.joules(each.points[0][0])}" for each in series)
    chart = Chart(f"{key}-energy", "Energy of an embedding", told, "", "")
    note = f"By {' and '.join(sorted(sources))}, less what is drawn at rest. Shorter is better."
    return _figure(chart, note, bar_chart(chart, series, _format.joules))


def _figure(chart: Chart, note: str, drawing: str) -> str:
    return (
        f'<figure class="card"><h3>{escape(chart.title)}</h3><figcaption>{escape(note)}</figcaption>'
        f"{drawing}</figure>"
    )


assert STYLE.count("{--c:") == COLOURS, "every colour of the charts needs its class in the style sheet"
