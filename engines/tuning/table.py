"""A tuning's table for the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from osnet_edge.engines.tuning.candidate import Candidate
from osnet_edge.engines.tuning.choice import Outcome, Times
from osnet_edge.engines.tuning.request import TuneRequest
from osnet_edge.runtime.package.decisions import AccuracyLoss
from osnet_edge.runtime.package.tuning import TunedCandidate, Tuning


def make_table(
    request: TuneRequest,
    device: str,
    candidates: Sequence[Candidate],
    outcome: Outcome,
    losses: Mapping[Candidate, AccuracyLoss],
    notes: tuple[str, ...],
    *,
    measured: bool,
) -> Tuning:
    """Return the table, fastest first.

    Args:
        request: what was asked.
        device: on or for what.
        candidates: the reference first.
        outcome: who won, and all times.
        losses: that were measured.
        notes: a line each.
        measured: whether times are, or estimated.
    """
    how: Literal["measured", "estimated"] = "measured" if measured else "estimated"
    rows = [_row(each, request.batches, outcome, losses.get(each)) for each in candidates]
    rows.sort(key=lambda row: row.picture_ms or float("inf"))
    by_name = {row.name: row for row in rows}
    reference, winner = by_name[str(candidates[0])], by_name[str(outcome.winner)]
    budget = request.calibration.budget if request.calibration else None
    return Tuning(
        how=how,
        device=device,
        batches=request.batches,
        budget=budget.mean_ap if budget else None,
        budget_rank1=budget.rank1 if budget else None,
        reference=reference.name,
        winner=winner.name,
        why=_why(winner, reference, how),
        # An estimate says nothing about the machine that runs it.
        notes=(*notes, *(_what_int8_gains(rows) if measured else ())),
        candidates=tuple(rows),
    )


def _row(
    candidate: Candidate, batches: Sequence[int], outcome: Outcome, loss: AccuracyLoss | None
) -> TunedCandidate:
    times = outcome.times.get(candidate, Times(()))
    sizes = [str(size) for size in batches]
    return TunedCandidate(
        name=str(candidate),
        backend=candidate.backend,
        precision=candidate.precision,
        rewrite=candidate.rewrite,
        options=candidate.numbers,
        milliseconds={size: round(ms, 4) for size, ms in zip(sizes, times.milliseconds, strict=False)},
        spread={size: round(part, 3) for size, part in zip(sizes, times.spread, strict=False)},
        rounds=times.rounds,
        loss=loss,
        launches=times.launches,
        dropped=outcome.dropped.get(candidate) or outcome.slower.get(candidate),
    )


def _what_int8_gains(rows: Sequence[TunedCandidate]) -> tuple[str, ...]:
    """Return a note if INT8 is not faster than float32; the rows are fastest first."""
    int8, float32 = (
        next((row for row in rows if row.picture_ms and row.precision == precision), None)
        for precision in ("int8", "fp32")
    )
    if not (int8 and float32 and int8.picture_ms and float32.picture_ms):
        return ()
    if (longer := int8.picture_ms / float32.picture_ms) < 1:
        return ()
    return (f"INT8 gains nothing here: {int8.name} takes {longer:.2f} times as long as {float32.name}",)


def _why(winner: TunedCandidate, reference: TunedCandidate, how: str) -> str:
    if winner == reference:
        return f"{winner.name}: nothing else was surely faster, within the budget and proven"
    gain = (reference.picture_ms or 0) / (winner.picture_ms or 1)
    return f"{winner.name}: {gain:.2f} times as fast as {reference.name}, as {how}"
