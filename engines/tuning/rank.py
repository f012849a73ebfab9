"""Tuning for a device that is not here: plans, where they can be built, and a cost model that ranks them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from osnet_edge.engines.graph.work import count_work
from osnet_edge.engines.tuning.accuracy import Accuracy
from osnet_edge.engines.tuning.candidate import Candidate
from osnet_edge.engines.tuning.ceilings import Ceilings
from osnet_edge.engines.tuning.cost_model import estimate, launches_of
from osnet_edge.engines.tuning.outcome import Outcome, Times, pick
from osnet_edge.runtime.backends.tensorrt.plan_schedule import read_plan_schedule
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
        return _NO_PROOF if candidate.precision == "int8" else accuracy.refuse(candidate)

    order = sorted(times, key=lambda each: score[each])
    winner, dropped = pick(order, candidates, lambda one, other: score[one] * _MARGIN < score[other], refuse)
    longer = {each: f"{score[each] / score[winner]:.2f} times as long as the winner" for each in order}
    longer.pop(winner)
    return Outcome(winner, times, {**longer, **dropped, **failed})


def _estimate(
    candidate: Candidate,
    accuracy: Accuracy,
    ceilings: Ceilings,
    batches: Sequence[int],
    capabilities: tuple[str, ...],
    scratch: Path,
) -> Times:
    work, schedule = count_work(accuracy.model(candidate)), None
    if candidate.backend == "tensorrt_rtx":
        from osnet_edge.engines.backends.tensorrt.plan import build_plan

        plan = scratch / "model.plan"
        build_plan(
            accuracy.graphs[candidate.rewrite].model,
            plan,
            library="tensorrt_rtx",
            capabilities=capabilities,
            precision=candidate.precision,
            quantize=accuracy.settle(candidate, capabilities).quantize,
            batch=candidate.batch_range(batches),
            options=candidate.options,
        )
        schedule = read_plan_schedule(plan)
    milliseconds = tuple(estimate(work, ceilings, size, schedule) for size in sorted(batches))
    return Times(milliseconds, launches=launches_of(work, schedule))
