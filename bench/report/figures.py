"""Every chart: those of a result's page, and a tuning's and an INT8 decision's as files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

from osnet_edge.bench.report import numbers
from osnet_edge.bench.report.drawing import (
    DOCUMENT_TOP,
    WIDTH,
    Axis,
    Figure,
    Place,
    Plot,
    Series,
    colour,
    decade_axis,
    document,
    element,
    linear_axis,
    make_figure,
    marker,
    named,
    shortened,
    stepped_axis,
    text_at,
    time_axis,
)
from osnet_edge.bench.report.tracking import tracked_rows
from osnet_edge.bench.report.verification import Verifier, verification_figures
from osnet_edge.bench.result.limits import Ceilings
from osnet_edge.bench.result.result import BenchResult
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.package.decisions import GroupDecision, Int8
from osnet_edge.runtime.package.tuning import TunedCandidate, Tuning

T = TypeVar("T")
#: Of a roof's name on a phone.
_ROOF_NAME_WIDTH, _ROOF_NAME_HEIGHT = 92, 18
_BAR_ROW = 42


def result_figures(result: BenchResult, key: str) -> list[Figure]:
    """Return the charts that a result has figures for.

    Args:
        result: any.
        key: what makes ids unique on a page of several results.
    """
    makers = (_latency, _accuracy, _tracking, _roofline, _energy)
    drawn = [figure for make in makers if (figure := make(result, key)) is not None]
    verifiers = [
        Verifier(engine.name, slot, engine.verification)
        for slot, engine in enumerate(result.engines)
        if engine.verification
    ]
    return drawn + verification_figures(verifiers, key)


def _latency(result: BenchResult, key: str) -> Figure | None:
    batches = sorted({each.batch for engine in result.engines for each in engine.batches})
    if not batches:
        return None
    series = [
        Series(
            engine.name,
            slot,
            tuple((each.batch, each.latency.p50_ms / each.batch) for each in engine.batches),
        )
        for slot, engine in enumerate(result.engines)
        if engine.batches
    ]
    x = Axis("batch", -0.3, len(batches) - 0.7, [(index, str(batch)) for index, batch in enumerate(batches)])
    plot = Plot(x, time_axis("ms an image", [y for each in series for _, y in each.points]))
    body = plot.axes()
    for each in series:
        places = [plot.place(batches.index(int(batch)), ms) for batch, ms in each.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        body.append(element("polyline", class_=f"line {colour(each.slot)}", points=path))
        body += [
            marker(each.slot, *place, tip=f"{each.name}, batch {batch:g}: {ms:.3g}")
            for place, (batch, ms) in zip(places, each.points, strict=True)
        ]
    points = (
        f"{each.name}: "
        + ", ".join(f"{numbers.milliseconds(ms)} ms at batch {batch:g}" for batch, ms in each.points)
        for each in series
    )
    return make_figure(
        f"{key}-latency",
        "Latency against batch",
        "p50 latency of a call divided by its images. Lower is better.",
        points,
        body,
    )


def _accuracy(result: BenchResult, key: str) -> Figure | None:
    batch = result.common_batch
    comparable = {change.engine for change in result.accuracy_changes()}
    series = [
        Series(engine.name, slot, ((measured.latency.p50_ms, engine.accuracy.scores.mean_ap * 100),))
        for slot, engine in enumerate(result.engines)
        if batch is not None and (measured := engine.at(batch))
        if engine.accuracy and engine.name in comparable
    ]
    if not series:
        return None
    return _against_time(
        f"{key}-accuracy",
        ("Accuracy", "latency", "mAP"),
        f"p50 ms, batch {batch}",
        series,
    )


def _tracking(result: BenchResult, key: str) -> Figure | None:
    slots = {engine.name: slot for slot, engine in enumerate(result.engines)}
    series = [
        Series(
            row.name, slots.get(row.name, len(slots)), ((row.measured.whole_ms, row.measured.scores.hota),)
        )
        for row in tracked_rows(result)
    ]
    if not series:
        return None
    return _against_time(f"{key}-tracking", ("Tracking", "time", "HOTA"), "ms a frame", series)


def _against_time(key: str, title: tuple[str, str, str], time_label: str, series: Sequence[Series]) -> Figure:
    """Draw a point for each, what is better to the left and above, with the Pareto front.

    Args:
        key: of the figure.
        title: what is against what, and the metric's name.
        time_label: of the axis to the right.
        series: each with one point, of milliseconds and percent.
    """
    what, against, metric = title
    points = [each.points[0] for each in series]
    # y spans the points, so that small losses can be seen.
    low, high = min(y for _, y in points), max(y for _, y in points)
    pad = max((high - low) * 0.25, 0.5)
    x = time_axis(time_label, [x for x, _ in points])
    plot = Plot(x, linear_axis(f"{metric} %", low - pad, high + pad))
    front = [plot.place(*point) for point in pareto_front(points, lambda point: point)]
    placed = [(plot.place(*point), each) for point, each in zip(points, series, strict=True)]
    body = [*plot.axes(), _steps(front, "dashed")]
    body += [marker(each.slot, *place, tip=each.name) for place, each in placed]
    body += named(placed, pairwise(corners(front)))
    return make_figure(
        key,
        f"{what} against {against}",
        "Up and to the left is better; below and to the right of the line (Pareto front) an engine is beaten "
        f"in both. The {metric} axis does not start at zero.",
        (
            f"{each.name}: {numbers.milliseconds(x)} ms, {metric} {y:.2f} %"
            for each, (x, y) in zip(series, points, strict=True)
        ),
        body,
    )


def _roofline(result: BenchResult, key: str) -> Figure | None:
    """Draw what each engine computes in a second, below what memory and arithmetic allow."""
    series = []
    for slot, engine in enumerate(result.engines):
        if own := [each for each in result.limits() if each.engine == engine.name]:
            best = max(own, key=lambda each: each.operations_per_second)
            series.append(
                Series(engine.name, slot, ((best.operations_per_byte, best.operations_per_second),))
            )
    if not series or result.ceilings is None:
        return None
    points = [each.points[0] for each in series]
    plot, roofs, names, body = _roofs(result.ceilings, points)
    placed = [
        (plot.place(*(max(value, 1e-9) for value in point)), each)
        for point, each in zip(points, series, strict=True)
    ]
    body += [marker(each.slot, *place, tip=each.name) for place, each in placed]
    body += named(placed, [*roofs, *names])
    return make_figure(
        f"{key}-roofline",
        "Roofline",
        "Each engine at its best batch, below what arithmetic in its precision (flat) and a large copy "
        "(slanted) allow. Engines that keep numbers in caches may stand above the slanted roof.",
        (
            f"{each.name}: {numbers.operations(rate)} operations a second"
            for each, (_, rate) in zip(series, points, strict=True)
        ),
        body,
    )


def _roofs(
    ceilings: Ceilings, points: Sequence[tuple[float, float]]
) -> tuple[Plot, list[tuple[Place, Place]], list[tuple[Place, Place]], list[str]]:
    """Return the plot, the lines of the roofs and below their names, and all of it in SVG."""
    peaks, copied = ceilings.operations_per_second, ceilings.bytes_per_second
    ridges = [peak / copied for peak in peaks.values()] if copied else []
    plot = Plot(
        decade_axis("operations a byte, nothing fused", [*(x for x, _ in points), *ridges], "{:g}".format),
        decade_axis("operations a second", [*(y for _, y in points), *peaks.values()], _short_rate),
    )
    roofs: list[tuple[Place, Place]] = []
    names: list[tuple[Place, Place]] = []
    body = plot.axes()
    for precision, peak in sorted(peaks.items(), key=lambda pair: pair[1]):
        start, end = (
            plot.place(max(plot.x.low, peak / copied if copied else 0), peak),
            plot.place(plot.x.high, peak),
        )
        roofs.append((start, end))
        right, up = end[0] - 4, start[1] - 4
        if names and names[-1][1][1] - up < _ROOF_NAME_HEIGHT:
            # Side by side where roofs lie close to each other.
            right = names[-1][0][0]
        names.append(((right - _ROOF_NAME_WIDTH, up), (right, up)))
        body.append(text_at(f"{precision} {numbers.operations(peak)}", right, up, "end"))
    if copied and peaks:
        low = max(plot.y.low, plot.x.low * copied)
        roofs.append((plot.place(low / copied, low), plot.place(max(ridges), max(peaks.values()))))
    body += [
        element("path", class_="roof", d=f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}")
        for (x1, y1), (x2, y2) in roofs
    ]
    return plot, roofs, names, body


def _energy(result: BenchResult, key: str) -> Figure | None:
    """Draw bars, each with its name and figure above it: names are long, and phones narrow."""
    sources = {each.source for engine in result.engines for each in engine.energy}
    bars = [
        (f"{engine.name}, {each.source}" if len(sources) > 1 else engine.name, slot, each.joules_per_image)
        for slot, engine in enumerate(result.engines)
        for each in engine.energy
    ]
    if not bars:
        return None
    most = max(joules for _, _, joules in bars) or 1
    body = []
    for index, (name, slot, joules) in enumerate(bars):
        top = index * _BAR_ROW
        path = f"M0 {top + 28}h{max(joules, 0) / most * WIDTH:.1f}v10H0Z"
        body += [
            text_at(shortened(name), 0, top + 22),
            text_at(numbers.joules(joules), WIDTH, top + 22, "end"),
            element("path", class_=f"mark {colour(slot)}", d=path),
        ]
    return make_figure(
        f"{key}-energy",
        "Energy of an embedding",
        f"By {' and '.join(sorted(sources))}, less what is drawn at rest. Shorter is better.",
        (f"{name}: {numbers.joules(joules)}" for name, _, joules in bars),
        body,
        height=_BAR_ROW * len(bars),
    )


def pareto_chart(tuning: Tuning) -> str:
    """Return an SVG document: milliseconds an image against points of mAP lost, faster to the left."""
    shown = [
        each for each in tuning.candidates if each.milliseconds and (each.loss or each.precision == "fp32")
    ]
    front = pareto_front(shown, lambda each: (each.picture_ms or 0, -_lost(each)))
    named_too = [each for each in shown if each.name in (tuning.winner, tuning.reference)]
    keyed = list({each.name: each for each in (*front, *named_too)}.values())
    left, _, right, bottom = box = (74, DOCUMENT_TOP, 740, 372)
    plot = Plot(*_pareto_axes(shown, tuning.budget), box)
    body = plot.axes()
    if tuning.budget is not None:
        _, y = plot.place(plot.x.low, tuning.budget)
        body.append(element("path", class_="dashed", d=f"M{left} {y:.1f}H{right}"))
        body.append(text_at(f"budget {tuning.budget:g}", right, y - 5, "end"))
    # Between two points of the front nothing better than the slower one is known.
    body.append(_steps([plot.place(each.picture_ms or 0, _lost(each)) for each in front], "line c0"))
    for each in shown:
        slot = 1 if each.name == tuning.winner else 0 if each in front else 5
        body += _candidate(each, plot, slot, keyed.index(each) + 1 if each in keyed else None)
    for index, each in enumerate(keyed):
        won = " (winner)" if each.name == tuning.winner else ""
        line = f"{index + 1}  {each.name}{won}: {_costs(each)}"
        body.append(text_at(line, left, bottom + 66 + 20 * index, "ink"))
    measured = "" if tuning.how == "measured" else " (estimated)"
    hidden = len(tuning.candidates) - len(shown)
    further = f"; {hidden} more, too slow to have their loss measured" if hidden else ""
    sizes = ", ".join(map(str, tuning.batches))
    summary = f"geometric mean over batches of {sizes}; {counted(len(shown), 'candidate')}{further}"
    title = f"{tuning.device}{measured}: speed against accuracy"
    return document(title, summary, bottom + 66 + 20 * len(keyed), body)


def _pareto_axes(shown: Sequence[TunedCandidate], budget: float | None) -> tuple[Axis, Axis]:
    times = [each.picture_ms or 1 for each in shown] or [1.0]
    lost = [
        value
        for each in shown
        if each.loss
        for value in (each.loss.worse.mean_ap, each.loss.worse.mean_ap_most)
    ]
    low, high = min([0.0, *lost]), max([0.0, *lost, *([budget] if budget is not None else [])])
    pad = 0.12 * (high - low) or 0.1
    first, last = min(times) / 1.15, max(times) * 1.15
    down = linear_axis("mAP points lost, and at most", low - pad, high + pad)
    inside = [tick for tick in down.ticks if low - pad <= tick[0] <= high + pad]
    return (
        stepped_axis("milliseconds an image", first, last),
        Axis(down.label, high + pad, low - pad, inside),
    )


def _candidate(each: TunedCandidate, plot: Plot, slot: int, number: int | None) -> list[str]:
    x, y = plot.place(each.picture_ms or 0, _lost(each))
    drawn = []
    if each.loss:
        # From what was lost on these people to what may be lost on others like them.
        _, end = plot.place(each.picture_ms or 0, each.loss.worse.mean_ap_most)
        drawn.append(element("path", class_=f"line {colour(slot)}", d=f"M{x:.1f} {y:.1f}V{end:.1f}"))
    drawn.append(marker(slot, x, y, f"{each.name}: {_costs(each)}"))
    if number is not None:
        drawn.append(text_at(str(number), x + 8, y - 8, "ink"))
    return drawn


def _lost(each: TunedCandidate) -> float:
    return each.loss.worse.mean_ap if each.loss else 0.0


def _costs(each: TunedCandidate) -> str:
    return f"{each.picture_ms:.3g} ms an image, {_lost(each):.2f} points lost"


def decision_chart(decision: Int8, title: str) -> str:
    """Return an SVG document: each group's share of the work, and what INT8 loses in it alone.

    Args:
        decision: of a manifest.
        title: what it is of, such as the package's name.
    """
    # Names, bars of work, and losses, side by side.
    bars, wide, losses, row = 170, 210, (470, 740), 24
    height = DOCUMENT_TOP + row * len(decision.groups) + 30
    most = max((each.macs for each in decision.groups), default=0.0) or 1.0
    ends = [
        end
        for each in decision.groups
        if each.loss
        for end in (each.loss.worse.mean_ap, each.loss.worse.mean_ap_most)
    ]
    low, high = min([0.0, *ends]) - 0.05, max([*ends, decision.budget or 0.0]) + 0.05
    axis = Axis("", low, high, [])

    def across(points: float) -> float:
        return losses[0] + axis.share(points) * (losses[1] - losses[0])

    body = [text_at("share of the work (blue: INT8)", bars, 68)]
    if ends:
        body += [
            text_at("mAP points lost alone, and at most (95 %)", losses[0], 68),
            element("path", class_="grid", d=f"M{across(0):.1f} {DOCUMENT_TOP}V{height - 24}"),
            text_at("0", across(0) - 4, height - 8),
        ]
    for index, each in enumerate(decision.groups):
        body += _group(each, DOCUMENT_TOP + row * index + row // 2, bars, wide * each.macs / most, across)
    return document(title, _decision_summary(decision), height, body)


def _group(
    each: GroupDecision, middle: int, left: int, wide: float, across: Callable[[float], float]
) -> list[str]:
    drawn = [
        text_at(each.group, 16, middle + 4, "ink"),
        element(
            "path",
            class_=f"mark {colour(0 if each.int8 else 5)}",
            d=f"M{left} {middle - 8}h{max(wide, 1):.1f}v16H{left}Z",
        ),
        text_at(f"{each.macs:.1%}", left + wide + 6, middle + 4),
    ]
    if each.loss:
        mean, limit = across(each.loss.worse.mean_ap), across(each.loss.worse.mean_ap_most)
        tip = f"{each.loss.worse.mean_ap:.2f}, {each.loss.worse.mean_ap_most:.2f} at most"
        drawn.append(element("path", class_=f"line {colour(1)}", d=f"M{mean:.1f} {middle}H{limit:.1f}"))
        drawn.append(marker(1, mean, middle, tip))
    return drawn


def _decision_summary(decision: Int8) -> str:
    if decision.dropped:
        return f"dropped, as {decision.dropped}"
    parts = [f"{decision.macs:.0%} of the multiply-accumulates in INT8"]
    if decision.loss:
        parts.append(
            f"mAP lost {decision.loss.worse.mean_ap:.2f}, {decision.loss.worse.mean_ap_most:.2f} at most"
        )
    if decision.budget is not None:
        parts.append(f"budget {decision.budget:g}")
    return "; ".join(parts)


def pareto_front(items: Iterable[T], place: Callable[[T], tuple[float, float]]) -> list[T]:
    """Return the items that no other beats in both, from the left: none is further left and at least as high.

    Example:
        >>> pareto_front([(2, 45), (1, 44), (3, 44.5), (4, 46)], lambda point: point)
        [(1, 44), (2, 45), (4, 46)]
    """
    front: list[T] = []
    for item in sorted(items, key=lambda each: (place(each)[0], -place(each)[1])):
        if not front or place(item)[1] > place(front[-1])[1]:
            front.append(item)
    return front


def corners(front: Sequence[Place]) -> list[Place]:
    """Return where the line of a front turns: what is below and to the right of it is beaten.

    Example:
        >>> corners([(1, 9), (2, 5)])
        [(1, 9), (2, 9), (2, 5)]
    """
    return [*front[:1], *(turn for (_, y), (x, up) in pairwise(front) for turn in ((x, y), (x, up)))]


def _steps(front: Sequence[Place], kind: str) -> str:
    """Return the line of a front in SVG; none of a single place."""
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in corners(front))
    return element("path", class_=kind, d=f"M{path}") if len(front) > 1 else ""


def _short_rate(rate: float) -> str:
    """Return a power of ten in few letters, such as 10G: the axis's name stands close by."""
    number, _, prefix = numbers.operations(rate).partition(" ")
    return f"{float(number):g}{prefix}"
