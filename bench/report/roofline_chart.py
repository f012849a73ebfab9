"""The roofline: what each engine computes in a second, below what memory and arithmetic allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from osnet_edge.bench.report import _format
from osnet_edge.bench.report.charts import Chart, Frame, Series, drawing, marker, named
from osnet_edge.bench.report.front import Place
from osnet_edge.bench.result.limits import Ceilings

#: Of a roof's name on a phone.
_NAME_WIDTH, _NAME_HEIGHT = 92, 18


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
    roofs: list[tuple[Place, Place]] = []
    names: list[tuple[Place, Place]] = []
    for precision, peak in sorted(peaks.items(), key=lambda pair: pair[1]):
        left = max(x_range[0], math.log10(peak / copied)) if copied else x_range[0]
        start, end = (frame.place(x, math.log10(peak)) for x in (left, x_range[1]))
        roofs.append((start, end))
        right, up = end[0] - 4, start[1] - 4
        if names and names[-1][1][1] - up < _NAME_HEIGHT:
            # Side by side where roofs lie close to each other.
            right = names[-1][0][0]
        names.append(((right - _NAME_WIDTH, up), (right, up)))
        label = f"{precision} {_format.operations(peak)}"
        body.append(f'<text class="end" x="{right:.1f}" y="{up:.1f}">{label}</text>')
    if copied and peaks:
        top = math.log10(max(peaks.values()))
        low = max(y_range[0], x_range[0] + math.log10(copied))
        start, end = (frame.place(y - math.log10(copied), y) for y in (low, top))
        roofs.append((start, end))
    body += [f'<path class="roof" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>' for (x1, y1), (x2, y2) in roofs]
    placed = [
        (frame.place(*(math.log10(max(value, 1e-9)) for value in point)), each)
        for each in series
        for point in each.points
    ]
    body += [marker(each.slot, *place, tip=each.name) for place, each in placed]
    body += named(placed, [*roofs, *names])
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
