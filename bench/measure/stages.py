"""The stages of a benchmark: each measures one thing of every engine that runs, and fills in its result.

An engine that fails in a stage keeps its earlier results, and is left out of later stages. What an engine
does not support is left out.
"""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from osnet_edge.bench.devices.meter import open_meters
from osnet_edge.bench.devices.throttle import throttle_marks
from osnet_edge.bench.measure.accuracy import EmbeddedSet, embed_set, retention
from osnet_edge.bench.measure.cold_start import measure_cold_start
from osnet_edge.bench.measure.engine_process import BenchTarget, EngineProcess
from osnet_edge.bench.measure.latency import ROUND_S, Rounds, measure_rounds
from osnet_edge.bench.measure.plan import WINDOWS, Footage, Plan, Scene, TestSet
from osnet_edge.bench.measure.runners import NotSupportedError, RunnerFacts
from osnet_edge.bench.measure.tracking import Followed, TimedFrames, follow
from osnet_edge.bench.measure.worker import Worker
from osnet_edge.bench.metrics.changes import ChangeIntervals
from osnet_edge.bench.metrics.distances import FloatArray
from osnet_edge.bench.metrics.scores import RetrievalScores
from osnet_edge.bench.metrics.verification import Verified
from osnet_edge.bench.result.measurements import (
    Accuracy,
    BatchLatency,
    ColdStart,
    Energy,
    EngineResult,
    FrameTime,
    Sustained,
)
from osnet_edge.bench.result.tracking import TrackedSet, Tracking
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import InputError, OsnetEdgeError

Progress = Callable[[str, float], None]

#: Where trtexec warns too: the host then keeps the GPU waiting, and the calls vary too much to compare.
_MOST_ENQUEUE, _MOST_CV = 0.8, 0.025
#: Crops embedded at once for accuracy.
_ACCURACY_BATCH = 32
#: Seconds at rest before energy is measured.
_IDLE_S = 2.0
_NS_PER_MS = 1e6


@dataclass
class EngineRun:
    """An engine while it is measured.

    Attributes:
        target: what it is.
        result: what was measured of it so far.
        process: the process it runs in; None before it is loaded, and after it ended.
        facts: what it says of itself; None where it was not loaded.
    """

    target: BenchTarget
    result: EngineResult
    process: EngineProcess | None = None
    facts: RunnerFacts | None = None

    @classmethod
    def of(cls, target: BenchTarget, *, reference: bool = False) -> EngineRun:
        """Make one of which nothing is known yet."""
        return cls(
            target, EngineResult(target.name, "", "", "", 0, 0.0, (), None, reference, role=target.role)
        )

    def start(self, process: EngineProcess) -> None:
        """Take over a process that has loaded it."""
        self.process, self.facts = process, process.facts
        self.result = replace(
            self.result,
            variant=self.facts.variant,
            precision=self.facts.precision,
            target=self.facts.target,
            size_bytes=self.facts.size_bytes,
            package_bytes=self.facts.package_bytes,
            load_seconds=self.facts.load_seconds,
            input_size=self.facts.input_size,
        )

    @contextmanager
    def attempt(self, passing: tuple[type[OsnetEdgeError], ...] = ()) -> Iterator[None]:
        """End the engine where the block fails, and note why; leave out what it does not support.

        Args:
            passing: errors that pass through.
        """
        try:
            yield
        except passing:
            raise
        except NotSupportedError:
            pass
        except OsnetEdgeError as error:
            self.fail(str(error))

    def fail(self, problem: str) -> None:
        """Note why it failed, and end its process; its earlier results stay."""
        self.result = replace(self.result, problem=self.result.problem or problem)
        self.close()

    def close(self) -> None:
        """End its process."""
        if self.process is not None:
            self.process.close()
        self.process = None


def measure_latency(runs: Sequence[EngineRun], size: int, plan: Plan, progress: Progress) -> None:
    """Time a batch on every engine, in rounds."""
    before, kept = throttle_marks(), dict[str, Rounds]()
    timed: list[tuple[EngineRun, Callable[[BatchLatency], BatchLatency]]] = []
    for run, process in _running(runs):
        with run.attempt():
            try:
                process.ask(Worker.set_batch, size, plan.warmup_s)
            except NotSupportedError:
                # Another program tells by itself; one that takes only frames does not.
                latency = process.ask(Worker.read_batch, size, plan.duration_s)
                _add_latency(run, latency, throttle_marks().since(before))
                continue
            parts, graph = process.ask(Worker.parts, size), process.ask(Worker.cuda_graph)
            timed.append(
                (run, partial(replace, parts=parts, cuda_graph=graph, transfers=process.facts.transfers))
            )
    try:
        _measure_rounds([run for run, _ in timed], kept, plan, partial(progress, f"latency at batch {size}"))
    finally:
        throttled = throttle_marks().since(before)
        for run, with_parts in timed:
            rounds = kept.get(run.target.name, Rounds())
            if stats := rounds.stats:
                _add_latency(run, with_parts(BatchLatency.of(size, stats, rounds.medians_ms)), throttled)


def _measure_rounds(
    runs: Sequence[EngineRun], kept: dict[str, Rounds], plan: Plan, progress: Callable[[float], None]
) -> None:
    """Time engines at the job that was prepared, for as long as the plan says."""
    seconds = min(ROUND_S, plan.duration_s)
    measure_rounds(
        {run.target.name: partial(_round, run, seconds) for run in runs},
        kept,
        duration_s=plan.duration_s,
        min_iterations=plan.min_iterations,
        progress=progress,
    )


def _round(run: EngineRun, seconds: float) -> list[int] | None:
    """Return the times of a round; None where the engine failed, as its result then says."""
    with run.attempt():
        assert run.process is not None, "an engine that failed has no more rounds"
        return run.process.ask(Worker.round, seconds)
    return None


def measure_streams(runs: Sequence[EngineRun], plan: Plan, progress: Progress) -> None:
    """Measure the throughput of several callers at every batch."""
    jobs = [
        (run, size, count) for run, _ in _running(runs) for size in plan.batches for count in plan.streams
    ]
    for index, (run, size, count) in enumerate(jobs):
        progress("throughput of several callers", index / len(jobs))
        with run.attempt():
            if run.process:
                rate = run.process.ask(Worker.streams, count, size, plan.duration_s / 2)
                run.result = replace(run.result, streams=(*run.result.streams, rate))


def measure_frame(runs: Sequence[EngineRun], scene: Scene, plan: Plan, progress: Progress) -> None:
    """Time a frame with its boxes on every engine, in rounds, and then cropping alone."""
    people = len(scene.boxes)
    timed, kept = list[EngineRun](), dict[str, Rounds]()
    for run, process in _running(runs):
        with run.attempt():
            process.ask(Worker.set_frame, scene.frame, scene.boxes, plan.warmup_s)
            timed.append(run)
    try:
        _measure_rounds(timed, kept, plan, partial(progress, f"frames with {counted(people, 'person')}"))
    finally:
        for run in timed:
            rounds = kept.get(run.target.name, Rounds())
            if stats := rounds.stats:
                measured = FrameTime.of(people, stats, rounds.medians_ms)
                run.result = replace(run.result, frames=(*run.result.frames, measured))
    for run, process in _running(timed):
        with run.attempt():
            crops = process.ask(Worker.crop_round, plan.duration_s / 5)
            *others, measured = run.result.frames
            measured = replace(measured, crop_ms=statistics.median(crops) / _NS_PER_MS)
            run.result = replace(run.result, frames=(*others, measured))


def measure_accuracy(
    runs: Sequence[EngineRun], test_set: TestSet, fars: Sequence[float], progress: Progress
) -> None:
    """Embed a set by every engine, score it, and compare each with the reference.

    With `fars`, error rates and thresholds are measured too.

    Raises:
        InputError: an image cannot be read, which stops every engine, or the set cannot be scored.
    """
    reference: EmbeddedSet | None = None
    by_reference: Verified | None = None
    for run, process in _running(runs):
        process.progress = partial(progress, f"accuracy of {run.target.name}")
        embedded: EmbeddedSet | None = None
        with run.attempt(passing=(InputError,)):
            embedded = embed_set(partial(_embed, process), [test_set])
        if embedded is None:
            continue
        scores = RetrievalScores.from_ranks(embedded.ranks)
        run.result = replace(run.result, accuracy=Accuracy(test_set.name, "cosine", scores))
        verified = embedded.verified(fars) if fars else None
        if verified:
            run.result = replace(run.result, verification=verified.figures)
        if run.result.reference:
            reference, by_reference = embedded, verified
        elif reference:
            run.result = replace(
                run.result,
                change_intervals=ChangeIntervals.between(reference.ranks, embedded.ranks),
                retention=retention(reference, embedded),
            )
            if verified and by_reference:
                run.result = replace(run.result, threshold_changes=verified.changes_from(by_reference))


def measure_tracking(
    runs: Sequence[EngineRun], footage: Footage, keep: Callable[[TrackedSet], None], progress: Progress
) -> None:
    """Follow people by motion alone and by every engine's embeddings, and compare with the reference.

    Args:
        runs: the engines.
        footage: the sequences.
        keep: called with what is known of them, before the engines and whenever more is.
        progress: as everywhere.

    Raises:
        InputError: an image cannot be read.
    """
    progress("tracks by motion alone", 0.0)
    followed = follow(footage, None)
    motion = Tracking.of(followed.scored.scores(), followed.across_idf1, followed.associate_ms)
    tracked = _tracked_set(footage, motion)
    keep(tracked)
    embedded: dict[str, list[TimedFrames]] = {run.target.name: [] for run in runs}
    done = 0
    for sequence in footage.sequences:
        share = len(sequence.frames) / tracked.frames
        boxes = [found.boxes for found in sequence.detections]
        # Engines take turns, so that a machine that is busy for a while is so for all of them.
        for run, process in _running(runs):
            process.progress = partial(
                _part, progress, f"frames of {run.target.name}", done / tracked.frames, share
            )
            with run.attempt(passing=(InputError,)):
                rows = process.ask(Worker.embed_frames, sequence.frames, boxes)
                embedded[run.target.name].append(rows)
        done += len(sequence.frames)
    reference: Followed | None = None
    for run, _ in _running(runs):
        own = embedded[run.target.name]
        if len(own) < len(footage.sequences):
            continue
        progress(f"tracks by {run.target.name}", 0.0)
        found = follow(footage, [each.rows for each in own])
        run.result = replace(run.result, tracking=_tracking(found, own, reference))
        if run.result.reference:
            reference = found
            change = followed.change_from(reference)
            keep(replace(tracked, motion=replace(motion, change=change)))


def _part(progress: Progress, what: str, before: float, share: float, of_part: float) -> None:
    """Tell the progress of a part of the whole."""
    progress(what, before + share * of_part)


def _tracking(found: Followed, embedded: Sequence[TimedFrames], reference: Followed | None) -> Tracking:
    frames = sum(len(each.whole_ms) for each in embedded)
    crops = [each.crop_ms for each in embedded if each.crop_ms is not None]
    crop_ms = sum(map(sum, crops)) / frames if len(crops) == len(embedded) else None
    whole_ms = sum(sum(each.whole_ms) for each in embedded) / frames
    return Tracking.of(
        found.scored.scores(),
        found.across_idf1,
        found.associate_ms,
        crop_ms=crop_ms,
        # Two measurements: where embedding takes next to nothing, noise must not make it less.
        embed_ms=max(whole_ms - (crop_ms or 0.0), 0.0),
        change=found.change_from(reference) if reference else None,
    )


def _tracked_set(footage: Footage, motion: Tracking) -> TrackedSet:
    sequences = footage.sequences
    boxes = [len(found.boxes) for each in sequences for found in each.detections]
    return TrackedSet(
        sequences=tuple(each.name for each in sequences),
        detectors=tuple(sorted({each.detector for each in sequences})),
        frames=len(boxes),
        people=statistics.fmean(boxes),
        sites=tuple(footage.sites),
        threshold=footage.threshold,
        motion=motion,
    )


def _embed(process: EngineProcess, paths: Sequence[Path | str]) -> FloatArray:
    return process.ask(Worker.embed, paths, _ACCURACY_BATCH)


def measure_energy(runs: Sequence[EngineRun], plan: Plan, progress: Progress) -> str | None:
    """Measure the energy of embeddings by every meter there is; return what they measure, or None."""
    size = plan.typical_batch
    with open_meters() as meters:
        for meter in meters:
            progress(f"energy by {meter.source}", 0.0)
            with meter.over() as idle:
                time.sleep(_IDLE_S)
            for run, process in _running(runs) if idle.watts is not None else ():
                with run.attempt():
                    process.ask(Worker.set_batch, size, plan.warmup_s)
                    with meter.over() as busy:
                        calls = process.ask(Worker.round, max(_IDLE_S, plan.duration_s), lead=False)
                    if idle.watts is not None and busy.watts is not None:
                        spent = (busy.watts - idle.watts) * busy.seconds / (len(calls) * size)
                        measured = Energy(size, meter.source, idle.watts, busy.watts, spent)
                        run.result = replace(run.result, energy=(*run.result.energy, measured))
        return "; ".join(meter.source for meter in meters) or None


def measure_layers(runs: Sequence[EngineRun], plan: Plan, progress: Progress) -> None:
    """Ask every backend for the times of its layers."""
    for index, run in enumerate(runs):
        progress("times of layers", index / len(runs))
        with run.attempt():
            if run.process:
                layers = run.process.ask(Worker.layers, plan.typical_batch)
                run.result = replace(run.result, layers=layers)


def measure_sustained(runs: Sequence[EngineRun], plan: Plan, progress: Progress) -> None:
    """Run every engine for a long time, and record how its time and memory change."""
    for run, process in _running(runs):
        medians: list[float] = []
        memory: list[int | None] = []
        with run.attempt():
            process.ask(Worker.set_batch, plan.typical_batch, plan.warmup_s)
            try:
                for index in range(WINDOWS):
                    progress(f"long run of {run.target.name}", index / WINDOWS)
                    calls = process.ask(Worker.round, plan.window_s, lead=False)
                    medians.append(statistics.median(calls) / _NS_PER_MS)
                    memory.append(process.ask(Worker.resident))
            finally:
                if medians:
                    sustained = _sustained(plan.typical_batch, plan.window_s, medians, memory)
                    run.result = replace(run.result, sustained=sustained)


def measure_cold_starts(runs: Sequence[EngineRun], plan: Plan, progress: Progress) -> None:
    """Start processes that load a package and embed one crop."""
    packaged = [(run, run.target.package) for run, _ in _running(runs) if run.target.package]
    for index, (run, package) in enumerate(packaged):
        progress("cold starts", index / len(packaged))
        try:
            starts = measure_cold_start(package, plan.cold_starts, plan.limit_s, plan.threads)
        except subprocess.CalledProcessError as error:
            run.fail(f"a new process ended with exit code {error.returncode}")
            continue
        except subprocess.TimeoutExpired as error:
            run.fail(f"a new process hangs: it did not end within {error.timeout:.0f} s")
            continue
        whole = [each.process_s for each in starts]
        cold_start = ColdStart(
            runs=len(starts),
            process_s=statistics.median(whole),
            process_range_s=(min(whole), max(whole)),
            import_s=statistics.median(each.import_s for each in starts),
            load_s=statistics.median(each.load_s for each in starts),
            first_s=statistics.median(each.first_s for each in starts),
        )
        run.result = replace(run.result, cold_start=cold_start)


def measure_memory(runs: Sequence[EngineRun]) -> None:
    """Ask every engine for the most memory that it had."""
    for run, process in _running(runs):
        with run.attempt():
            run.result = replace(run.result, memory=process.ask(Worker.memory))


def _running(runs: Sequence[EngineRun]) -> list[tuple[EngineRun, EngineProcess]]:
    return [(run, run.process) for run in runs if run.process]


def _add_latency(run: EngineRun, measured: BatchLatency, throttled: tuple[str, ...]) -> None:
    """Add the latency of a batch to an engine's result, with its warnings."""
    warnings = []
    if measured.latency.cv > _MOST_CV:
        share = measured.latency.cv * 100
        warnings.append(f"calls vary: standard deviation {share:.1f} % of the mean, above 2.5 %")
    enqueue, compute = (
        (measured.parts.enqueue_ms, measured.parts.compute_ms) if measured.parts else (None, None)
    )
    if enqueue and compute and enqueue > _MOST_ENQUEUE * compute:
        warnings.append(
            "handing the work over takes more than 0.8 of the compute time: the host holds it back"
        )
    warnings += [f"the machine held itself back: {reason}" for reason in throttled]
    run.result = replace(
        run.result, batches=(*run.result.batches, replace(measured, warnings=tuple(warnings)))
    )


def _sustained(batch: int, window_s: float, medians: list[float], memory: list[int | None]) -> Sustained:
    fifth = max(1, len(medians) // 5)
    known = [each for each in memory if each is not None]
    whole = len(known) == len(medians)
    return Sustained(
        batch=batch,
        stretch_s=window_s,
        median_ms=tuple(medians),
        memory_bytes=tuple(known) if whole else (),
        drift=statistics.median(medians[-fifth:]) / statistics.median(medians[:fifth]) - 1,
        memory_growth_bytes=known[-1] - known[fifth - 1] if whole else None,
    )
