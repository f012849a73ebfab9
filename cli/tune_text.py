"""A manifest's tuning, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from osnet_edge.bench.report.render import TextTable, aligned
from osnet_edge.runtime.package.tuning import TunedCandidate, Tuning


def tuning_lines(tuning: Tuning | None) -> Iterator[str]:
    """Yield the table, fastest first, the winner and the reason, and notes; nothing without tuning."""
    if tuning is None:
        return
    sizes = [str(size) for size in tuning.batches]
    headers = (
        "candidate",
        *(f"ms at {size}" for size in sizes),
        "ms an image",
        "spread",
        "rounds" if tuning.how == "measured" else "launches",
        "mAP lost",
        "why not",
    )
    rows = [_row(each, sizes, tuning) for each in tuning.candidates]
    # The last column has text too; right alignment would move it away from its row.
    last = [row.pop() for row in rows]
    text = aligned(TextTable(headers[:-1], rows)).splitlines()
    where = "measured on" if tuning.how == "measured" else "estimated, not measured, for"
    yield f"{where} {tuning.device}"
    yield f"{text[0]}  {headers[-1]}"
    yield text[1] + "  " + "-" * len(headers[-1])
    yield from (f"{line}  {why}".rstrip() for line, why in zip(text[2:], last, strict=True))
    yield f"winner: {tuning.why}"
    yield from (f"note: {note}" for note in tuning.notes)


def _row(each: TunedCandidate, sizes: list[str], tuning: Tuning) -> list[str]:
    score = each.picture_ms
    return [
        each.name,
        *(f"{each.milliseconds[size]:.3g}" if size in each.milliseconds else "" for size in sizes),
        "" if score is None else f"{score:.3g}",
        f"{max(each.spread.values()):.0%}" if each.spread else "",
        str(each.rounds or each.launches or ""),
        _lost(each),
        "winner" if each.name == tuning.winner else each.dropped or "",
    ]


def _lost(each: TunedCandidate) -> str:
    if each.loss:
        return f"{each.loss.worse.mean_ap:.2f} ({each.loss.worse.mean_ap_most:.2f})"
    return "0" if each.precision == "fp32" else "?"
