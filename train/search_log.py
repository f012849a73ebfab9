"""The output of a search: a placement file, a line for each epoch, and a chart."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from osnet_edge.runtime.package.placement import DESIGNS, Placement
from osnet_edge.train.search import SearchEpoch
from osnet_edge.train.variants import write_placement

PLACEMENT_NAME, LOG_NAME, CHART_NAME = "placement.json", "search.jsonl", "search.svg"


def write_search(
    folder: Path, placement: Placement, history: Sequence[SearchEpoch], how: dict[str, Any]
) -> None:
    """Write the result of a search into a folder.

    Args:
        folder: an existing folder.
        placement: the placement that was found.
        history: the figures of all epochs, as `search` reported them.
        how: settings and data, as JSON values by name, for readers of the placement file.
    """
    lines = [_named(epoch) for epoch in history]
    last = lines[-1]["probabilities"]
    write_placement(folder / PLACEMENT_NAME, placement, {**how, "probabilities": last})
    (folder / LOG_NAME).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (folder / CHART_NAME).write_text(search_chart(f"Search: {placement.code}", history), encoding="utf-8")


def _named(epoch: SearchEpoch) -> dict[str, Any]:
    """Return an epoch as JSON, each probability under the name of its design."""
    shares = [
        {design: round(share, 5) for design, share in zip(DESIGNS, row, strict=True)}
        for row in epoch.probabilities
    ]
    return {
        "epoch": epoch.epoch,
        "temperature": epoch.temperature,
        "loss": round(epoch.loss, 5),
        "accuracy": round(epoch.accuracy, 5),
        "probabilities": shares,
    }


#: Of a panel and what surrounds it, in drawing units; three panels to a row.
_PANEL_WIDTH, _PANEL_HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 170, 120, 34, 62, 62, 44
_COLUMNS = 3
#: Colours as on the bench's page, at least 3:1 against either ground; the lines are named besides.
_STYLE = """
svg{--ground:#fff;--ink:#1a1f26;--soft:#535d69;--rule:#d5dbe2;
--c0:#57534e;--c1:#0b57d0;--c2:#b45309;--c3:#a21caf;background:var(--ground)}
@media(prefers-color-scheme:dark){svg{--ground:#0e1217;--ink:#e7edf4;--soft:#a3aebb;--rule:#323b47;
--c0:#c9c5c0;--c1:#7ab0ff;--c2:#f5b35c;--c3:#e58af0}}
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;fill:var(--soft)}
.title{font-size:16px;font-weight:600;fill:var(--ink)}.panel{font-weight:600;fill:var(--ink)}
.middle{text-anchor:middle}.end{text-anchor:end}.rule{stroke:var(--rule);fill:none}
.line{fill:none;stroke-width:2;stroke:var(--c)}.name{fill:var(--c);font-weight:600}
.c0{--c:var(--c0)}.c1{--c:var(--c1)}.c2{--c:var(--c2)}.c3{--c:var(--c3)}
"""
#: Solid, dashed, dotted, dash-dotted: for whoever cannot tell the colours apart.
_DASHES = ("", "6 3", "2 3", "8 3 2 3")
_LINE_HEIGHT = 13


def search_chart(title: str, epochs: Sequence[SearchEpoch]) -> str:
    """Return an SVG chart of six panels, one for each block, each with four lines over the epochs.

    Args:
        title: of the chart.
        epochs: at least one, as `osnet_edge.train.search.search` reported them.
    """
    wide, high = _LEFT + _PANEL_WIDTH + _RIGHT, _PANEL_HEIGHT + _BOTTOM + 26
    rows = -(-len(epochs[0].probabilities) // _COLUMNS)
    body = [f'<text class="title" x="12" y="26">{escape(title)}</text>']
    body.append('<text x="12" y="46">probability of each design over the epochs, block by block</text>')
    for block in range(len(epochs[0].probabilities)):
        row, column = divmod(block, _COLUMNS)
        place = f"translate({column * wide + _LEFT} {_TOP + row * high + 20})"
        body.append(f'<g transform="{place}">{"".join(_panel(block, epochs))}</g>')
    last = epochs[-1].probabilities
    told = "; ".join(
        f"block {k + 1} ends at "
        + ", ".join(f"{design} {share:.2f}" for design, share in zip(DESIGNS, shares, strict=True))
        for k, shares in enumerate(last)
    )
    size = f"{_COLUMNS * wide} {_TOP + rows * high}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img" aria-labelledby="t d">'
        f'<title id="t">{escape(title)}</title><desc id="d">{told}</desc><style>{_STYLE}</style>'
        f"{''.join(body)}</svg>\n"
    )


def _panel(block: int, epochs: Sequence[SearchEpoch]) -> list[str]:
    first, last = epochs[0].epoch, epochs[-1].epoch
    parts = [f'<text class="panel" y="-8">block {block + 1}</text>']
    for share in (0, 0.5, 1):
        y = (1 - share) * _PANEL_HEIGHT
        parts.append(f'<path class="rule" d="M0 {y:.1f}H{_PANEL_WIDTH}"/>')
        parts.append(f'<text class="end" x="-6" y="{y + 4:.1f}">{share:g}</text>')
    for at, epoch in ((0, first), (_PANEL_WIDTH, last)):
        parts.append(f'<text class="middle" x="{at}" y="{_PANEL_HEIGHT + 17}">{epoch}</text>')
    parts.append(
        f'<text class="middle" x="{_PANEL_WIDTH / 2}" y="{_PANEL_HEIGHT + 17}">'
        f"{'epoch' if last > first else ''}</text>"
    )
    ends = [epochs[-1].probabilities[block][design] for design in range(len(DESIGNS))]
    for design, y in enumerate(_spread([(1 - share) * _PANEL_HEIGHT for share in ends])):
        points = " ".join(
            f"{(epoch.epoch - first) / max(1, last - first) * _PANEL_WIDTH:.1f},"
            f"{(1 - epoch.probabilities[block][design]) * _PANEL_HEIGHT:.1f}"
            for epoch in epochs
        )
        kind = f"c{design}"
        parts.append(
            f'<polyline class="line {kind}" stroke-dasharray="{_DASHES[design]}" points="{points}"/>'
        )
        parts.append(
            f'<text class="name {kind}" x="{_PANEL_WIDTH + 6}" y="{y + 4:.1f}">{DESIGNS[design]}</text>'
        )
    return parts


def _spread(heights: Sequence[float]) -> list[float]:
    """Move the names apart where lines end close together, in order, and keep them in the panel."""
    order = sorted(range(len(heights)), key=lambda k: heights[k])
    placed = list(heights)
    least, most = -math.inf, float(_PANEL_HEIGHT)
    for k in order:
        placed[k] = max(placed[k], least)
        least = placed[k] + _LINE_HEIGHT
    for k in reversed(order):
        placed[k] = min(placed[k], most)
        most = placed[k] - _LINE_HEIGHT
    return placed
