"""Thresholds on the cosine, as a table and as charts: distributions of pairs, and the ROC."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from osnet_edge.bench.metrics.person_bootstrap import Interval
from osnet_edge.bench.metrics.verification import (
    LEAST_PAIRS,
    LEAST_PEOPLE,
    ThresholdChange,
    Verification,
)
from osnet_edge.bench.report import numbers
from osnet_edge.bench.report.drawing import (
    Axis,
    Figure,
    Plot,
    colour,
    element,
    linear_axis,
    make_figure,
    marker,
    text_at,
)
from osnet_edge.bench.report.render import Column, Table

_NOT_RESOLVED = "not resolved"
#: Colours of a chart of one engine's pairs: one person, and two.
_SAME, _OTHERS = 2, 1
#: Between the names of two thresholds, one above the other, in drawing units.
_NAME_HEIGHT, _NAME_WIDTH = 15, 48


@dataclass(frozen=True)
class Verifier:
    """Something whose thresholds are shown.

    Attributes:
        name: of the engine, or of the network and the set.
        slot: picks its colour and marker.
        figures: what was measured.
        changes: of its thresholds from the reference's.
    """

    name: str
    slot: int
    figures: Verification
    changes: tuple[ThresholdChange, ...] = ()


@dataclass(frozen=True)
class _Rate:
    """A row: a threshold of an engine, by a FAR or where both errors are equal."""

    name: str
    far: str
    threshold: float | None
    tar: float | None
    threshold_interval: Interval | None = None
    tar_interval: Interval | None = None
    change: ThresholdChange | None = None


def threshold_table(verifiers: Sequence[Verifier], heading: str = "engine") -> Table[_Rate]:
    """Return a row for each threshold.

    Args:
        verifiers: any.
        heading: what their names are of, in text.
    """
    rows = [row for each in verifiers for row in _rates(each)]
    columns: list[Column[_Rate]] = [
        Column(lambda row: row.name, text=heading, words=True),
        Column(lambda row: row.far, page="FAR", unit="%", text="FAR %"),
        Column(
            lambda row: row.threshold,
            _cosine,
            page="Threshold",
            unit="cosine",
            text="threshold",
            below=lambda row: _below(row.threshold_interval),
            in_text=lambda row: (
                _NOT_RESOLVED
                if row.threshold is None
                else _with(_cosine(row.threshold), _below(row.threshold_interval))
            ),
        ),
        Column(
            lambda row: row.tar,
            numbers.percent,
            page="TAR",
            unit="%",
            text="TAR %",
            below=lambda row: _shares(row.tar_interval),
            in_text=lambda row: _with(
                None if row.tar is None else numbers.percent(row.tar), _shares(row.tar_interval)
            ),
        ),
    ]
    if any(each.changes for each in verifiers):
        columns.append(
            Column(
                lambda row: row.change and row.change.difference,
                _signed,
                page="Against reference",
                unit="cosine",
                text="against reference",
                below=lambda row: _ends(row.change),
                in_text=lambda row: _with(
                    _signed(row.change.difference) if row.change else None, _ends(row.change)
                ),
            )
        )
    return Table(columns, rows, "Thresholds", _note(verifiers), group=lambda row: row.name)


def verification_figures(verifiers: Sequence[Verifier], key: str) -> list[Figure]:
    """Return the ROC of all, and the distributions of each; `key` makes their ids unique."""
    if not verifiers:
        return []
    pairs = [_distributions(each, f"{key}-pairs{place}") for place, each in enumerate(verifiers)]
    return [_roc(verifiers, f"{key}-roc"), *pairs]


def _rates(each: Verifier) -> list[_Rate]:
    changes = {change.far: change for change in each.changes}
    rows = [
        _Rate(
            each.name,
            _percent(point.far),
            point.threshold,
            point.tar,
            point.threshold_interval,
            point.tar_interval,
            changes.get(point.far),
        )
        for point in each.figures.points
    ]
    equal = each.figures.equal_error
    ends = equal.rate_interval
    accepted = (1 - ends[1], 1 - ends[0]) if ends else None
    row = _Rate(
        each.name, f"EER {numbers.percent(equal.rate)}", equal.threshold, 1 - equal.rate, None, accepted
    )
    return [*rows, row]


def _note(verifiers: Sequence[Verifier]) -> str:
    if not verifiers:
        return ""
    first = verifiers[0].figures
    # Those of one set are of the same pairs.
    sets = {(each.figures.genuine, each.figures.impostor, each.figures.people): each for each in verifiers}
    pairs = "; ".join(
        f"{each.name + ': ' if len(sets) > 1 else ''}{genuine:,} of one person, {impostor:,} of two, "
        f"{people:,} people"
        for (genuine, impostor, people), each in sets.items()
    )
    return (
        f"Pairs of a query and a gallery image by different cameras: {pairs}. A pair is accepted where its "
        "cosine is the threshold or more. FAR: share of the pairs of two people accepted; TAR: of the pairs "
        f"of one; EER: where FAR is 100 % less TAR. {first.confidence * 100:g} % intervals, by a bootstrap "
        f"over people ({first.samples} draws). Where there is no threshold, fewer than {LEAST_PAIRS} pairs "
        f"of two people, or {LEAST_PEOPLE} people, would be accepted. Thresholds hold for these cameras; "
        "measure others on their own."
    )


def _roc(verifiers: Sequence[Verifier], key: str) -> Figure:
    """Draw TAR against FAR, on a logarithmic axis, with a marker at each FAR that is resolved."""
    least = min(point.far for each in verifiers for point in each.figures.points)
    inside = [point for each in verifiers for point in each.figures.points if point.tar is not None]
    lowest = min((point.tar for point in inside if point.tar is not None), default=0.0)
    powers = range(math.floor(math.log10(least) + 1e-9), 1)
    ticks = [(10.0**power, _percent(10.0**power)) for power in powers]
    x = Axis("FAR % (logarithmic)", ticks[0][0], 1.0, ticks, logarithmic=True)
    plot = Plot(x, linear_axis("TAR %", 100 * lowest if lowest > 0.5 else 0, 100))
    body = plot.axes()
    for each in verifiers:
        places = [
            plot.place(far, 100 * tar)
            for _, far, tar in each.figures.roc
            if far >= x.low and 100 * tar >= plot.y.low
        ]
        path = " ".join(f"{right:.1f},{up:.1f}" for right, up in places)
        body.append(element("polyline", class_=f"line {colour(each.slot)}", points=path))
    for each in verifiers:
        body += [
            marker(
                each.slot,
                *plot.place(point.far, 100 * point.tar),
                tip=f"{each.name}, FAR {_percent(point.far)} %: TAR {numbers.percent(point.tar)} %",
            )
            for point in each.figures.points
            if point.tar is not None
        ]
    points = (
        f"{each.name}: "
        + ", ".join(
            f"TAR {numbers.percent(point.tar)} % at FAR {_percent(point.far)} %"
            for point in each.figures.points
            if point.tar is not None
        )
        for each in verifiers
    )
    return make_figure(
        key,
        "Pairs of one person accepted",
        "TAR against FAR, as the threshold falls from left to right. Higher is better.",
        points,
        body,
    )


def _distributions(each: Verifier, key: str) -> Figure:
    """Draw both distributions as areas, and the thresholds as lines."""
    shown = each.figures.distribution
    edges = [shown.low + place * shown.width for place in range(len(shown.genuine) + 1)]
    heights = {
        _OTHERS: [100 * count / each.figures.impostor for count in shown.impostor],
        _SAME: [100 * count / each.figures.genuine for count in shown.genuine],
    }
    most = max(max(shares) for shares in heights.values())
    # Room above for the names of the thresholds.
    plot = Plot(linear_axis("cosine", edges[0], edges[-1]), linear_axis("% of the pairs", 0, most * 1.3))
    body, names = plot.axes(), []
    for slot, shares in heights.items():
        outline = "".join(
            _step(plot, edges[place], edges[place + 1], share) for place, share in enumerate(shares)
        )
        left, right = (plot.place(edge, 0) for edge in (edges[0], edges[-1]))
        path = f"M{left[0]:.1f} {left[1]:.1f}{outline}L{right[0]:.1f} {right[1]:.1f}Z"
        body.append(element("path", class_=f"area {colour(slot)}", d=path))
        peak = shares.index(max(shares))
        across, up = plot.place((edges[peak] + edges[peak + 1]) / 2, shares[peak])
        name = "one person" if slot == _SAME else "two people"
        names.append(text_at(name, across, up - 6, f"middle tag {colour(slot)}"))
    body += [*_threshold_lines(each, plot), *names]
    points = (
        f"FAR {_percent(point.far)} % at {_cosine(point.threshold)}"
        for point in each.figures.points
        if point.threshold is not None
    )
    return make_figure(
        key,
        f"Cosines of pairs: {each.name}",
        "Pairs of one person and of two, across cameras, and the thresholds by their FAR.",
        points,
        body,
    )


def _threshold_lines(each: Verifier, plot: Plot) -> list[str]:
    drawn, last, row = [], -math.inf, 0
    _, top, _, bottom = plot.box
    for point in each.figures.points:
        if point.threshold is None:
            continue
        x, _ = plot.place(point.threshold, 0)
        # Names that would run into each other stand one below the other.
        row = row + 1 if x - last < _NAME_WIDTH else 0
        last = x
        up = top + _NAME_HEIGHT * row
        drawn.append(element("path", class_="dashed", d=f"M{x:.1f} {up}V{bottom}"))
        drawn.append(text_at(f"{_percent(point.far)} %", x + 4, up + 11, "ink"))
    return drawn


def _step(plot: Plot, left: float, right: float, share: float) -> str:
    (start, up), (end, _) = plot.place(left, share), plot.place(right, share)
    return f"L{start:.1f} {up:.1f}H{end:.1f}"


def _percent(far: float) -> str:
    """Return a FAR in percent, in as many digits as it has.

    Example:
        >>> [_percent(far) for far in (0.1, 0.001, 0.0001)]
        ['10', '0.1', '0.01']
    """
    return f"{far * 100:.6g}"


def _cosine(threshold: float) -> str:
    return f"{threshold:.4f}"


def _between(ends: Interval) -> str:
    return f"{ends[0]:.4f} to {ends[1]:.4f}"


def _below(ends: Interval | None) -> Sequence[str]:
    return (_between(ends),) if ends else ()


def _shares(ends: Interval | None) -> Sequence[str]:
    return (f"{numbers.percent(ends[0])} to {numbers.percent(ends[1])}",) if ends else ()


def _signed(change: float) -> str:
    # Never "-0.0000".
    return f"{round(change, 4) + 0.0:+.4f}"


def _ends(change: ThresholdChange | None) -> Sequence[str]:
    return (" to ".join(map(_signed, change.interval)),) if change else ()


def _with(value: str | None, below: Sequence[str]) -> str:
    """Return a figure and its interval on one line."""
    return " ".join([value or numbers.MISSING, *(f"({each})" for each in below)])
