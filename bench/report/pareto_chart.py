"""A tuning as a drawing: what each candidate takes and loses, and the front that nothing is better than."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from osnet_edge.bench.report.front import pareto_front, steps
from osnet_edge.bench.report.svg_document import svg_document
from osnet_edge.runtime.package.tuning import TunedCandidate, Tuning

_STYLE = """
svg{--best:#0b6e99;--other:#8b95a1;--win:#b4431f}
@media(prefers-color-scheme:dark){svg{--best:#4fb3dd;--other:#7d8896;--win:#f08a62}}
.front{stroke:var(--best);fill:none;stroke-width:2}.budget{stroke:var(--soft);stroke-dasharray:5 4}
.best{fill:var(--best);stroke:var(--best)}.other{fill:var(--other);stroke:var(--other)}
.win{fill:var(--win);stroke:var(--win)}
"""
_HEIGHT, _KEY_ROW = 430, 20
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 740, 78, 372


@dataclass(frozen=True)
class _Point:
    candidate: TunedCandidate
    x: float
    y: float


def pareto_chart(tuning: Tuning) -> str:
    """Return an SVG document: milliseconds a picture against points of mAP lost, faster to the left."""
    shown = _shown(tuning.candidates)
    front = pareto_front(shown, lambda each: (each.picture_ms or 0, -_lost(each)))
    named = list({each.name: each for each in (*front, *_told(tuning))}.values())
    x_range, y_range = _ranges(shown, tuning.budget)
    points = [
        _Point(each, _across(each.picture_ms or 0, x_range), _down(_lost(each), y_range)) for each in shown
    ]
    title = f"{_head(tuning)}: speed against accuracy"
    body = [
        *_axes(x_range, y_range),
        *_budget(tuning.budget, y_range),
        # Between two points of the front nothing better than the slower one is known.
        steps([(point.x, point.y) for each in front for point in points if point.candidate is each]),
    ]
    for point in points:
        body += _mark(point, named, front, tuning.winner, y_range)
    body += _key(named, tuning.winner)
    height = _HEIGHT + _KEY_ROW * len(named)
    return svg_document(title, _summary(tuning, len(shown)), height, _STYLE, body)


def _shown(candidates: Sequence[TunedCandidate]) -> list[TunedCandidate]:
    return [each for each in candidates if each.milliseconds and (each.loss or each.precision == "fp32")]


def _lost(each: TunedCandidate) -> float:
    return each.loss.mean_ap if each.loss else 0.0


def _told(tuning: Tuning) -> list[TunedCandidate]:
    names = (tuning.winner, tuning.reference)
    return [each for each in _shown(tuning.candidates) if each.name in names]


def _head(tuning: Tuning) -> str:
    return tuning.device if tuning.how == "measured" else f"{tuning.device} (estimated)"


def _summary(tuning: Tuning, shown: int) -> str:
    hidden = len(tuning.candidates) - shown
    left = f"; {hidden} more, too slow to have their loss measured" if hidden else ""
    sizes = ", ".join(map(str, tuning.batches))
    return f"geometric mean over batches of {sizes}; {shown} candidates{left}"


def _ranges(
    shown: Sequence[TunedCandidate], budget: float | None
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the span of milliseconds, which is drawn in logarithms, and that of points lost."""
    times = [each.picture_ms or 1 for each in shown] or [1.0]
    lost = [value for each in shown if each.loss for value in (each.loss.mean_ap, each.loss.mean_ap_most)]
    low, high = min([0.0, *lost]), max([0.0, *lost, *([budget] if budget is not None else [])])
    pad = 0.12 * (high - low) or 0.1
    return (min(times) / 1.15, max(times) * 1.15), (low - pad, high + pad)


def _across(ms: float, span: tuple[float, float]) -> float:
    share = math.log(ms / span[0]) / math.log(span[1] / span[0])
    return _LEFT + share * (_RIGHT - _LEFT)


def _down(points: float, span: tuple[float, float]) -> float:
    return _TOP + (points - span[0]) / (span[1] - span[0]) * (_BOTTOM - _TOP)


def _axes(x_range: tuple[float, float], y_range: tuple[float, float]) -> list[str]:
    drawn = []
    for value in _round_times(x_range):
        x = _across(value, x_range)
        drawn.append(f'<path class="rule" d="M{x:.1f} {_TOP}V{_BOTTOM}"/>')
        drawn.append(
            f'<text class="soft" text-anchor="middle" x="{x:.1f}" y="{_BOTTOM + 18}">{value:g}</text>'
        )
    for value in _round_points(y_range):
        y = _down(value, y_range)
        drawn.append(f'<path class="rule" d="M{_LEFT} {y:.1f}H{_RIGHT}"/>')
        drawn.append(f'<text class="soft" text-anchor="end" x="{_LEFT - 8}" y="{y + 4:.1f}">{value:g}</text>')
    middle = f'x="{(_LEFT + _RIGHT) / 2}" y="{_BOTTOM + 38}"'
    turned = f"translate(20 {(_TOP + _BOTTOM) / 2}) rotate(-90)"
    return [
        *drawn,
        f'<text class="soft" text-anchor="middle" {middle}>milliseconds a picture (logarithmic)</text>',
        f'<text class="soft" text-anchor="middle" transform="{turned}">mAP points lost, and at most</text>',
    ]


def _round_times(span: tuple[float, float]) -> list[float]:
    """Return 1, 1.5, 2, 3, 5 and 7 times powers of ten within a span."""
    powers = range(math.floor(math.log10(span[0])), math.ceil(math.log10(span[1])) + 1)
    values = [float(f"{nice}e{power}") for power in powers for nice in (1, 1.5, 2, 3, 5, 7)]
    return [value for value in values if span[0] <= value <= span[1]]


def _round_points(span: tuple[float, float]) -> list[float]:
    rough = (span[1] - span[0]) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in (1, 2, 5, 10) if nice * power >= rough)
    first, last = math.ceil(span[0] / step), math.floor(span[1] / step)
    return [round(index * step, 6) for index in range(first, last + 1)]


def _budget(budget: float | None, y_range: tuple[float, float]) -> list[str]:
    if budget is None:
        return []
    y = _down(budget, y_range)
    return [
        f'<path class="budget" d="M{_LEFT} {y:.1f}H{_RIGHT}"/>',
        f'<text class="soft" text-anchor="end" x="{_RIGHT}" y="{y - 5:.1f}">budget {budget:g}</text>',
    ]


def _mark(
    point: _Point,
    named: Sequence[TunedCandidate],
    front: Sequence[TunedCandidate],
    winner: str,
    y_range: tuple[float, float],
) -> list[str]:
    each = point.candidate
    kind = "win" if each.name == winner else "best" if each in front else "other"
    drawn = []
    if each.loss:
        # From what was lost on these people to what may be lost on others like them.
        end = _down(each.loss.mean_ap_most, y_range)
        drawn.append(f'<path class="{kind}" d="M{point.x:.1f} {point.y:.1f}V{end:.1f}"/>')
    tip = escape(f"{each.name}: {each.picture_ms:.3g} ms a picture, {_lost(each):.2f} points lost")
    size = 6 if kind == "win" else 4
    place = f'cx="{point.x:.1f}" cy="{point.y:.1f}" r="{size}"'
    drawn.append(f'<circle class="{kind}" {place}><title>{tip}</title></circle>')
    if each in named:
        number = named.index(each) + 1
        place = f'x="{point.x + 8:.1f}" y="{point.y - 8:.1f}"'
        drawn.append(f"<text {place}>{number}</text>")
    return drawn


def _key(named: Sequence[TunedCandidate], winner: str) -> list[str]:
    rows = []
    for index, each in enumerate(named):
        won = " (winner)" if each.name == winner else ""
        costs = f"{each.picture_ms:.3g} ms a picture, {_lost(each):.2f} points lost"
        text = f"{index + 1}  {each.name}{won}: {costs}"
        rows.append(f'<text x="{_LEFT}" y="{_HEIGHT + _KEY_ROW * index}">{escape(text)}</text>')
    return rows
