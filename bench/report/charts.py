"""Charts as inline SVG: no library, no script, readable in light, in dark and on a phone.

Colours come from the page's style sheet by class (`c0`, `c1`, ...), so that one drawing serves both schemes;
every series also has a marker of its own shape, for whoever cannot tell the colours apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from osnet_edge.bench.report.front import Place, corners, pareto_front, steps

#: Left, top, right and bottom, in drawing units.
Box = tuple[float, float, float, float]

COLOURS = 6
# 420 units across, so that text stays readable on a phone of 390 px.
WIDTH, _HEIGHT = 420, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 14, 14, 50
# Five shapes and six colours repeat together only after thirty engines.
_MARKERS = (
    "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0-5 0Z",
    "M-4.5-4.5H4.5V4.5H-4.5Z",
    "M0-6L6 4.5H-6Z",
    "M0-6.5L6.5 0L0 6.5L-6.5 0Z",
    "M-2-6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z",
)
# Of a letter on a phone, where the style sheet makes text 15 units high, so that names fit there too.
_LETTER_WIDTH, _LETTER_HEIGHT = 8.2, 13


@dataclass(frozen=True)
class Series:
    """One engine's points, in data units; `slot` picks its colour and marker."""

    name: str
    slot: int
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Chart:
    """What a chart says besides its points: `key` makes its ids unique, `description` reads it aloud."""

    key: str
    title: str
    description: str
    x_label: str
    y_label: str


def marker(slot: int, x: float = 0, y: float = 0, tip: str = "") -> str:
    """Return the marker of a series, in SVG, at a place in the drawing."""
    title = f"<title>{escape(tip)}</title>" if tip else ""
    shape = _MARKERS[slot % len(_MARKERS)]
    place = f"translate({x:.1f} {y:.1f})"
    return f'<path class="mark c{slot % COLOURS}" transform="{place}" d="{shape}">{title}</path>'


def line_chart(chart: Chart, categories: Sequence[int], series: Sequence[Series]) -> str:
    """Return lines over evenly spaced categories (the points' x are indices into them), y from zero."""
    top = max((y for each in series for _, y in each.points), default=1)
    frame = Frame((-0.3, len(categories) - 0.7), (0, _ticks(0, top)[-1]))
    body = frame.axes(chart, [(i, str(name)) for i, name in enumerate(categories)], _labelled(0, top))
    for each in series:
        places = [frame.place(x, y) for x, y in each.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        body.append(f'<polyline class="line c{each.slot % COLOURS}" points="{path}"/>')
        body += [
            marker(each.slot, *place, tip=f"{each.name}, {chart.x_label} {categories[int(x)]}: {y:.3g}")
            for place, (x, y) in zip(places, each.points, strict=True)
        ]
    return drawing(chart, body)


def scatter_chart(chart: Chart, series: Sequence[Series]) -> str:
    """Return named points; x starts at zero, y spans the points so that small losses can be seen."""
    xs = [x for each in series for x, _ in each.points]
    ys = [y for each in series for _, y in each.points]
    pad = max((max(ys) - min(ys)) * 0.25, 0.5)
    x_ticks, y_ticks = _ticks(0, max(xs) * 1.05), _ticks(min(ys) - pad, max(ys) + pad)
    frame = Frame((0, x_ticks[-1]), (y_ticks[0], y_ticks[-1]))
    body = frame.axes(chart, _labelled(0, max(xs) * 1.05), _labelled(min(ys) - pad, max(ys) + pad))
    best = pareto_front([each.points[0] for each in series], lambda point: point)
    front = [frame.place(*point) for point in best]
    body.append(steps(front))
    placed = [(frame.place(*point), each) for each in series for point in each.points]
    body += [marker(each.slot, *place, tip=each.name) for place, each in placed]
    body += named(placed, pairwise(corners(front)))
    return drawing(chart, body)


@dataclass(frozen=True)
class Frame:
    """The plotting area: data units to drawing units, and the axes around it."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point lies in the drawing."""
        across = (x - self.x_range[0]) / (self.x_range[1] - self.x_range[0])
        up = (y - self.y_range[0]) / (self.y_range[1] - self.y_range[0])
        return (
            _LEFT + across * (WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM),
        )

    def axes(
        self, chart: Chart, x_ticks: list[tuple[float, str]], y_ticks: list[tuple[float, str]]
    ) -> list[str]:
        """Return the axes in SVG, with their labels."""
        parts = []
        for value, label in y_ticks:
            _, y = self.place(0, value)
            parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
            parts.append(f'<text class="end" x="{_LEFT - 7}" y="{y + 4.5:.1f}">{label}</text>')
        for value, label in x_ticks:
            x, _ = self.place(value, 0)
            parts.append(f'<text class="middle" x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 18}">{label}</text>')
        x_name = escape(chart.x_label)
        middle = (_LEFT + WIDTH - _RIGHT) / 2
        parts.append(f'<path class="axis" d="M{_LEFT} {_HEIGHT - _BOTTOM}H{WIDTH - _RIGHT}"/>')
        parts.append(f'<text class="middle" x="{middle}" y="{_HEIGHT - 8}">{x_name}</text>')
        turned = f"translate(13 {(_TOP + _HEIGHT - _BOTTOM) / 2}) rotate(-90)"
        parts.append(f'<text class="middle" transform="{turned}">{escape(chart.y_label)}</text>')
        return parts


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
            place = f'x="{at_x:.1f}" y="{at_y:.1f}"'
            kind = f"{anchor} tag c{each.slot % COLOURS}"
            texts.append(f'<text class="{kind}" {place}>{escape(shown)}</text>')
    return texts


def shortened(name: str) -> str:
    """Return a name that fits into a chart."""
    return name if len(name) <= 26 else name[:25] + "…"


def _beside(x: float, y: float) -> list[tuple[str, float, float]]:
    """Return where a name may stand, best first, as (text anchor, x, baseline)."""
    places = []
    for drop in (4.5, -12, 21):
        sideways = 11 if drop == 4.5 else 0
        places += [("start", x + sideways, y + drop), ("end", x - sideways, y + drop)]
        if not sideways:
            places.append(("middle", x, y + drop))
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
    return box[0] >= _LEFT and box[2] <= WIDTH and box[1] >= 0 and box[3] <= _HEIGHT - _BOTTOM


def _overlaps(box: Box, others: Iterable[Box]) -> bool:
    return any(
        box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
        for other in others
    )


def drawing(chart: Chart, body: list[str], height: int = _HEIGHT) -> str:
    """Return the drawing of a chart, with what reads it aloud."""
    key = escape(chart.key)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="{key}-title {key}-desc">'
        f'<title id="{key}-title">{escape(chart.title)}</title>'
        f'<desc id="{key}-desc">{escape(chart.description)}</desc>{"".join(body)}</svg>'
    )


def _ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round values (1, 2 or 5 times a power of ten) that enclose low and high."""
    span = high - low if high > low else 1.0
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in (1, 2, 5, 10) if nice * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, max(last, first + 1) + 1)]


def _labelled(low: float, high: float) -> list[tuple[float, str]]:
    ticks = _ticks(low, high)
    decimals = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    return [(value, f"{value:.{decimals}f}") for value in ticks]
