"""The roofline: what each engine computes in a second, below what memory and arithmetic allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from osnet_edge.bench import _format
from osnet_edge.bench.charts import Chart, Frame, Series, drawing, marker, named
from osnet_edge.bench.limits import Ceilings


def roofline_chart(chart: Chart, ceilings: Ceilings, series: Sequence[Series]) -> str:
    """Return the roofs and the engines' points, both axes logarithmic.

    Args:
        chart: what it says besides its points.
        ceilings: of the machine; without the copy's there is no slanted roof.
        series: engines' points, (operations a byte, operations a second).
    """
    points = [point for each in series for point in each.points]
    peaks = ceilings.operations_per_second
    copied = ceilings.bytes_per_second
    ridges = [peak / copied for peak in peaks.values()] if copied else []
    x_range = _decades([*(x for x, _ in points), *ridges])
    y_range = _decades([*(y for _, y in points), *peaks.values()])
    frame = Frame(x_range, y_range)
    body = frame.axes(chart, _ticks(x_range, "{:g}".format), _ticks(y_range, _tick))
    for place, (precision, peak) in enumerate(sorted(peaks.items(), key=lambda pair: pair[1])):
        left = max(x_range[0], math.log10(peak / copied)) if copied else x_range[0]
        (x1, y1), (x2, _) = frame.place(left, math.log10(peak)), frame.place(x_range[1], math.log10(peak))
        body.append(f'<path class="roof" d="M{x1:.1f} {y1:.1f}H{x2:.1f}"/>')
        # Side by side, since roofs may lie close to each other.
        at = x2 - 4 - 62 * place
        label = f"{precision} {_format.operations(peak)}"
        body.append(f'<text class="end roof-name" x="{at:.1f}" y="{y1 - 4:.1f}">{label}</text>')
    if copied and peaks:
        top = math.log10(max(peaks.values()))
        low = max(y_range[0], x_range[0] + math.log10(copied))
        start, end = (frame.place(y - math.log10(copied), y) for y in (low, top))
        body.append(f'<path class="roof" d="M{start[0]:.1f} {start[1]:.1f}L{end[0]:.1f} {end[1]:.1f}"/>')
    placed = [
        (frame.place(*(math.log10(max(value, 1e-9)) for value in point)), each)
        for each in series
        for point in each.points
    ]
    body += [marker(each.slot, *place, tip=each.name) for place, each in placed]
    body += named(placed)
    return drawing(chart, body)


def _decades(values: Sequence[float]) -> tuple[float, float]:
    logs = [math.log10(value) for value in values if value > 0] or [0.0]
    low, high = math.floor(min(logs)), math.ceil(max(logs) + 0.1)
    return float(low), float(max(high, low + 1))


def _tick(rate: float) -> str:
    """Return a power of ten in few letters, such as 10G: the axis's name stands close by."""
    number, _, prefix = _format.operations(rate).partition(" ")
    return f"{float(number):g}{prefix}"


def _ticks(ends: tuple[float, float], shown: Callable[[float], str]) -> list[tuple[float, str]]:
    return [(float(power), shown(10.0**power)) for power in range(int(ends[0]), int(ends[1]) + 1)]
