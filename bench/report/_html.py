"""The pieces that pages are made of: the page itself and its tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from osnet_edge.bench.report._style import STYLE
from osnet_edge.bench.report.text_tables import Table


def page(title: str, body: str) -> str:
    """Return a page that needs nothing else: no script, no font, no picture from elsewhere."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>\n"
    )


def table(kind: str, label: str, rows: str) -> str:
    """Return a table that scrolls sideways where it is wider than the screen."""
    # A region that scrolls must be reachable by keyboard, and then it needs a name.
    region = f'<div class="card wide {kind}" role="region" aria-label="{label}" tabindex="0">'
    return f"{region}<table>{rows}</table></div>"


def heads(columns: Sequence[tuple[str, str]]) -> str:
    """Return the row of headers, each with its unit below it."""
    cells = (
        f'<th scope="col">{label}{f"<small>{unit}</small>" if unit else ""}</th>' for label, unit in columns
    )
    return f"<tr>{''.join(cells)}</tr>"


def row(head: str, contents: Sequence[str]) -> str:
    """Return a row of HTML: what it is of, and its cells."""
    cells = "".join(f"<td>{content}</td>" for content in contents)
    return f'<tr><th scope="row">{head}</th>{cells}</tr>'


def text_table(label: str, text: Table) -> str:
    """Return a table of text as one of HTML, each row headed by its first cell."""
    cells = [(column, content) for each in text.rows for column, content in enumerate(each)]
    spoken = {column for column, content in cells if any(map(str.isalpha, content))}

    def cell(column: int, content: str) -> str:
        return words(content) if column and column in spoken else breakable(content)

    columns = heads([(cell(place, header), "") for place, header in enumerate(text.headers)])
    filled = [[cell(place, content) for place, content in enumerate(each)] for each in text.rows]
    rows = "".join(row(first, others) for first, *others in filled)
    return table("overview", label, f"<thead>{columns}</thead><tbody>{rows}</tbody>")


def words(text: str) -> str:
    """Return the content of a cell of words among numbers: to the left, in several lines if need be."""
    return f'<span class="words">{breakable(text)}</span>'


def note(text: str) -> str:
    """Return a line below a table that says what its columns mean."""
    return f'<p class="soft note">{escape(text)}</p>'


def breakable(name: str) -> str:
    """Return a name in HTML, free to break where its parts join."""
    return re.sub("(?<=[-_/])", "<wbr>", escape(name))


def unbroken(text: str) -> str:
    """Return text in HTML whose numbers stay on the line of their units."""
    return re.sub(r"(?<=\d) (?=%|ms\b)", "&nbsp;", escape(text))


def command(text: str) -> str:
    """Return a command in HTML that wraps between its words: a browser would also break after "--"."""
    words = " ".join(f"<span>{escape(word)}</span>" for word in text.split(" "))
    return f"<pre><code>{words}</code></pre>"
