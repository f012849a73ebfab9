"""INT8's decision as a drawing: each group's share of the work, and what it loses alone."""

from __future__ import annotations

from html import escape

from osnet_edge.bench.report.svg_document import svg_document
from osnet_edge.runtime.package.decisions import GroupDecision, Int8

_STYLE = """
svg{--int8:#0b6e99;--float:#b0b8c1;--loss:#b4431f}
@media(prefers-color-scheme:dark){svg{--int8:#4fb3dd;--float:#5b6674;--loss:#f08a62}}
.int8{fill:var(--int8)}.float{fill:var(--float)}.loss{stroke:var(--loss);fill:var(--loss)}
"""
_ROW, _TOP = 24, 78
# Names, bars of work, and losses, side by side.
_BARS, _LOSSES = (170, 430), (470, 740)


def decision_chart(decision: Int8, title: str) -> str:
    """Return an SVG document.

    Args:
        decision: of a manifest.
        title: what it is of, such as the package's name.
    """
    height = _TOP + _ROW * len(decision.groups) + 30
    most = max((each.macs for each in decision.groups), default=0.0) or 1.0
    measured = [each.loss for each in decision.groups if each.loss]
    ends = [value for loss in measured for value in (loss.mean_ap, loss.mean_ap_most)]
    low, high = min(ends, default=0.0), max(ends, default=0.0)
    low, high = min(low, 0.0) - 0.05, max(high, decision.budget or 0.0) + 0.05
    body = [f'<text x="{_BARS[0]}" y="68" class="soft">share of the work (blue: INT8)</text>']
    if measured:
        zero = _place(0.0, low, high)
        body += [
            f'<text x="{_LOSSES[0]}" y="68" class="soft">mAP points lost alone, and at most (95 %)</text>',
            f'<line class="rule" x1="{zero:.1f}" x2="{zero:.1f}" y1="{_TOP}" y2="{height - 24}"/>',
            f'<text class="soft" x="{zero - 4:.1f}" y="{height - 8}">0</text>',
        ]
    for index, each in enumerate(decision.groups):
        body += _row(each, _TOP + _ROW * index, most, low, high)
    return svg_document(title, _summary(decision), height, _STYLE, body)


def _row(each: GroupDecision, top: float, most: float, low: float, high: float) -> list[str]:
    middle, wide = top + _ROW / 2, (_BARS[1] - _BARS[0] - 50) * each.macs / most
    kind = "int8" if each.int8 else "float"
    drawn = [
        f'<text x="16" y="{middle + 4}">{escape(each.group)}</text>',
        f'<rect class="{kind}" x="{_BARS[0]}" y="{top + 4}" width="{max(wide, 1):.1f}" height="{_ROW - 8}"/>',
        f'<text class="soft" x="{_BARS[0] + wide + 6:.1f}" y="{middle + 4}">{each.macs:.1%}</text>',
    ]
    if each.loss:
        mean, limit = (_place(value, low, high) for value in (each.loss.mean_ap, each.loss.mean_ap_most))
        drawn += [
            f'<line class="loss" x1="{mean:.1f}" x2="{limit:.1f}" y1="{middle}" y2="{middle}"/>',
            f'<circle class="loss" cx="{mean:.1f}" cy="{middle}" r="4"><title>{each.loss.mean_ap:.2f}, '
            f"{each.loss.mean_ap_most:.2f} at most</title></circle>",
        ]
    return drawn


def _place(points: float, low: float, high: float) -> float:
    return _LOSSES[0] + (_LOSSES[1] - _LOSSES[0]) * (points - low) / (high - low)


def _summary(decision: Int8) -> str:
    if decision.dropped:
        return f"dropped, as {decision.dropped}"
    parts = [f"{decision.macs:.0%} of the multiply-accumulates in INT8"]
    if decision.loss:
        parts.append(f"mAP lost {decision.loss.mean_ap:.2f}, {decision.loss.mean_ap_most:.2f} at most")
    if decision.budget is not None:
        parts.append(f"budget {decision.budget:g}")
    return "; ".join(parts)
