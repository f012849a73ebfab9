"""The result in a sentence or two, for a reader who stops there."""

from __future__ import annotations

from osnet_edge.bench.report import numbers
from osnet_edge.bench.result.result import BenchResult, EngineResult

# trtexec warns above 2.5 % on a GPU of its own; on a shared CPU twice that is still a usable time.
_NOISY_CV = 0.05


def fastest(result: BenchResult) -> EngineResult | None:
    """Return the candidate with the lowest p50 at the smallest batch all were measured at, or None."""
    batch = result.common_batch
    if batch is None:
        return None
    timed = [engine for engine in result.candidates if engine.at(batch)]
    return min(timed, key=lambda engine: _p50(engine, batch), default=None)


def summary(result: BenchResult) -> str:
    """Return which engine is fastest, by how much, and what accuracy it keeps of the reference's."""
    best, batch = fastest(result), result.common_batch
    if best is None or batch is None:
        return "No batch size was measured for every engine, so they cannot be ranked by speed."
    base = result.reference
    taken = f"{numbers.milliseconds(_p50(best, batch))} ms a call (p50)"
    if best is base:
        return f"{best.name} takes {taken} at batch {batch}; {_accuracy_of(best)}."
    if len(result.candidates) == 1:
        lead = f"At batch {batch}, {best.name} takes {taken}"
    else:
        lead = f"At batch {batch}, {best.name} is the fastest of {len(result.candidates)} engines: {taken}"
    speedups = [r.speedup for r in result.ratios() if (r.engine, r.batch) == (best.name, batch)]
    # A clock too coarse for the engine reads 0, and then there is no ratio.
    compared = f", {_compared(speedups[0])} {base.name}" if speedups else ""
    return f"{lead}{compared}; {_accuracy_kept(best, result)}."


def caution(result: BenchResult) -> str | None:
    """Return a warning where times varied so much that small differences mean nothing, else None."""
    worst = max((each.latency.cv for engine in result.engines for each in engine.batches), default=0.0)
    if worst <= _NOISY_CV:
        return None
    return (
        "The machine was not quiet: the standard deviation of the calls reaches "
        f"{worst * 100:.0f} % of their mean. Medians and ratios hold better than means and p99."
    )


def _compared(speedup: float) -> str:
    """Say a ratio, unless the same engine measured twice on a shared machine may show it too."""
    return "about as fast as" if abs(speedup - 1) <= _NOISY_CV else f"{speedup:.2f} times as fast as"


def _p50(engine: EngineResult, batch: int) -> float:
    measured = engine.at(batch)
    assert measured is not None  # the batch is common to all engines
    return measured.latency.p50_ms


def _accuracy_of(engine: EngineResult) -> str:
    if engine.accuracy is None:
        return "its accuracy was not measured"
    scores = engine.accuracy.scores
    return (
        f"its mAP is {numbers.percent(scores.mean_ap)} % and its Rank-1 {numbers.percent(scores.rank1)} % "
        f"on {engine.accuracy.data_set}"
    )


def _accuracy_kept(engine: EngineResult, result: BenchResult) -> str:
    base = result.reference.accuracy
    comparable = engine.name in {change.engine for change in result.accuracy_changes()}
    if base is None or engine.accuracy is None or not comparable:
        return _accuracy_of(engine)
    here, there = engine.accuracy.scores.mean_ap, base.scores.mean_ap
    kept = f"it keeps {here / there * 100:.1f} % of its mAP" if there else "its mAP compares"
    return f"{kept} ({numbers.percent(here)} % against {numbers.percent(there)} % on {base.data_set})"
