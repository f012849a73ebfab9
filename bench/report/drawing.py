"""How drawings are made, as SVG of one style: plots with axes, marks, names beside them, and documents.

No library draws them: matplotlib's SVG fixes its colours and the size of its letters, so that one drawing
cannot serve light, dark and a phone, and it places no names. Here colours come from `STYLE` by class (`c0`,
`c1`, ...); every series also has a marker of its own shape, for readers who cannot distinguish the colours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

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
.area{fill:var(--c);fill-opacity:.2;stroke:var(--c);stroke-width:1.5}
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
WIDTH, _HEIGHT = 420, 300
_BOX: Box = (66, 14, 406, 250)
# A file of its own, with two lines above the drawing.
_DOCUMENT_WIDTH, DOCUMENT_TOP = 760, 78
# Of a letter on a phone, where the style sheet makes text 15 units high, so that names fit there too.
_LETTER_WIDTH, _LETTER_HEIGHT = 8.8, 13


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
            parts.append(element("path", class_="grid", d=f"M{left} {y:.1f}H{right}"))
            parts.append(text_at(label, left - 7, y + 4.5, "end"))
        for value, label in self.x.ticks:
            x = left + self.x.share(value) * (right - left)
            if self.x.logarithmic:
                # Between the ticks a logarithmic axis cannot be read without lines.
                parts.append(element("path", class_="grid", d=f"M{x:.1f} {top}V{bottom}"))
            parts.append(text_at(label, x, bottom + 18, "middle"))
        turned = f"translate(13 {(top + bottom) / 2}) rotate(-90)"
        return [
            *parts,
            element("path", class_="axis", d=f"M{left} {bottom}H{right}"),
            text_at(self.x.label, (left + right) / 2, bottom + 42, "middle"),
            element("text", escape(self.y.label), class_="middle", transform=turned),
        ]


def marker(slot: int, x: float = 0, y: float = 0, tip: str = "") -> str:
    """Return the marker of a series, in SVG, at a place in the drawing."""
    title = element("title", escape(tip)) if tip else ""
    place = f"translate({x:.1f} {y:.1f})"
    return element(
        "path", title, class_=f"mark {colour(slot)}", transform=place, d=_MARKERS[slot % len(_MARKERS)]
    )


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
            texts.append(text_at(shown, at_x, at_y, f"{anchor} tag {colour(each.slot)}"))
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
    return box[0] >= _BOX[0] and box[2] <= WIDTH and box[1] >= 0 and box[3] <= _BOX[3]


def _overlaps(box: Box, others: Iterable[Box]) -> bool:
    return any(
        box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
        for other in others
    )


def linear_axis(label: str, low: float, high: float, count: int = 5) -> Axis:
    """Return an axis of about `count` steps (1, 2 or 5 times a power of ten) that encloses low and high."""
    rough = (high - low if high > low else 1.0) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in (1, 2, 5, 10) if nice * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    values = [index * step for index in range(first, max(last, first + 1) + 1)]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return Axis(label, values[0], values[-1], [(value, f"{value:.{decimals}f}") for value in values])


#: Of the largest value over the smallest: above it, small ones could not be told apart on a linear axis.
_CRUSHED = 5


def time_axis(label: str, values: Sequence[float]) -> Axis:
    """Return an axis from zero, or a logarithmic one where one value would crush the others.

    Args:
        label: its name, to which "(logarithmic)" is added where it is so.
        values: to enclose, 0 or more.
    """
    least, most = min(values), max(values)
    if least <= 0 or most / least <= _CRUSHED:
        return linear_axis(label, 0, most * 1.02)
    return stepped_axis(label, least / 1.15, most * 1.15)


def stepped_axis(label: str, low: float, high: float) -> Axis:
    """Return a logarithmic axis from `low` to `high`, with ticks at round values between them."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    # Few where it is long: ticks must not run into each other.
    steps = (1, 1.5, 2, 3, 5, 7) if high / low < 20 else (1, 2, 5) if high / low < 500 else (1,)
    nice = (float(f"{step}e{power}") for power in powers for step in steps)
    ticks = [(value, f"{value:g}") for value in nice if low <= value <= high]
    return Axis(f"{label} (logarithmic)", low, high, ticks, logarithmic=True)


def decade_axis(label: str, values: Sequence[float], shown: Callable[[float], str]) -> Axis:
    """Return a logarithmic axis of whole decades that encloses the values."""
    logs = [math.log10(value) for value in values if value > 0] or [0.0]
    low = math.floor(min(logs))
    high = max(math.ceil(max(logs) + 0.1), low + 1)
    ticks = [(10.0**power, shown(10.0**power)) for power in range(low, high + 1)]
    return Axis(label, 10.0**low, 10.0**high, ticks, logarithmic=True)


def colour(slot: int) -> str:
    """Return the class of `STYLE` that colours a series."""
    return f"c{slot % _COLOURS}"


def element(name: str, content: str = "", **attributes: object) -> str:
    """Return an element of SVG; `content` is SVG too, attributes are escaped, `class_` is `class`."""
    given = "".join(f' {key.rstrip("_")}="{_value(value)}"' for key, value in attributes.items())
    return f"<{name}{given}>{content}</{name}>" if content else f"<{name}{given}/>"


def _value(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else escape(str(value))


def text_at(content: str, x: float, y: float, kind: str = "") -> str:
    """Return text at a place in the drawing; `kind` is a class of `STYLE`."""
    if kind:
        return element("text", escape(content), class_=kind, x=x, y=y)
    return element("text", escape(content), x=x, y=y)


def make_figure(
    key: str, title: str, note: str, points: Iterable[str], body: list[str], height: int = _HEIGHT
) -> Figure:
    """Return a chart; `key` makes its ids unique, and screen readers read `points` aloud."""
    key = escape(key)
    return Figure(
        title,
        note,
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="{key}-title {key}-desc">'
        f'<title id="{key}-title">{escape(title)}</title>'
        f'<desc id="{key}-desc">{escape("; ".join(points))}</desc>{"".join(body)}</svg>',
    )


def document(title: str, summary: str, height: int, body: Sequence[str]) -> str:
    """Return a drawing as a file of its own, readable in light and in dark.

    Args:
        title: its first line.
        summary: its second line, below which the body begins, at 60.
        height: of the whole.
        body: elements.
    """
    return (
        "<!-- Generator: osnet-edge -->\n"
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_DOCUMENT_WIDTH} {height}" role="img">'
        f"<title>{escape(title)}</title><style>{STYLE}{_DOCUMENT_STYLE}</style>"
        f"{text_at(title, 16, 26, 'ink title')}{text_at(summary, 16, 46)}{''.join(body)}</svg>\n"
    )
