"""A drawing as a file of its own: an SVG document that is readable in light and in dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH = 760

_STYLE = """
svg{--ground:#fff;--ink:#1a1f26;--soft:#535d69;--rule:#d5dbe2;
background:var(--ground);font:13px system-ui,sans-serif}
@media(prefers-color-scheme:dark){svg{--ground:#0e1217;--ink:#e7edf4;--soft:#a3aebb;--rule:#323b47}}
text{fill:var(--ink)}.soft{fill:var(--soft)}.rule{stroke:var(--rule)}
"""


def svg_document(title: str, summary: str, height: int, style: str, body: Sequence[str]) -> str:
    """Return a document `WIDTH` wide.

    Args:
        title: its first line.
        summary: its second line, below which the body begins, at 60.
        height: of the whole.
        style: rules of the body's classes, besides `soft` for text and `rule` for lines.
        body: elements.
    """
    heading = (
        f'<text x="16" y="26" font-size="16">{escape(title)}</text>'
        f'<text x="16" y="46" class="soft">{escape(summary)}</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
        f"<title>{escape(title)}</title><style>{_STYLE}{style}</style>{heading}{''.join(body)}</svg>\n"
    )
