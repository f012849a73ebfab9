"""Ratios and changes that follow from the engines of a result; they are stored, and checked when read."""

from __future__ import annotations

from dataclasses import dataclass

from osnet_edge.bench.metrics.changes import AccuracyChange
from osnet_edge.bench.metrics.statistics import paired_ratio
from osnet_edge.bench.result.measurements import Accuracy, EngineResult


@dataclass(frozen=True)
class Ratio:
    """One engine against the reference at one batch.

    Attributes:
        engine: its name.
        batch: images a call.
        speedup: median over rounds of the reference's time over this engine's; above 1 this engine is
            faster. Results from before rounds were stored have the ratio of the two p50 instead.
        low: lower end of its 95 % interval; None where there were fewer than six rounds.
        high: upper end.
    """

    engine: str
    batch: int
    speedup: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class FrameRatio:
    """One engine against another on a frame with people: `speedup`, `low` and `high` as in `Ratio`.

    Attributes:
        engine: its name; above 1 it is faster than the other.
        against: the other: the reference, or an engine as a user would run it without this project.
        people: boxes in the frame.
        speedup: median over rounds.
        low: lower end of its 95 % interval.
        high: upper end.
    """

    engine: str
    against: str
    people: int
    speedup: float
    low: float | None = None
    high: float | None = None


def ratios(reference: EngineResult, engines: tuple[EngineResult, ...]) -> tuple[Ratio, ...]:
    """Return every engine's speed against the reference, at the batches both were measured at."""
    found = []
    for engine in engines:
        for there in reference.batches:
            here = engine.at(there.batch)
            if here is None or not here.latency.p50_ms:
                continue
            if paired := paired_ratio(there.turns_ms, here.turns_ms):
                speedup, interval = paired
                found.append(Ratio(engine.name, there.batch, speedup, *(interval or (None, None))))
            else:
                speedup = there.latency.p50_ms / here.latency.p50_ms
                found.append(Ratio(engine.name, there.batch, speedup))
    return tuple(found)


def frame_ratios(reference: EngineResult, engines: tuple[EngineResult, ...]) -> tuple[FrameRatio, ...]:
    """Return every engine's speed on frames, against the reference and against what a user would pick."""
    found = []
    bases = [reference, *(each for each in engines if each.role == "versus")]
    for base in bases:
        for engine in engines:
            if engine is base or (engine.role == "versus" and base is not reference):
                continue
            for there in base.frames:
                here = engine.with_people(there.people)
                if here and (paired := paired_ratio(there.turns_ms, here.turns_ms)):
                    speedup, interval = paired
                    ends = interval or (None, None)
                    found.append(FrameRatio(engine.name, base.name, there.people, speedup, *ends))
    return tuple(found)


def accuracy_changes(
    reference: EngineResult, engines: tuple[EngineResult, ...]
) -> tuple[AccuracyChange, ...]:
    """Return every engine's change in accuracy, where both were scored on the same images."""
    base = reference.accuracy
    return tuple(
        AccuracyChange.between(engine.name, base.scores, engine.accuracy.scores, engine.change_intervals)
        for engine in engines
        if base is not None and engine.accuracy is not None and _same_test(base, engine.accuracy)
    )


def _same_test(one: Accuracy, other: Accuracy) -> bool:
    def test(a: Accuracy) -> tuple[str, str, int, int]:
        return a.data_set, a.distance, a.scores.queries, a.scores.gallery

    return test(one) == test(other)
