"""Measuring engines together, each in a process of its own, into one result."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import replace

from osnet_edge.bench.devices.sysfs import NOT_AVAILABLE
from osnet_edge.bench.measure.ceilings import measure_ceilings
from osnet_edge.bench.measure.engine_process import BenchTarget, start
from osnet_edge.bench.measure.plan import Plan
from osnet_edge.bench.measure.stages import (
    EngineRun,
    Progress,
    measure_accuracy,
    measure_cold_starts,
    measure_energy,
    measure_frame,
    measure_latency,
    measure_layers,
    measure_memory,
    measure_streams,
    measure_sustained,
    measure_tracking,
)
from osnet_edge.bench.result.limits import Ceilings
from osnet_edge.bench.result.machine import gpu_facts, load_average, machine_facts
from osnet_edge.bench.result.result import BenchResult, Settings
from osnet_edge.bench.result.tracking import TrackedSet
from osnet_edge.runtime.backends.onnxruntime import default_threads
from osnet_edge.runtime.errors import (
    CheckError,
    InputError,
    InterruptedRunError,
    OsnetEdgeError,
    UnavailableError,
)


def run_bench(
    targets: Sequence[BenchTarget],
    plan: Plan,
    *,
    command: str,
    progress: Progress = lambda what, share: None,
    note: Callable[[str], None] = lambda text: None,
) -> BenchResult:
    """Measure what a plan asks for, engines in rounds, and keep what was measured whatever happens.

    If an engine crashes, hangs or cannot run here, its result says so, and the others continue. Ctrl-C ends
    the benchmark, and what was measured until then is the result, if there is any.

    Args:
        targets: the engines; the first is the reference that the others are compared with.
        plan: what to measure.
        command: what to type to repeat this.
        progress: called with what is being measured, and the share of it done, in [0, 1].
        note: called with a message when an engine fails.

    Raises:
        InputError: a path is no package, an engine does not take a batch, an image cannot be read, or the set
            cannot be scored.
        UnavailableError, CheckError: no package could be loaded; that of the first.
        InterruptedRunError: Ctrl-C came before anything was measured.
    """
    bench = _Bench(targets, plan, progress, note)
    try:
        bench.measure()
    except KeyboardInterrupt:
        if not bench.measured_any:
            raise InterruptedRunError(
                "interrupted before anything was measured; nothing was written"
            ) from None
        bench.interrupted = True
    finally:
        bench.close()
    return bench.result(command)


class _Bench:
    """The state of one benchmark."""

    def __init__(
        self, targets: Sequence[BenchTarget], plan: Plan, progress: Progress, note: Callable[[str], None]
    ) -> None:
        self._runs = [EngineRun.of(target, reference=index == 0) for index, target in enumerate(targets)]
        self._plan, self._progress, self._note = plan, progress, note
        self._noted: set[str] = set()
        self._ceilings: Ceilings | None = None
        self._power: str | None = None
        self._tracked: TrackedSet | None = None
        self._load_before, self._gpu = load_average(), gpu_facts()
        self.interrupted = False

    def measure(self) -> None:
        """Go through the stages, the most important first."""
        plan, runs, progress = self._plan, self._runs, self._progress
        self._load()
        for size in plan.batches:
            measure_latency(runs, size, plan, progress)
            self._gpu = gpu_facts()
            self._note_problems()
        for scene in plan.frames.scenes if plan.frames else ():
            measure_frame(runs, scene, plan, progress)
            self._note_problems()
        if plan.test_set:
            measure_accuracy(runs, plan.test_set, plan.fars, progress)
        if plan.footage:
            measure_tracking(runs, plan.footage, self._keep_tracked, progress)
            self._note_problems()
        if plan.streams:
            measure_streams(runs, plan, progress)
        self._power = measure_energy(runs, plan, progress)
        if plan.work:
            progress("ceilings of this machine", 0.0)
            self._ceilings = measure_ceilings(default_threads() if plan.threads is None else plan.threads)
        if plan.layers:
            measure_layers(runs, plan, progress)
        if plan.sustained_s:
            measure_sustained(runs, plan, progress)
        measure_memory(runs)
        if plan.cold_starts:
            measure_cold_starts(runs, plan, progress)
        self._note_problems()

    @property
    def measured_any(self) -> bool:
        """Whether there are times of any engine; everything else is measured behind them."""
        return any(run.result.batches or run.result.frames for run in self._runs)

    def close(self) -> None:
        """End all processes."""
        for run in self._runs:
            run.close()

    def result(self, command: str) -> BenchResult:
        """Return what there is."""
        plan, runs = self._plan, self._runs
        known = [run.facts for run in runs if run.facts]
        accelerators = sorted({facts.accelerator for facts in known if facts.accelerator})
        return BenchResult(
            # Load and clocks were read earlier: the benchmark is a load itself, and a GPU's clocks fall
            # after it.
            machine=replace(
                machine_facts(
                    accelerator=", ".join(accelerators) or NOT_AVAILABLE,
                    versions={name: version for facts in known for name, version in facts.versions.items()},
                ),
                load=self._load_before,
                gpu=self._gpu,
            ),
            settings=Settings(
                command=command,
                created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                threads=plan.threads,
                batches=plan.batches,
                warmup_s=plan.warmup_s,
                duration_s=plan.duration_s,
                min_iterations=plan.min_iterations,
                interleaved=len(runs) > 1,
                measured="inference of a batch that is already preprocessed",
                frames=plan.frames.source if plan.frames else None,
                interrupted=self.interrupted,
                power=self._power,
            ),
            engines=tuple(run.result for run in runs),
            ceilings=self._ceilings,
            work=plan.work,
            tracked=self._tracked,
        )

    def _keep_tracked(self, tracked: TrackedSet) -> None:
        self._tracked = tracked

    def _load(self) -> None:
        """Start every engine; one that cannot run here is noted, and a wrong input ends the benchmark."""
        first: OsnetEdgeError | None = None
        for index, run in enumerate(self._runs):
            self._progress("loading", index / len(self._runs))
            try:
                run.start(start(run.target, self._plan.threads, self._plan.limit_s))
                self._check_batches(run)
            except InputError:
                raise
            except OsnetEdgeError as error:
                run.fail(str(error))
                first = first or (error if run.target.role == "package" else None)
        self._note_problems()
        if first and not any(run.process and run.target.role == "package" for run in self._runs):
            raise first if isinstance(first, UnavailableError | CheckError) else CheckError(str(first))

    def _check_batches(self, run: EngineRun) -> None:
        assert run.facts is not None
        (least, most), sizes = run.facts.batches, self._plan.batches
        if sizes[0] < least or (most is not None and sizes[-1] > most):
            takes, asked = _span(least, most or "any size"), _span(sizes[0], sizes[-1])
            raise InputError(
                f"{run.target.name} takes batches of {takes}, and was asked for {asked}; choose others with "
                "--batch, or build it for them"
            )

    def _note_problems(self) -> None:
        for each in (run.result for run in self._runs):
            if each.problem and each.name not in self._noted:
                self._noted.add(each.name)
                self._note(f"{each.name}: {each.problem}")


def _span(first: int, last: int | str) -> str:
    """Return a range in words.

    Example:
        >>> _span(1, 8), _span(64, 64)
        ('1 to 8', '64')
    """
    return str(first) if first == last else f"{first} to {last}"
