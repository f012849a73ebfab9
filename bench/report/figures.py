"""Every drawing, as SVG of one style: a result's charts, and a tuning's and an INT8 decision's as files.

No library draws them: matplotlib's SVG fixes its colours and the size of its letters, so that one drawing
cannot serve light, dark and a phone, and it places no names. Here colours come from `STYLE` by class (`c0`,
`c1`, ...); every series also has a marker of its own shape, for readers who cannot distinguish the colours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import TypeVar

from osnet_edge.bench.report import numbers
from osnet_edge.bench.result.limits import Ceilings
from osnet_edge.bench.result.result import BenchResult
from osnet_edge.runtime.package.decisions import GroupDecision, Int8
from osnet_edge.runtime.package.tuning import TunedCandidate, Tuning

T = TypeVar("T")
#: x and y, in drawing units.
Place = tuple[float, float]
#: Left, top, right and bottom, in drawing units.
Box = tuple[float, float, float, float]

# Text colours keep at least 4.5:1 against their ground and chart colours 3:1 (WCAG 2.1 AA), in both schemes.
STYLE = """
:root{color-scheme:light dark;--ground:#f4f6f8;--card:#fff;--ink:#1a1f26;--soft:#535d69;--rule:#d5dbe2;
--tint:#eef2f7;--shade:#0f172a47;--right:#04704f;--wrong:#b3261e;
--c0:#0b57d0;--c1:#b45309;--c2:#04785a;--c3:#a21caf;--c4:#0e7490;--c5:#57534e}
@media(prefers-color-scheme:dark){:root{--ground:#0e1217;--card:#171d25;--ink:#e7edf4;--soft:#a3aebb;
--rule:#323b47;--tint:#1f2732;--shade:#94a9c966;--right:#4fd1a5;--wrong:#ff9d94;
--c0:#7ab0ff;--c1:#f5b35c;--c2:#4fd1a5;--c3:#e58af0;--c4:#5fd0e6;--c5:#c9c5c0}}
svg text{font-size:13px;fill:var(--soft)}
svg .middle{text-anchor:middle}
svg .end{text-anchor:end}
svg .ink{fill:var(--ink)}
svg .tag{fill:var(--c);font-weight:600;
paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}
.grid{stroke:var(--rule);fill:none}
.axis{stroke:var(--soft);fill:none}
.line{fill:none;stroke-width:2;stroke:var(--c)}
.dashed{fill:none;stroke:var(--soft);stroke-width:1.5;stroke-dasharray:5 4}
.roof{fill:none;stroke:var(--soft);stroke-width:2}
.mark{fill:var(--c);stroke:var(--card);stroke-width:1.5}
.c0{--c:var(--c0)}.c1{--c:var(--c1)}.c2{--c:var(--c2)}.c3{--c:var(--c3)}.c4{--c:var(--c4)}.c5{--c:var(--c5)}
"""
#: Of a drawing that is a file of its own.
_DOCUMENT_STYLE = "svg{background:var(--card);font-family:system-ui,sans-serif}svg .title{font-size:16px}"

_COLOURS = 6
# Five shapes and six colours repeat together only after thirty engines.
_MARKERS = (
    "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0-5 0Z",
    "M-4.5-4.5H4.5V4.5H-4.5Z",
    "M0-6L6 4.5H-6Z",
    "M0-6.5L6.5 0L0 6.5L-6.5 0Z",
    "M-2-6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z",
)
# On the page 420 units across, so that text stays readable on a phone of 390 px.
_WIDTH, _HEIGHT = 420, 300
_BOX: Box = (66, 14, 406, 250)
# A file of its own, with two lines above the drawing.
_DOCUMENT_WIDTH, _DOCUMENT_TOP = 760, 78
# Of a letter on a phone, where the style sheet makes text 15 units high, so that names fit there too.
_LETTER_WIDTH, _LETTER_HEIGHT = 8.8, 13
#: Of a roof's name on a phone.
_ROOF_NAME_WIDTH, _ROOF_NAME_HEIGHT = 92, 18
_BAR_ROW = 42


@dataclass(frozen=True)
class Figure:
    """A chart of the page: its heading, what it shows in a sentence or two, and the drawing."""

    title: str
    note: str
    svg: str


@dataclass(frozen=True)
class Series:
    """One engine's points, in data units; `slot` picks its colour and marker."""

    name: str
    slot: int
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Axis:
    """One axis: `low` is its left or lower end, in data units, `ticks` are (value, label)."""

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Return how far along the axis a value is: 0 at `low`, 1 at `high`."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Plot:
    """The plotting area: from data units to drawing units, and the axes around it."""

    x: Axis
    y: Axis
    box: Box = _BOX

    def place(self, x: float, y: float) -> Place:
        """Return where a point lies in the drawing."""
        left, top, right, bottom = self.box
        return left + self.x.share(x) * (right - left), bottom - self.y.share(y) * (bottom - top)

    def axes(self) -> list[str]:
        """Return the axes in SVG, with their labels."""
        left, top, right, bottom = self.box
        parts = []
        for value, label in self.y.ticks:
            y = bottom - self.y.share(value) * (bottom - top)
            parts.append(_element("path", class_="grid", d=f"M{left} {y:.1f}H{right}"))
            parts.append(_text(label, left - 7, y + 4.5, "end"))
        for value, label in self.x.ticks:
            x = left + self.x.share(value) * (right - left)
            if self.x.logarithmic:
                # Between the ticks a logarithmic axis cannot be read without lines.
                parts.append(_element("path", class_="grid", d=f"M{x:.1f} {top}V{bottom}"))
            parts.append(_text(label, x, bottom + 18, "middle"))
        turned = f"translate(13 {(top + bottom) / 2}) rotate(-90)"
        return [
            *parts,
            _element("path", class_="axis", d=f"M{left} {bottom}H{right}"),
            _text(self.x.label, (left + right) / 2, bottom + 42, "middle"),
            _element("text", escape(self.y.label), class_="middle", transform=turned),
        ]


def result_figures(result: BenchResult, key: str) -> list[Figure]:
    """Return the charts that a result has figures for.

    Args:
        result: any.
        key: what makes ids unique on a page of several results.
    """
    makers = (_latency, _accuracy, _roofline, _energy)
    return [figure for make in makers if (figure := make(result, key)) is not None]


def marker(slot: int, x: float = 0, y: float = 0, tip: str = "") -> str:
    """Return the marker of a series, in SVG, at a place in the drawing."""
    title = _element("title", escape(tip)) if tip else ""
    place = f"translate({x:.1f} {y:.1f})"
    return _element(
        "path", title, class_=f"mark {_colour(slot)}", transform=place, d=_MARKERS[slot % len(_MARKERS)]
    )


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
    top = max(y for each in series for _, y in each.points)
    x = Axis("batch", -0.3, len(batches) - 0.7, [(index, str(batch)) for index, batch in enumerate(batches)])
    plot = Plot(x, _linear("ms an image", 0, top))
    body = plot.axes()
    for each in series:
        places = [plot.place(batches.index(int(batch)), ms) for batch, ms in each.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        body.append(_element("polyline", class_=f"line {_colour(each.slot)}", points=path))
        body += [
            marker(each.slot, *place, tip=f"{each.name}, batch {batch:g}: {ms:.3g}")
            for place, (batch, ms) in zip(places, each.points, strict=True)
        ]
    points = (
        f"{each.name}: "
        + ", ".join(f"{numbers.milliseconds(ms)} ms at batch {batch:g}" for batch, ms in each.points)
        for each in series
    )
    return _figure(
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
    points = [each.points[0] for each in series]
    # x starts at zero; y spans the points, so that small losses can be seen.
    low, high = min(y for _, y in points), max(y for _, y in points)
    pad = max((high - low) * 0.25, 0.5)
    x = _linear(f"p50 ms, batch {batch}", 0, max(x for x, _ in points) * 1.05)
    plot = Plot(x, _linear("mAP %", low - pad, high + pad))
    front = [plot.place(*point) for point in pareto_front(points, lambda point: point)]
    placed = [(plot.place(*point), each) for point, each in zip(points, series, strict=True)]
    body = [*plot.axes(), _steps(front, "dashed")]
    body += [marker(each.slot, *place, tip=each.name) for place, each in placed]
    body += named(placed, pairwise(corners(front)))
    return _figure(
        f"{key}-accuracy",
        "Accuracy against latency",
        "Up and to the left is better; below and to the right of the line (Pareto front) an engine is beaten "
        "in both. The mAP axis does not start at zero.",
        (
            f"{each.name}: {numbers.milliseconds(x)} ms, mAP {y:.2f} %"
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
    return _figure(
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
        _decades("operations a byte, nothing fused", [*(x for x, _ in points), *ridges], "{:g}".format),
        _decades("operations a second", [*(y for _, y in points), *peaks.values()], _short_rate),
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
        body.append(_text(f"{precision} {numbers.operations(peak)}", right, up, "end"))
    if copied and peaks:
        low = max(plot.y.low, plot.x.low * copied)
        roofs.append((plot.place(low / copied, low), plot.place(max(ridges), max(peaks.values()))))
    body += [
        _element("path", class_="roof", d=f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}")
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
        path = f"M0 {top + 28}h{max(joules, 0) / most * _WIDTH:.1f}v10H0Z"
        body += [
            _text(shortened(name), 0, top + 22),
            _text(numbers.joules(joules), _WIDTH, top + 22, "end"),
            _element("path", class_=f"mark {_colour(slot)}", d=path),
        ]
    return _figure(
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
    left, _, right, bottom = box = (74, _DOCUMENT_TOP, 740, 372)
    plot = Plot(*_pareto_axes(shown, tuning.budget), box)
    body = plot.axes()
    if tuning.budget is not None:
        _, y = plot.place(plot.x.low, tuning.budget)
        body.append(_element("path", class_="dashed", d=f"M{left} {y:.1f}H{right}"))
        body.append(_text(f"budget {tuning.budget:g}", right, y - 5, "end"))
    # Between two points of the front nothing better than the slower one is known.
    body.append(_steps([plot.place(each.picture_ms or 0, _lost(each)) for each in front], "line c0"))
    for each in shown:
        slot = 1 if each.name == tuning.winner else 0 if each in front else 5
        body += _candidate(each, plot, slot, keyed.index(each) + 1 if each in keyed else None)
    for index, each in enumerate(keyed):
        won = " (winner)" if each.name == tuning.winner else ""
        line = f"{index + 1}  {each.name}{won}: {_costs(each)}"
        body.append(_text(line, left, bottom + 66 + 20 * index, "ink"))
    measured = "" if tuning.how == "measured" else " (estimated)"
    hidden = len(tuning.candidates) - len(shown)
    further = f"; {hidden} more, too slow to have their loss measured" if hidden else ""
    sizes = ", ".join(map(str, tuning.batches))
    summary = f"geometric mean over batches of {sizes}; {len(shown)} candidates{further}"
    title = f"{tuning.device}{measured}: speed against accuracy"
    return _document(title, summary, bottom + 66 + 20 * len(keyed), body)


def _pareto_axes(shown: Sequence[TunedCandidate], budget: float | None) -> tuple[Axis, Axis]:
    times = [each.picture_ms or 1 for each in shown] or [1.0]
    lost = [value for each in shown if each.loss for value in (each.loss.mean_ap, each.loss.mean_ap_most)]
    low, high = min([0.0, *lost]), max([0.0, *lost, *([budget] if budget is not None else [])])
    pad = 0.12 * (high - low) or 0.1
    first, last = min(times) / 1.15, max(times) * 1.15
    powers = range(math.floor(math.log10(first)), math.ceil(math.log10(last)) + 1)
    nice = (float(f"{step}e{power}") for power in powers for step in (1, 1.5, 2, 3, 5, 7))
    ticks = [(value, f"{value:g}") for value in nice if first <= value <= last]
    down = _linear("mAP points lost, and at most", low - pad, high + pad)
    inside = [tick for tick in down.ticks if low - pad <= tick[0] <= high + pad]
    return (
        Axis("milliseconds an image (logarithmic)", first, last, ticks, logarithmic=True),
        Axis(down.label, high + pad, low - pad, inside),
    )


def _candidate(each: TunedCandidate, plot: Plot, slot: int, number: int | None) -> list[str]:
    x, y = plot.place(each.picture_ms or 0, _lost(each))
    drawn = []
    if each.loss:
        # From what was lost on these people to what may be lost on others like them.
        _, end = plot.place(each.picture_ms or 0, each.loss.mean_ap_most)
        drawn.append(_element("path", class_=f"line {_colour(slot)}", d=f"M{x:.1f} {y:.1f}V{end:.1f}"))
    drawn.append(marker(slot, x, y, f"{each.name}: {_costs(each)}"))
    if number is not None:
        drawn.append(_text(str(number), x + 8, y - 8, "ink"))
    return drawn


def _lost(each: TunedCandidate) -> float:
    return each.loss.mean_ap if each.loss else 0.0


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
    height = _DOCUMENT_TOP + row * len(decision.groups) + 30
    most = max((each.macs for each in decision.groups), default=0.0) or 1.0
    ends = [
        end for each in decision.groups if each.loss for end in (each.loss.mean_ap, each.loss.mean_ap_most)
    ]
    low, high = min([0.0, *ends]) - 0.05, max([*ends, decision.budget or 0.0]) + 0.05
    axis = Axis("", low, high, [])

    def across(points: float) -> float:
        return losses[0] + axis.share(points) * (losses[1] - losses[0])

    body = [_text("share of the work (blue: INT8)", bars, 68)]
    if ends:
        body += [
            _text("mAP points lost alone, and at most (95 %)", losses[0], 68),
            _element("path", class_="grid", d=f"M{across(0):.1f} {_DOCUMENT_TOP}V{height - 24}"),
            _text("0", across(0) - 4, height - 8),
        ]
    for index, each in enumerate(decision.groups):
        body += _group(each, _DOCUMENT_TOP + row * index + row // 2, bars, wide * each.macs / most, across)
    return _document(title, _decision_summary(decision), height, body)


def _group(
    each: GroupDecision, middle: int, left: int, wide: float, across: Callable[[float], float]
) -> list[str]:
    drawn = [
        _text(each.group, 16, middle + 4, "ink"),
        _element(
            "path",
            class_=f"mark {_colour(0 if each.int8 else 5)}",
            d=f"M{left} {middle - 8}h{max(wide, 1):.1f}v16H{left}Z",
        ),
        _text(f"{each.macs:.1%}", left + wide + 6, middle + 4),
    ]
    if each.loss:
        mean, limit = across(each.loss.mean_ap), across(each.loss.mean_ap_most)
        tip = f"{each.loss.mean_ap:.2f}, {each.loss.mean_ap_most:.2f} at most"
        drawn.append(_element("path", class_=f"line {_colour(1)}", d=f"M{mean:.1f} {middle}H{limit:.1f}"))
        drawn.append(marker(1, mean, middle, tip))
    return drawn


def _decision_summary(decision: Int8) -> str:
    if decision.dropped:
        return f"dropped, as {decision.dropped}"
    parts = [f"{decision.macs:.0%} of the multiply-accumulates in INT8"]
    if decision.loss:
        parts.append(f"mAP lost {decision.loss.mean_ap:.2f}, {decision.loss.mean_ap_most:.2f} at most")
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
    return _element("path", class_=kind, d=f"M{path}") if len(front) > 1 else ""


def named(placed: list[tuple[Place, Series]], lines: Iterable[tuple[Place, Place]] = ()) -> list[str]:
    """Return a name beside, above or below each point, where it covers no other name or marker.

    It covers a line only where there is no other room. A name that finds none is left out: the page's key and
    the marker's own title still say it.

    Args:
        placed: points and what they are of.
        lines: ends of straight lines.
    """
    taken = [(x - 7, y - 7, x + 7, y + 7) for (x, y), _ in placed]
    crossed = [box for line in lines for box in _boxes_along(*line)]
    texts = []
    for (x, y), each in placed:
        shown = shortened(each.name)
        spots = {spot: _text_box(*spot, len(shown)) for spot in _beside(x, y)}
        free = [spot for spot, box in spots.items() if _inside(box) and not _overlaps(box, taken)]
        if free:
            clear = (spot for spot in free if not _overlaps(spots[spot], crossed))
            anchor, at_x, at_y = spot = next(clear, free[0])
            taken.append(spots[spot])
            texts.append(_text(shown, at_x, at_y, f"{anchor} tag {_colour(each.slot)}"))
    return texts


def shortened(name: str) -> str:
    """Return a name that fits into a chart."""
    return name if len(name) <= 26 else name[:25] + "…"


def _beside(x: float, y: float) -> list[tuple[str, float, float]]:
    """Return where a name may stand, best first, as (text anchor, x, baseline)."""
    places = [("start", x + 11, y + 4.5), ("end", x - 11, y + 4.5)]
    for drop in (-12, 21):
        places += [(anchor, x, y + drop) for anchor in ("start", "end", "middle")]
    return places


def _text_box(anchor: str, x: float, baseline: float, letters: int) -> Box:
    width = letters * _LETTER_WIDTH
    left = {"start": x, "middle": x - width / 2, "end": x - width}[anchor]
    return left, baseline - _LETTER_HEIGHT, left + width, baseline + 3


def _boxes_along(start: Place, end: Place) -> list[Box]:
    """Return small boxes that cover a line."""
    count = 1 + int(math.dist(start, end) / 4)
    shares = [index / count for index in range(count + 1)]
    places = [tuple(a + share * (b - a) for a, b in zip(start, end, strict=True)) for share in shares]
    return [(x - 2, y - 2, x + 2, y + 2) for x, y in places]


def _inside(box: Box) -> bool:
    return box[0] >= _BOX[0] and box[2] <= _WIDTH and box[1] >= 0 and box[3] <= _BOX[3]


def _overlaps(box: Box, others: Iterable[Box]) -> bool:
    return any(
        box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
        for other in others
    )


def _linear(label: str, low: float, high: float, count: int = 5) -> Axis:
    """Return an axis of about `count` steps (1, 2 or 5 times a power of ten) that encloses low and high."""
    rough = (high - low if high > low else 1.0) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in (1, 2, 5, 10) if nice * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    values = [index * step for index in range(first, max(last, first + 1) + 1)]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return Axis(label, values[0], values[-1], [(value, f"{value:.{decimals}f}") for value in values])


def _decades(label: str, values: Sequence[float], shown: Callable[[float], str]) -> Axis:
    """Return a logarithmic axis of whole decades that encloses the values."""
    logs = [math.log10(value) for value in values if value > 0] or [0.0]
    low = math.floor(min(logs))
    high = max(math.ceil(max(logs) + 0.1), low + 1)
    ticks = [(10.0**power, shown(10.0**power)) for power in range(low, high + 1)]
    return Axis(label, 10.0**low, 10.0**high, ticks, logarithmic=True)


def _short_rate(rate: float) -> str:
    """Return a power of ten in few letters, such as 10G: the axis's name stands close by."""
    number, _, prefix = numbers.operations(rate).partition(" ")
    return f"{float(number):g}{prefix}"


def _colour(slot: int) -> str:
    return f"c{slot % _COLOURS}"


def _element(name: str, content: str = "", **attributes: object) -> str:
    """Return an element of SVG; `content` is SVG too, attributes are escaped, `class_` is `class`."""
    given = "".join(f' {key.rstrip("_")}="{_value(value)}"' for key, value in attributes.items())
    return f"<{name}{given}>{content}</{name}>" if content else f"<{name}{given}/>"


def _value(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else escape(str(value))


def _text(content: str, x: float, y: float, kind: str = "") -> str:
    if kind:
        return _element("text", escape(content), class_=kind, x=x, y=y)
    return _element("text", escape(content), x=x, y=y)


def _figure(
    key: str, title: str, note: str, points: Iterable[str], body: list[str], height: int = _HEIGHT
) -> Figure:
    """Return a chart; `key` makes its ids unique, and screen readers read `points` aloud."""
    key = escape(key)
    return Figure(
        title,
        note,
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="{key}-title {key}-desc">'
        f'<title id="{key}-title">{escape(title)}</title>'
        f'<desc id="{key}-desc">{escape("; ".join(points))}</desc>{"".join(body)}</svg>',
    )


def _document(title: str, summary: str, height: int, body: Sequence[str]) -> str:
    """Return a drawing as a file of its own, readable in light and in dark.

    Args:
        title: its first line.
        summary: its second line, below which the body begins, at 60.
        height: of the whole.
        body: elements.
    """
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_DOCUMENT_WIDTH} {height}" role="img">'
        f"<title>{escape(title)}</title><style>{STYLE}{_DOCUMENT_STYLE}</style>"
        f"{_text(title, 16, 26, 'ink title')}{_text(summary, 16, 46)}{''.join(body)}</svg>\n"
    )
