"""The stages of a benchmark: each measures one thing of every engine that runs, and notes it in its row.

An engine that fails in a stage keeps what was measured of it, and takes no part in the next one.
"""

from __future__ import annotations

import dataclasses
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from osnet_edge.bench.devices.meter import open_meters
from osnet_edge.bench.devices.throttle import throttle_marks
from osnet_edge.bench.measure.cold_start import measure_cold_start
from osnet_edge.bench.measure.latency import ROUND_S, Rounds, measure_rounds
from osnet_edge.bench.measure.plan import STRETCHES, Plan, Scene
from osnet_edge.bench.measure.row import Row
from osnet_edge.bench.result.engine_result import BatchLatency
from osnet_edge.bench.result.measurements import ColdStart, Energy, FrameTime, Sustained

Progress = Callable[[str, float], None]

#: Where trtexec warns too: the host then keeps the GPU waiting, and the calls vary too much to compare.
_MOST_ENQUEUE, _MOST_CV = 0.8, 0.025
#: Seconds at rest before energy is measured.
_IDLE_S = 2.0
_NS_PER_MS = 1e6


def measure_latency_of(rows: Sequence[Row], size: int, plan: Plan, progress: Progress) -> None:
    """Time a batch on every engine, in turns."""
    before, kept = throttle_marks(), dict[str, Rounds]()
    takers: list[tuple[Row, dict[str, Any]]] = []
    for row in _running(rows):
        with row.forgiving():
            # One that takes only frames has no batch, and one that is another program's tells by itself.
            if row.ask("set_batch", size, plan.warmup_s):
                how = {"parts": row.ask("parts", size), "cuda_graph": row.ask("cuda_graph")}
                takers.append((row, {**how, "transfers": row.facts and row.facts.transfers}))
            elif (told := row.ask("read_batch", size, plan.duration_s)) is not None:
                row.batches.append(_with_warnings(told, throttle_marks().since(before)))
    try:
        _take_turns([row for row, _ in takers], kept, plan, partial(progress, f"latency at batch {size}"))
    finally:
        throttled = throttle_marks().since(before)
        for row, how in takers:
            turns = kept.get(row.name, Rounds())
            if stats := turns.stats:
                measured = dataclasses.replace(BatchLatency.of(size, stats, turns.medians_ms), **how)
                row.batches.append(_with_warnings(measured, throttled))


def _take_turns(
    takers: Sequence[Row], kept: dict[str, Rounds], plan: Plan, progress: Callable[[float], None]
) -> None:
    """Let engines take turns at what they were given, for as long as the plan says."""
    seconds = min(ROUND_S, plan.duration_s)
    measure_rounds(
        {row.name: partial(_turn, row, seconds) for row in takers},
        kept,
        duration_s=plan.duration_s,
        min_iterations=plan.min_iterations,
        progress=progress,
    )


def _turn(row: Row, seconds: float) -> list[int] | None:
    """Return a turn; None where the engine failed, as its row then says."""
    with row.forgiving():
        calls: list[int] = row.ask("turn", seconds)
        return calls
    return None


def measure_streams(rows: Sequence[Row], plan: Plan, progress: Progress) -> None:
    """Measure the throughput of several callers at every batch."""
    jobs = [(row, size, count) for row in _running(rows) for size in plan.batches for count in plan.streams]
    for index, (row, size, count) in enumerate(jobs):
        progress("throughput of several callers", index / len(jobs))
        if row.running:
            with row.forgiving():
                if rate := row.ask("streams", count, size, plan.duration_s / 2):
                    row.streams.append(rate)


def measure_frame(rows: Sequence[Row], scene: Scene, plan: Plan, progress: Progress) -> None:
    """Time a frame with its boxes on every engine, in turns, and cutting out alone after."""
    people = len(scene.boxes)
    takers, kept = [], dict[str, Rounds]()
    for row in _running(rows):
        with row.forgiving():
            if row.ask("set_frame", scene.frame, scene.boxes, plan.warmup_s):
                takers.append(row)
    try:
        _take_turns(takers, kept, plan, partial(progress, f"frames with {people} people"))
    finally:
        for row in takers:
            turns = kept.get(row.name, Rounds())
            if stats := turns.stats:
                row.frames.append(FrameTime.of(people, stats, turns.medians_ms))
    for row in _running(takers):
        with row.forgiving():
            if crops := row.ask("crop_turn", plan.duration_s / 5):
                median = statistics.median(crops) / _NS_PER_MS
                row.frames[-1] = dataclasses.replace(row.frames[-1], crop_ms=median)


def measure_energy(rows: Sequence[Row], plan: Plan, progress: Progress) -> str | None:
    """Measure the energy of embeddings by every meter there is; return what they measure, or None."""
    size = plan.typical_batch
    with open_meters() as meters:
        for meter in meters:
            progress(f"energy by {meter.source}", 0.0)
            with meter.over() as idle:
                time.sleep(_IDLE_S)
            for row in _running(rows):
                with row.forgiving():
                    if idle.watts is None or not row.ask("set_batch", size, plan.warmup_s):
                        continue
                    with meter.over() as busy:
                        calls = row.ask("turn", max(_IDLE_S, plan.duration_s), False)
                    if busy.watts is not None:
                        spent = (busy.watts - idle.watts) * busy.seconds / (len(calls) * size)
                        row.energy.append(Energy(size, meter.source, idle.watts, busy.watts, spent))
        return "; ".join(meter.source for meter in meters) or None


def measure_layers(rows: Sequence[Row], plan: Plan, progress: Progress) -> None:
    """Ask every backend for the times of its layers."""
    for index, row in enumerate(rows):
        progress("times of layers", index / len(rows))
        if row.running:
            with row.forgiving():
                row.layers = row.ask("layers", plan.typical_batch)


def measure_sustained(rows: Sequence[Row], plan: Plan, progress: Progress) -> None:
    """Run every engine for long, and note how its time and memory change."""
    for row in _running(rows):
        medians: list[float] = []
        memory: list[int | None] = []
        with row.forgiving():
            if not row.ask("set_batch", plan.typical_batch, plan.warmup_s):
                continue
            try:
                for index in range(STRETCHES):
                    progress(f"long run of {row.name}", index / STRETCHES)
                    medians.append(statistics.median(row.ask("turn", plan.stretch_s, False)) / _NS_PER_MS)
                    memory.append(row.ask("resident"))
            finally:
                if medians:
                    row.sustained = _sustained(plan.typical_batch, plan.stretch_s, medians, memory)


def measure_cold_starts(rows: Sequence[Row], plan: Plan, progress: Progress) -> None:
    """Start processes that load a package and embed one crop."""
    packaged = [row for row in _running(rows) if row.contender.package]
    for index, row in enumerate(packaged):
        progress("cold starts", index / len(packaged))
        try:
            package, runs = row.contender.package or "", plan.cold_starts
            starts = measure_cold_start(package, runs, plan.limit_s, plan.threads)
        except subprocess.CalledProcessError as error:
            row.fail(f"a new process ended with exit code {error.returncode}")
            continue
        except subprocess.TimeoutExpired as error:
            row.fail(f"a new process hangs: it did not end within {error.timeout:.0f} s")
            continue
        whole = [each.process_s for each in starts]
        row.cold_start = ColdStart(
            runs=len(starts),
            process_s=statistics.median(whole),
            process_range_s=(min(whole), max(whole)),
            import_s=statistics.median(each.import_s for each in starts),
            load_s=statistics.median(each.load_s for each in starts),
            first_s=statistics.median(each.first_s for each in starts),
        )


def note_memory(rows: Sequence[Row]) -> None:
    """Ask every engine for the most memory that it had."""
    for row in _running(rows):
        with row.forgiving():
            row.memory = row.ask("memory")


def _running(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.running]


def _with_warnings(measured: BatchLatency, throttled: tuple[str, ...]) -> BatchLatency:
    found = []
    if measured.latency.cv > _MOST_CV:
        share = measured.latency.cv * 100
        found.append(f"calls vary: standard deviation {share:.1f} % of the mean, above 2.5 %")
    enqueue, compute = (
        (measured.parts.enqueue_ms, measured.parts.compute_ms) if measured.parts else (None, None)
    )
    if enqueue and compute and enqueue > _MOST_ENQUEUE * compute:
        found.append("handing the work over takes more than 0.8 of the compute time: the host holds it back")
    found += [f"the machine held itself back: {reason}" for reason in throttled]
    return dataclasses.replace(measured, warnings=tuple(found))


def _sustained(batch: int, stretch: float, medians: list[float], memory: list[int | None]) -> Sustained:
    fifth = max(1, len(medians) // 5)
    known = [each for each in memory if each is not None]
    whole = len(known) == len(medians)
    return Sustained(
        batch=batch,
        stretch_s=stretch,
        median_ms=tuple(medians),
        memory_bytes=tuple(known) if whole else (),
        drift=statistics.median(medians[-fifth:]) / statistics.median(medians[:fifth]) - 1,
        memory_growth_bytes=known[-1] - known[fifth - 1] if whole else None,
    )
