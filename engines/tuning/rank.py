"""Tuning for a device that is not here: plans, where they can be built, and a cost model that ranks them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from osnet_edge.engines.backends.registry import builder_of
from osnet_edge.engines.tuning.accuracy import Accuracy
from osnet_edge.engines.tuning.candidate import Candidate
from osnet_edge.engines.tuning.ceilings import Ceilings
from osnet_edge.engines.tuning.cost_model import estimate, launches_of
from osnet_edge.engines.tuning.outcome import Outcome, Times, pick
from osnet_edge.runtime.errors import OsnetEdgeError

#: By how much an estimate must differ before it says anything.
_MARGIN = 1.05
_NO_PROOF = "no GPU was here to show that INT8 gains"


def rank(
    candidates: Sequence[Candidate],
    accuracy: Accuracy,
    ceilings: Ceilings,
    batches: Sequence[int],
    capabilities: tuple[str, ...],
    scratch: Path,
    progress: Callable[[str], None] = lambda step: None,
) -> Outcome:
    """Estimate candidates and pick one.

    Args:
        candidates: the reference first.
        accuracy: makes their graphs, and holds them to the budget.
        ceilings: of the device.
        batches: batch sizes to tune for.
        capabilities: that plans are built for; none are built for full TensorRT, which needs the device.
        scratch: a folder for plans.
        progress: told what is being done.

    Raises:
        OsnetEdgeError: the reference cannot be built.
    """
    times: dict[Candidate, Times] = {}
    failed: dict[Candidate, str] = {}
    for index, candidate in enumerate(candidates, start=1):
        progress(f"estimating {candidate} ({index} of {len(candidates)})")
        try:
            times[candidate] = _estimate(candidate, accuracy, ceilings, batches, capabilities, scratch)
        except OsnetEdgeError as error:
            if candidate == candidates[0]:
                raise
            failed[candidate] = str(error)
    score = {each: statistics.geometric_mean(found.milliseconds) for each, found in times.items()}

    def refuse(candidate: Candidate) -> str | None:
        return _NO_PROOF if candidate.quantized else accuracy.refuse(candidate)

    order = sorted(times, key=lambda each: score[each])
    winner, dropped = pick(order, candidates, lambda one, other: score[one] * _MARGIN < score[other], refuse)
    longer = {each: f"{score[each] / score[winner]:.2f} times as long as the winner" for each in order}
    longer.pop(winner)
    return Outcome(winner, times, {**dropped, **failed}, longer)


def _estimate(
    candidate: Candidate,
    accuracy: Accuracy,
    ceilings: Ceilings,
    batches: Sequence[int],
    capabilities: tuple[str, ...],
    scratch: Path,
) -> Times:
    work, builder = accuracy.graph(candidate).work, builder_of(candidate.backend)
    schedule = builder.schedule(
        accuracy.graphs[candidate.rewrite],
        accuracy.settle(candidate, capabilities),
        candidate.batch_range(batches),
        candidate.options,
        scratch,
    )
    milliseconds = tuple(estimate(work, ceilings, size, schedule) for size in sorted(batches))
    return Times(milliseconds, launches=launches_of(work, schedule))
