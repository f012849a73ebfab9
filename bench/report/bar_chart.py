"""Bars, one below the other, each with its name and figure above it: names are long, and phones narrow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from osnet_edge.bench.report.charts import COLOURS, WIDTH, Chart, Series, drawing, shortened

_ROW = 42


def bar_chart(chart: Chart, series: Sequence[Series], shown: Callable[[float], str]) -> str:
    """Return a bar from zero for each series' only x.

    Args:
        chart: what it says besides its bars; there are no axes.
        series: from the top.
        shown: a figure in words.
    """
    most = max((x for each in series for x, _ in each.points), default=0) or 1
    body = []
    for index, each in enumerate(series):
        x, top = each.points[0][0], index * _ROW
        wide = max(x, 0) / most * WIDTH
        body += [
            f'<text x="0" y="{top + 22}">{escape(shortened(each.name))}</text>',
            f'<text class="end" x="{WIDTH}" y="{top + 22}">{shown(x)}</text>',
            f'<path class="mark c{each.slot % COLOURS}" d="M0 {top + 28}h{wide:.1f}v10H0Z"/>',
        ]
    return drawing(chart, body, _ROW * len(series))
