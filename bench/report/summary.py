"""The result in a sentence or two, for a reader who stops there."""

from __future__ import annotations

from collections.abc import Sequence

from osnet_edge.bench.report import numbers
from osnet_edge.bench.result.latency_stats import NOISY_CV
from osnet_edge.bench.result.result import BenchResult, EngineResult, Ratio


def fastest(result: BenchResult) -> EngineResult | None:
    """Return the candidate with the lowest p50 at the smallest batch all were measured at, or None."""
    return _quickest(result, result.candidates)


def quickest_of_all(result: BenchResult) -> EngineResult | None:
    """Return the same of all engines, the reference and what it is against among them."""
    return _quickest(result, result.engines)


def summary(result: BenchResult) -> str:
    """Return which engine is fastest, by how much, and what accuracy it keeps of the reference's."""
    best, batch = fastest(result), result.common_batch
    if best is None or batch is None:
        return "No batch size was measured for every engine, so they cannot be ranked by speed."
    base, count = result.reference, len(result.candidates)
    taken = f"{numbers.milliseconds(_p50(best, batch))} ms a call (p50)"
    if best is base:
        return f"{best.name} takes {taken} at batch {batch}; {_accuracy_of(best)}."
    ratio = next((r for r in result.ratios() if (r.engine, r.batch) == (best.name, batch)), None)
    if ratio and _told_apart(ratio) and ratio.speedup < 1:
        times = f"{1 / ratio.speedup:.2f} times as fast"
        if count == 1:
            lead = f"At batch {batch}, {base.name} is faster, {times} as {best.name}, which takes {taken}"
        else:
            others = "both engines" if count == 2 else f"all {count} engines"
            lead = (
                f"At batch {batch}, {base.name} is faster than {others}: {times} as {best.name}, "
                f"the fastest of them, which takes {taken}"
            )
        return f"{lead}; {_accuracy_kept(best, result)}."
    if count == 1:
        lead = f"At batch {batch}, {best.name} takes {taken}"
    else:
        lead = f"At batch {batch}, {best.name} is the fastest of {count} engines: {taken}"
    # A clock too coarse for the engine reads 0, and then there is no ratio.
    compared = f", {_compared(ratio)} {base.name}{_ends(ratio)}" if ratio else ""
    return f"{lead}{compared}; {_accuracy_kept(best, result)}."


def caution(result: BenchResult) -> str | None:
    """Return warnings of what makes figures hard to compare: times that vary, and unlike inputs; or None."""
    found = [text for text in (_busy(result), _unlike_inputs(result)) if text]
    return " ".join(found) or None


def _busy(result: BenchResult) -> str:
    latencies = [each.latency for engine in result.engines for each in engine.batches]
    latencies += [each.latency for engine in result.engines for each in engine.frames]
    noisy = [each.cv for each in latencies if each.noisy]
    if not noisy:
        return ""
    return (
        "The machine was not quiet: the standard deviation of the calls reaches "
        f"{max(noisy) * 100:.0f} % of their mean. Medians and ratios hold better than means and p99; "
        f'ratios of such calls are marked "{numbers.BUSY}".'
    )


def _unlike_inputs(result: BenchResult) -> str:
    names: dict[str, list[str]] = {}
    for engine in result.engines:
        if engine.input_size:
            names.setdefault("x".join(map(str, engine.input_size)), []).append(engine.name)
    if len(names) < 2:
        return ""
    each = "; ".join(f"{size}: {', '.join(engines)}" for size, engines in names.items())
    return f"Engines take inputs of unlike sizes, so that their speeds are of unlike work ({each})."


def _quickest(result: BenchResult, engines: Sequence[EngineResult]) -> EngineResult | None:
    batch = result.common_batch
    if batch is None:
        return None
    timed = [engine for engine in engines if engine.at(batch)]
    return min(timed, key=lambda engine: _p50(engine, batch), default=None)


def _told_apart(ratio: Ratio) -> bool:
    """Say whether a ratio is more than the same engine measured twice on a shared machine may show."""
    within = ratio.low is not None and ratio.high is not None and ratio.low <= 1 <= ratio.high
    return not within and abs(ratio.speedup - 1) > NOISY_CV


def _compared(ratio: Ratio) -> str:
    if _told_apart(ratio):
        return f"{ratio.speedup:.2f} times as fast as"
    return "about as fast as" if abs(ratio.speedup - 1) <= NOISY_CV else "not significantly different from"


def _ends(ratio: Ratio) -> str:
    """Say the interval where a difference may be chance."""
    if _told_apart(ratio) or abs(ratio.speedup - 1) <= NOISY_CV:
        return ""
    return f" ({ratio.speedup:.2f} times as fast, {ratio.low:.2f} to {ratio.high:.2f})"


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
