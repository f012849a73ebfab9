"""Two results of the same engines, before and after a change: what got better, and what worse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from osnet_edge.bench.report import numbers
from osnet_edge.bench.report.render import Column, Table, TextTable
from osnet_edge.bench.result.measurements import BatchLatency, EngineResult, FrameTime
from osnet_edge.bench.result.result import BenchResult
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class Change:
    """One figure of one engine, before and after.

    Attributes:
        engine: its name.
        what: the figure, such as "p50 ms at batch 8".
        old: its value before; None where the engine had none.
        new: its value after; None where the engine has none now.
        change: relative; above 0 it grew. None where one of the two is missing.
        worse: whether it got worse by more than is allowed; never where it was not measured in both, or under
            unlike conditions.
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
    An engine that is gone or fails is worse. A figure that was not measured in one of the two is neither, and
    neither are times under unlike conditions; their text says so.

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
    unlike = [name for name, _, _ in _conditions(old, new)]
    alike = _same_footage(old, new)
    found: list[Change] = []
    for engine in old.engines:
        found += _engine_changes(engine, after.get(engine.name), fail_over, unlike, alike)
    return found


def unlike_conditions(old: BenchResult, new: BenchResult) -> list[str]:
    """Return what makes the times of two results hard to compare, a line each, such as unlike threads."""
    return [
        f"{name}: {before} in the old result, {after} in the new"
        for name, before, after in _conditions(old, new)
    ]


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


#: Where frames are from: this touches their times alone.
_FRAMES = "frames"


def _conditions(old: BenchResult, new: BenchResult) -> list[tuple[str, str, str]]:
    """Return the name and both values of each condition in which two results differ."""
    conditions: dict[str, Callable[[BenchResult], object]] = {
        "processor": lambda each: each.machine.cpu,
        "cores allowed": lambda each: each.machine.logical_cores,
        "accelerator": lambda each: each.machine.accelerator,
        "power mode": lambda each: each.machine.jetson.power_mode if each.machine.jetson else numbers.MISSING,
        "threads": lambda each: each.settings.threads or "the engine's choice",
        "engines take turns": lambda each: "yes" if each.settings.interleaved else "no",
        "what is timed": lambda each: each.settings.measured,
    }
    pairs = [(name, str(read(old)), str(read(new))) for name, read in conditions.items()]
    if old.settings.frames and new.settings.frames:
        pairs.append((_FRAMES, old.settings.frames, new.settings.frames))
    after = {engine.name: engine for engine in new.engines}
    for engine in old.engines:
        other = after.get(engine.name)
        if other and engine.input_size and other.input_size:
            before, after_that = ("x".join(map(str, each.input_size or ())) for each in (engine, other))
            pairs.append((f"input of {engine.name}", before, after_that))
    return [pair for pair in pairs if pair[1] != pair[2]]


def _engine_changes(
    old: EngineResult, new: EngineResult | None, fail_over: float, unlike: Sequence[str], alike: bool
) -> list[Change]:
    if new is None or (new.problem and not old.problem):
        reason = "is not in the new result" if new is None else str(new.problem)
        return [Change(old.name, "engine", None, None, None, True, reason)]
    # An input of another size is that engine's own matter; all else touches every engine's times.
    others = [each for each in unlike if not each.startswith("input of ") and each != _FRAMES]
    own = others + [each for each in unlike if each == f"input of {old.name}"]
    found = [
        _time(old.name, f"p50 ms at batch {batch}", old.at(batch), new.at(batch), fail_over, own)
        for batch in _in_either(old.batches, new.batches, lambda each: each.batch)
    ]
    of_frames = own + [each for each in unlike if each == _FRAMES]
    found += [
        _time(
            old.name,
            f"p50 ms, {counted(count, 'person')}",
            old.with_people(count),
            new.with_people(count),
            fail_over,
            of_frames,
        )
        for count in _in_either(old.frames, new.frames, lambda each: each.people)
    ]
    return [*found, *_accuracy_changes(old, new, fail_over), *_tracking_changes(old, new, fail_over, alike)]


def _in_either(old: Iterable[T], new: Iterable[T], key: Callable[[T], int]) -> list[int]:
    return sorted({key(each) for each in (*old, *new)})


def _accuracy_changes(old: EngineResult, new: EngineResult, fail_over: float) -> Iterator[Change]:
    if old.accuracy is None and new.accuracy is None:
        return
    same = old.accuracy and new.accuracy and old.accuracy.data_set == new.accuracy.data_set
    for what, name in (("mAP %", "mean_ap"), ("Rank-1 %", "rank1")):
        before, after = (
            getattr(each.accuracy.scores, name) * 100 if each.accuracy else None for each in (old, new)
        )
        if before is not None and after is not None and not same:
            yield Change(old.name, what, before, after, None, False, "on another set")
        else:
            yield _accuracy(old.name, what, before, after, fail_over)


def _same_footage(old: BenchResult, new: BenchResult) -> bool:
    """Say whether people were followed through the same sequences by the same rule."""
    both = [
        (each.sequences, each.detectors, each.frames, each.people, each.threshold)
        for each in (old.tracked, new.tracked)
        if each
    ]
    return len(both) == 2 and both[0] == both[1]


def _tracking_changes(
    old: EngineResult, new: EngineResult, fail_over: float, alike: bool
) -> Iterator[Change]:
    if old.tracking is None and new.tracking is None:
        return
    before, after = (each.tracking.scores.idf1 if each.tracking else None for each in (old, new))
    if before is not None and after is not None and not alike:
        yield Change(old.name, "IDF1 %", before, after, None, False, "in other sequences, or by another rule")
    else:
        yield _accuracy(old.name, "IDF1 %", before, after, fail_over)


def _time(
    engine: str,
    what: str,
    old: BatchLatency | FrameTime | None,
    new: BatchLatency | FrameTime | None,
    fail_over: float,
    unlike: Sequence[str],
) -> Change:
    if old is None or new is None:
        before, after = (each.latency.p50_ms if each else None for each in (old, new))
        return _unmeasured(engine, what, before, after)
    before, after = old.latency.p50_ms, new.latency.p50_ms
    change = after / before - 1 if before else 0.0
    if unlike:
        return Change(engine, what, before, after, change, False, f"not judged, unlike {', '.join(unlike)}")
    if change <= fail_over:
        return Change(engine, what, before, after, change, False, "")
    if old.median_interval and new.median_interval and new.median_interval[0] <= old.median_interval[1]:
        return Change(engine, what, before, after, change, False, "within the intervals")
    text = f"{numbers.milliseconds(before)} to {numbers.milliseconds(after)}, {change * 100:+.1f} %"
    return Change(engine, what, before, after, change, True, text)


def _unmeasured(engine: str, what: str, old: float | None, new: float | None) -> Change:
    where = "old" if old is None else "new"
    return Change(engine, what, old, new, None, False, f"not measured in the {where} result")


def _accuracy(engine: str, what: str, old: float | None, new: float | None, fail_over: float) -> Change:
    if old is None or new is None:
        return _unmeasured(engine, what, old, new)
    change = new / old - 1 if old else 0.0
    worse = change < -fail_over
    text = (
        f"{numbers.milliseconds(old)} to {numbers.milliseconds(new)}, {change * 100:+.1f} %" if worse else ""
    )
    return Change(engine, what, old, new, change, worse, text)
