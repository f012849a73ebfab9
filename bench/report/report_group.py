"""A section of the page: a table with a group of rows for each engine that has something to show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from osnet_edge.bench.report import _format, _html
from osnet_edge.bench.result.engine_result import EngineResult
from osnet_edge.bench.result.result import BenchResult

Columns = Sequence[tuple[str, str]]


def grouped(
    result: BenchResult,
    title: str,
    columns: Columns,
    rows: Callable[[EngineResult], Iterable[Sequence[str]]],
    note: str,
) -> str:
    """Return a section: a table with a group of rows for each engine that has any; "" where none has."""
    groups = []
    for engine in result.engines:
        lines = [_html.row(first, others) for first, *others in rows(engine)]
        if lines:
            name = _html.breakable(engine.name)
            head = f'<tr><th scope="rowgroup" colspan="{len(columns)}">{name}</th></tr>'
            groups.append(f"<tbody>{head}{''.join(lines)}</tbody>")
    if not groups:
        return ""
    heads = _html.heads(columns)
    table = _html.table("batches", title, f"<thead>{heads}</thead>{''.join(groups)}")
    return f"<h2>{title}</h2>{table}{_html.note(note)}"


def optional(value: object, shown: Callable[..., str]) -> str:
    """Return a figure as it is shown, or that there is none."""
    return _format.MISSING if value is None else shown(value)
