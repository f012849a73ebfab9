"""Results of many machines: which engine for which camera."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from osnet_edge.bench.report import numbers
from osnet_edge.bench.report.render import Column, Table
from osnet_edge.bench.result.measurements import EngineResult
from osnet_edge.bench.result.result import BenchResult
from osnet_edge.runtime.counted import counted


@dataclass(frozen=True)
class Choice:
    """The engine to choose for one machine; all but `machine` are None where none can be recommended.

    Attributes:
        machine: its name.
        engine: the quickest that loses no more than allowed.
        job: what it was the quickest at, in words.
        milliseconds: its median there.
        per_second: people or images a second.
        mean_ap_change: of its mAP from the float32 reference, as a share; None where it was not measured.
        idf1_change: of its IDF1 in sequences, likewise.
        joules: of an embedding, where it was measured.
        package_bytes: what must be shipped.
        passed_over: engines that are quicker and lose too much, or how much was not measured, and those that
            failed, in words.
    """

    machine: str
    engine: str | None
    job: str | None
    milliseconds: float | None
    per_second: float | None
    mean_ap_change: float | None
    idf1_change: float | None
    joules: float | None
    package_bytes: int | None
    passed_over: str


def choices(
    results: Sequence[BenchResult],
    budget: float | None,
    *,
    budget_idf1: float | None = None,
    unmeasured: bool = False,
) -> list[Choice]:
    """Return the choice for each machine.

    Args:
        results: one for each machine.
        budget: share of mAP that may be lost against the float32 reference, such as 0.005; None for any.
        budget_idf1: the same of IDF1 in sequences.
        unmeasured: whether an engine may be chosen of which that was not measured.
    """
    budgets = {"mAP": budget, "IDF1": budget_idf1}
    return [_choice(result, budgets, unmeasured) for result in results]


def fleet_table(
    found: Sequence[Choice], budget: float | None, budget_idf1: float | None = None
) -> Table[Choice]:
    """Return the choices as a table; budgets as in `choices`."""
    tracked: Column[Choice] = Column(
        lambda each: each.idf1_change, numbers.points, page="IDF1", unit="points", text="IDF1 points"
    )
    shows_tracks = budget_idf1 is not None or any(each.idf1_change is not None for each in found)
    columns: list[Column[Choice]] = [
        Column(lambda each: each.machine, page="Machine", text="machine", words=True),
        Column(lambda each: each.engine or "none fits", page="Engine", text="engine", words=True),
        Column(lambda each: each.job, page="Job", text="job", words=True),
        Column(lambda each: each.milliseconds, numbers.milliseconds, page="p50", unit="ms", text="p50 ms"),
        Column(lambda each: each.per_second, numbers.rate, page="Rate", unit="a second", text="a second"),
        Column(
            lambda each: each.mean_ap_change, numbers.points, page="mAP", unit="points", text="mAP points"
        ),
        *([tracked] if shows_tracks else []),
        Column(lambda each: each.joules, _thousandths, page="Embedding", unit="mJ", text="mJ each"),
        Column(lambda each: each.package_bytes, numbers.megabytes, page="Package", unit="MB", text="MB"),
        Column(lambda each: each.passed_over or None, page="Left out", text="left out", words=True),
    ]
    named = {"mAP": budget, "IDF1": budget_idf1}
    points = [f"{share * 100:g} points of {name}" for name, share in named.items() if share is not None]
    note = (
        f"The quickest engine that loses no more than {' and '.join(points)} against its own float32 "
        "reference. One whose accuracy was not measured is left out, unless it was asked for."
    )
    return Table(columns, found, "Which engine for which camera", note)


def machine_name(result: BenchResult) -> str:
    """Return what a fleet's owner calls the machine: its board, its GPU, or its processor."""
    machine = result.machine
    if machine.jetson:
        mode = machine.jetson.power_mode
        return f"{machine.jetson.model}, {mode}"
    cores = f"{machine.cpu}, {counted(result.settings.threads or machine.logical_cores, 'thread')}"
    return f"{machine.gpu.name}, {cores}" if machine.gpu else cores


def _choice(result: BenchResult, budgets: Mapping[str, float | None], unmeasured: bool) -> Choice:
    changes = _changes(result)
    people = max((each.people for engine in result.candidates for each in engine.frames), default=None)
    timed = [(job, engine) for engine in result.candidates if (job := _job(engine, people, result))]
    against = {
        engine.name: _objections(changes[engine.name], budgets, unmeasured) for engine in result.candidates
    }
    allowed = [pair for pair in timed if not against[pair[1].name]]
    failed = [f"{engine.name}: {engine.problem}" for engine in result.engines if engine.problem]

    def passed_over(quicker_than: float) -> str:
        over = [
            f"{engine.name}: {', '.join(against[engine.name])}"
            for (ms, _, _), engine in timed
            if ms < quicker_than
        ]
        return "; ".join([*over, *failed])

    if not allowed:
        over = passed_over(math.inf)
        return Choice(machine_name(result), None, None, None, None, None, None, None, None, over)
    (ms, words, rate), best = min(allowed, key=lambda pair: pair[0][0])
    energy = min((each.joules_per_image for each in best.energy), default=None)
    return Choice(
        machine=machine_name(result),
        engine=best.name,
        job=words,
        milliseconds=ms,
        per_second=rate,
        mean_ap_change=changes[best.name]["mAP"],
        idf1_change=changes[best.name]["IDF1"],
        joules=energy,
        package_bytes=best.package_bytes or best.size_bytes,
        passed_over=passed_over(ms),
    )


def _changes(result: BenchResult) -> dict[str, dict[str, float | None]]:
    """Return each engine's changes from the reference, by what may be budgeted, as shares."""
    ranked = {change.engine: change.mean_ap for change in result.accuracy_changes()}
    tracked = {
        engine.name: engine.tracking.change.idf1 / 100
        for engine in result.engines
        if engine.tracking and engine.tracking.change
    }
    if result.reference.tracking:
        tracked[result.reference.name] = 0.0
    return {
        engine.name: {"mAP": ranked.get(engine.name), "IDF1": tracked.get(engine.name)}
        for engine in result.engines
    }


def _objections(
    changes: Mapping[str, float | None], budgets: Mapping[str, float | None], unmeasured: bool
) -> list[str]:
    """Say what an engine loses that it may not, or what of it nobody measured."""
    found = []
    for what, budget in budgets.items():
        change = changes[what]
        if budget is None:
            continue
        if change is None:
            found += [] if unmeasured else [f"{what} not measured"]
        elif change < -budget - 1e-12:
            found.append(f"{numbers.points(change)} points" + ("" if what == "mAP" else f" of {what}"))
    return found


def _job(engine: EngineResult, people: int | None, result: BenchResult) -> tuple[float, str, float] | None:
    """Return the median, the job in words, and people or images a second."""
    if people is not None and (frame := engine.with_people(people)):
        return frame.latency.p50_ms, f"a frame of {counted(people, 'person')}", frame.people_per_second
    batch = result.common_batch
    if people is None and batch is not None and (measured := engine.at(batch)):
        return measured.latency.p50_ms, f"batch {batch}", measured.images_per_second
    return None


def _thousandths(joules: float) -> str:
    return numbers.milliseconds(joules * 1e3)
