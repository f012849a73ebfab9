"""Two results of the same engines, before and after a change: what got better, and what worse."""

from __future__ import annotations

from dataclasses import dataclass

from osnet_edge.bench.report import numbers
from osnet_edge.bench.report.render import Column, Table, TextTable
from osnet_edge.bench.result.measurements import BatchLatency, EngineResult, FrameTime
from osnet_edge.bench.result.result import BenchResult
from osnet_edge.runtime.errors import InputError


@dataclass(frozen=True)
class Change:
    """One figure of one engine, before and after.

    Attributes:
        engine: its name.
        what: the figure, such as "p50 ms at batch 8".
        old: its value before; None where the engine had none.
        new: its value after; None where the engine has none now.
        change: relative; above 0 it grew. None where one of the two is missing.
        worse: whether it got worse by more than is allowed.
        text: why, in words.
    """

    engine: str
    what: str
    old: float | None
    new: float | None
    change: float | None
    worse: bool
    text: str


def changes(old: BenchResult, new: BenchResult, fail_over: float) -> list[Change]:
    """Return the change of every figure that the old result has.

    A median time is worse where it grew by more than `fail_over` and its interval lies above the old one's,
    so that noise alone does not count. An accuracy is worse where it fell by more than `fail_over` of itself.
    An engine or figure that is gone is worse.

    Args:
        old: before.
        new: after.
        fail_over: relative, such as 0.05.

    Raises:
        InputError: they have no engine in common.
    """
    names = [engine.name for engine in old.engines]
    if not set(names) & {engine.name for engine in new.engines}:
        raise InputError(
            f"expected two results of the same engines, but the first has {', '.join(names)} and the second "
            f"{', '.join(engine.name for engine in new.engines)}; they go by the names of their packages"
        )
    after = {engine.name: engine for engine in new.engines}
    found: list[Change] = []
    for engine in old.engines:
        found += _engine_changes(engine, after.get(engine.name), fail_over)
    return found


def diff_table(found: list[Change]) -> TextTable:
    """Return the changes as a table."""
    columns: list[Column[Change]] = [
        Column(lambda each: each.engine, text="engine", words=True),
        Column(lambda each: each.what, text="figure", words=True),
        Column(lambda each: each.old, numbers.milliseconds, text="old"),
        Column(lambda each: each.new, numbers.milliseconds, text="new"),
        Column(lambda each: each.change, numbers.signed_percent, text="change"),
        Column(lambda each: "worse" if each.worse else each.text, text="verdict"),
    ]
    return Table(columns, found).as_text()


def _engine_changes(old: EngineResult, new: EngineResult | None, fail_over: float) -> list[Change]:
    if new is None or (new.problem and not old.problem):
        reason = "is not in the new result" if new is None else str(new.problem)
        return [Change(old.name, "engine", None, None, None, True, reason)]
    found = [
        _time(old.name, f"p50 ms at batch {each.batch}", each, new.at(each.batch), fail_over)
        for each in old.batches
    ]
    found += [
        _time(old.name, f"p50 ms, {each.people} people", each, new.with_people(each.people), fail_over)
        for each in old.frames
    ]
    if old.accuracy:
        scores = new.accuracy.scores if new.accuracy else None
        same = new.accuracy is None or new.accuracy.data_set == old.accuracy.data_set
        for what, name in (("mAP %", "mean_ap"), ("Rank-1 %", "rank1")):
            before = getattr(old.accuracy.scores, name) * 100
            value = getattr(scores, name) * 100 if scores and same else None
            found.append(_accuracy(old.name, what, before, value, fail_over))
    return found


def _time(
    engine: str,
    what: str,
    old: BatchLatency | FrameTime,
    new: BatchLatency | FrameTime | None,
    fail_over: float,
) -> Change:
    before = old.latency.p50_ms
    if new is None:
        return Change(engine, what, before, None, None, True, "is not in the new result")
    after = new.latency.p50_ms
    change = after / before - 1 if before else 0.0
    if change <= fail_over:
        return Change(engine, what, before, after, change, False, "")
    if old.median_interval and new.median_interval and new.median_interval[0] <= old.median_interval[1]:
        return Change(engine, what, before, after, change, False, "within the intervals")
    text = f"{numbers.milliseconds(before)} to {numbers.milliseconds(after)}, {change * 100:+.1f} %"
    return Change(engine, what, before, after, change, True, text)


def _accuracy(engine: str, what: str, old: float, new: float | None, fail_over: float) -> Change:
    if new is None:
        return Change(engine, what, old, None, None, True, "was not measured on the same set")
    change = new / old - 1 if old else 0.0
    worse = change < -fail_over
    text = (
        f"{numbers.milliseconds(old)} to {numbers.milliseconds(new)}, {change * 100:+.1f} %" if worse else ""
    )
    return Change(engine, what, old, new, change, worse, text)
