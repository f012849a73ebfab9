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
    joules: float | None
    package_bytes: int | None
    passed_over: str


def choices(results: Sequence[BenchResult], budget: float, *, unmeasured: bool = False) -> list[Choice]:
    """Return the choice for each machine.

    Args:
        results: one for each machine.
        budget: share of mAP that may be lost against the float32 reference, such as 0.005.
        unmeasured: whether an engine may be chosen whose accuracy was not measured.
    """
    return [_choice(result, budget, unmeasured) for result in results]


def fleet_table(found: Sequence[Choice], budget: float) -> Table[Choice]:
    """Return the choices as a table; `budget` as in `choices`."""
    columns: list[Column[Choice]] = [
        Column(lambda each: each.machine, page="Machine", text="machine", words=True),
        Column(lambda each: each.engine or "none fits", page="Engine", text="engine", words=True),
        Column(lambda each: each.job, page="Job", text="job", words=True),
        Column(lambda each: each.milliseconds, numbers.milliseconds, page="p50", unit="ms", text="p50 ms"),
        Column(lambda each: each.per_second, numbers.rate, page="Rate", unit="a second", text="a second"),
        Column(
            lambda each: each.mean_ap_change, numbers.points, page="mAP", unit="points", text="mAP points"
        ),
        Column(lambda each: each.joules, _thousandths, page="Embedding", unit="mJ", text="mJ each"),
        Column(lambda each: each.package_bytes, numbers.megabytes, page="Package", unit="MB", text="MB"),
        Column(lambda each: each.passed_over or None, page="Left out", text="left out", words=True),
    ]
    note = (
        f"The quickest engine that loses no more than {budget * 100:g} points of mAP against its own float32 "
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


def _choice(result: BenchResult, budget: float, unmeasured: bool) -> Choice:
    changes = {change.engine: change.mean_ap for change in result.accuracy_changes()}
    people = max((each.people for engine in result.candidates for each in engine.frames), default=None)
    timed = [(job, engine) for engine in result.candidates if (job := _job(engine, people, result))]
    unknown = 0.0 if unmeasured else -math.inf
    allowed = [pair for pair in timed if changes.get(pair[1].name, unknown) >= -budget - 1e-12]
    failed = [f"{engine.name}: {engine.problem}" for engine in result.engines if engine.problem]
    if not allowed:
        over = [_passed_over(engine, changes) for _, engine in timed]
        words = "; ".join([*over, *failed])
        return Choice(machine_name(result), None, None, None, None, None, None, None, words)
    (ms, words, rate), best = min(allowed, key=lambda pair: pair[0][0])
    over = [_passed_over(engine, changes) for job, engine in timed if job[0] < ms]
    energy = min((each.joules_per_image for each in best.energy), default=None)
    return Choice(
        machine=machine_name(result),
        engine=best.name,
        job=words,
        milliseconds=ms,
        per_second=rate,
        mean_ap_change=changes.get(best.name),
        joules=energy,
        package_bytes=best.package_bytes or best.size_bytes,
        passed_over="; ".join([*over, *failed]),
    )


def _passed_over(engine: EngineResult, changes: Mapping[str, float]) -> str:
    lost = changes.get(engine.name)
    return f"{engine.name}: " + ("mAP not measured" if lost is None else f"{numbers.points(lost)} points")


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
