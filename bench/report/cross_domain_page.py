"""Scores of networks on sets as one HTML page, with pictures to look at."""

from __future__ import annotations

from collections.abc import Sequence

from osnet_edge.bench.report import _html
from osnet_edge.bench.report.cross_domain import DomainScores, cross_tables
from osnet_edge.bench.report.picture_section import PictureSection, picture_sections
from osnet_edge.runtime.errors import InputError

# What decides comes first: on a phone the rest is a swipe away.
_COLUMNS = ("mAP", "Rank-1", "Rank-5", "Rank-10", "Rank-20", "mINP")
_ORDER = (4, 0, 1, 2, 3, 5)


def cross_domain_page(
    results: Sequence[DomainScores],
    *,
    command: str,
    title: str = "OSNet, scored",
    sections: Sequence[PictureSection] = (),
) -> str:
    """Return the page: a sentence, tables, pictures, and what to type to repeat it.

    Args:
        results: of every source on every target.
        command: what to type to repeat it.
        title: of the page.
        sections: pictures to show after the figures.

    Raises:
        InputError: there is no result.
    """
    if not results:
        raise InputError("expected at least one result to show, but got none")
    pairs = {(each.source, each.target) for each in results}
    crossed = _crossed(results) if len(pairs) > 1 else ""
    body = (
        f'<p class="lead">{_html.unbroken(lead(results))}</p>{crossed}<h2>Scores</h2>{_scores(results)}'
        f"{picture_sections(sections)}<h2>Repeat it</h2>{_html.command(command)}"
    )
    return _html.page(title, body)


def lead(results: Sequence[DomainScores]) -> str:
    """Return what the best of the results is, in a sentence."""
    best = max(results, key=lambda each: each.scores.mean_ap)
    figures = f"Rank-1 {best.figures[0]} %, mAP {best.figures[4]} %"
    return f"{best.source} on {best.target}: {figures} ({best.way}, {_protocol(best)})."


def _crossed(results: Sequence[DomainScores]) -> str:
    tables = "".join(
        f"<h3>{way[0].upper()}{way[1:]}</h3>{_html.text_table(f'Sources by targets, {way}', table)}"
        for way, table in cross_tables(results).items()
    )
    note = "Rank-1 / mAP in percent. A row is a network, a column a set it is tested on."
    return f"<h2>Sources by targets</h2>{tables}{_html.note(note)}"


def _scores(results: Sequence[DomainScores]) -> str:
    heads = _html.heads((("Network", ""), *((name, "%") for name in _COLUMNS)))
    rows = "".join(
        _html.row(
            f"{_html.breakable(each.source)}<small>{_html.breakable(each.target)}, {each.way}</small>",
            [each.figures[column] for column in _ORDER],
        )
        for each in results
    )
    targets = {each.target: each for each in results}.values()
    tests = "; ".join(f"{each.target}: {_protocol(each)}" for each in targets)
    note = (
        "Rank-k: queries with a match among the first k. mAP: mean average precision. mINP: share of right "
        f"answers down to the last one. {tests}."
    )
    table = _html.table("overview", "Scores", f"<thead>{heads}</thead><tbody>{rows}</tbody>")
    return table + _html.note(note)


def _protocol(result: DomainScores) -> str:
    scores = result.scores
    splits = f"mean of {result.splits} splits, " if result.splits > 1 else ""
    skipped = f" ({scores.skipped} without a match, left out)" if scores.skipped else ""
    return (
        f"{result.protocol} protocol, {splits}{scores.queries} queries{skipped} against {scores.gallery} "
        "gallery pictures"
    )
