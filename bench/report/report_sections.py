"""The page's further sections, each there only where something was measured for it.

All are plain tables: who wants a figure finds it by its name, and the JSON has it in full.
"""

from __future__ import annotations

from html import escape

from osnet_edge.bench.report import _html
from osnet_edge.bench.report.report_inside import layers, limits, parts, retention
from osnet_edge.bench.report.report_jobs import energy, frames, start, streams, sustained
from osnet_edge.bench.result.result import BenchResult

_SECTIONS = (parts, frames, streams, retention, energy, start, sustained, limits, layers)


def further_sections(result: BenchResult) -> str:
    """Return every section that has something to show."""
    return "".join(section(result) for section in _SECTIONS)


def problems(result: BenchResult) -> str:
    """Return what went wrong."""
    lines = [
        f"<li><b>{_html.breakable(engine.name)}</b> {escape(engine.problem)}</li>"
        for engine in result.engines
        if engine.problem
    ]
    missing = f'<h2>Not measured</h2><ul class="card plain">{"".join(lines)}</ul>' if lines else ""
    stopped = (
        '<p class="caution">The benchmark was interrupted; this is what was measured until then.</p>'
        if result.settings.interrupted
        else ""
    )
    return stopped + missing


def warnings(result: BenchResult) -> str:
    """Return what makes single figures doubtful, folded away."""
    lines = [
        f"<li><b>{_html.breakable(engine.name)}</b>, batch {each.batch}: {_html.unbroken(warning)}</li>"
        for engine in result.engines
        for each in engine.batches
        for warning in each.warnings
    ]
    if not lines:
        return ""
    return (
        f'<details class="card"><summary>Warnings ({len(lines)})</summary><ul>{"".join(lines)}</ul></details>'
    )
