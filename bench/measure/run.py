"""Measuring engines together, each in a process of its own, into one result."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import replace

from osnet_edge.bench.devices.sysfs import NOT_AVAILABLE
from osnet_edge.bench.measure.ceilings import measure_ceilings
from osnet_edge.bench.measure.engine_process import Contender, start
from osnet_edge.bench.measure.plan import Plan, TestSet
from osnet_edge.bench.measure.retention import Ranked, retention
from osnet_edge.bench.measure.row import Row
from osnet_edge.bench.measure.stages import (
    Progress,
    measure_cold_starts,
    measure_energy,
    measure_frame,
    measure_latency_of,
    measure_layers,
    measure_streams,
    measure_sustained,
    note_memory,
)
from osnet_edge.bench.metrics.accuracy_change import ChangeIntervals
from osnet_edge.bench.metrics.scores import RetrievalScores
from osnet_edge.bench.metrics.splits import split_labels
from osnet_edge.bench.result.engine_result import Accuracy
from osnet_edge.bench.result.limits import Ceilings
from osnet_edge.bench.result.machine import gpu_facts, load_average, machine_facts
from osnet_edge.bench.result.result import BenchResult, Settings
from osnet_edge.runtime.backends.onnxruntime import default_threads
from osnet_edge.runtime.errors import CheckError, InputError, OsnetEdgeError, UnavailableError

#: Pictures embedded at once for accuracy.
_ACCURACY_BATCH = 32


def run_bench(
    contenders: Sequence[Contender],
    plan: Plan,
    *,
    command: str,
    progress: Progress = lambda what, share: None,
    note: Callable[[str], None] = lambda text: None,
) -> BenchResult:
    """Measure what a plan asks for, engines taking turns, and keep what was measured whatever happens.

    An engine that dies, hangs or cannot run here is a row that says so, and the others go on. Ctrl-C ends the
    measuring, and what was measured until then is the result.

    Args:
        contenders: the engines; the first is the reference that the others are compared with.
        plan: what to measure.
        command: what to type to repeat this.
        progress: told what is being measured, and the share of it done, in [0, 1].
        note: told of an engine that fails.

    Raises:
        InputError: a package is none, an engine does not take a batch, a picture cannot be read, or the set
            cannot be scored.
        UnavailableError, CheckError: no package could be loaded; that of the first.
    """
    rows = [Row(contender) for contender in contenders]
    run = _Run(rows, plan, progress, note)
    try:
        run.measure()
    except KeyboardInterrupt:
        run.interrupted = True
    finally:
        for row in rows:
            row.close()
    return run.result(command)


class _Run:
    """The state of one benchmark."""

    def __init__(self, rows: list[Row], plan: Plan, progress: Progress, note: Callable[[str], None]) -> None:
        self._rows, self._plan, self._progress, self._note = rows, plan, progress, note
        self._told: set[str] = set()
        self._ceilings: Ceilings | None = None
        self._power: str | None = None
        self._load_before, self._gpu = load_average(), gpu_facts()
        self.interrupted = False

    def measure(self) -> None:
        """Go through the stages, what people look for first in front."""
        plan, rows, progress = self._plan, self._rows, self._progress
        self._load()
        for size in plan.batches:
            measure_latency_of(rows, size, plan, progress)
            self._gpu = gpu_facts()
            self._tell_problems()
        for scene in plan.frames.scenes if plan.frames else ():
            measure_frame(rows, scene, plan, progress)
            self._tell_problems()
        if plan.test_set:
            self._score(plan.test_set)
        if plan.streams:
            measure_streams(rows, plan, progress)
        self._power = measure_energy(rows, plan, progress)
        if plan.work:
            progress("ceilings of this machine", 0.0)
            self._ceilings = measure_ceilings(default_threads() if plan.threads is None else plan.threads)
        if plan.layers:
            measure_layers(rows, plan, progress)
        if plan.sustained_s:
            measure_sustained(rows, plan, progress)
        note_memory(rows)
        if plan.cold_starts:
            measure_cold_starts(rows, plan, progress)
        self._tell_problems()

    def result(self, command: str) -> BenchResult:
        """Return what there is."""
        plan, rows = self._plan, self._rows
        known = [row.facts for row in rows if row.facts]
        accelerators = sorted({facts.accelerator for facts in known if facts.accelerator})
        return BenchResult(
            # The benchmark is a load itself, and a GPU's clocks fall when it is over.
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
                interleaved=len(rows) > 1,
                measured="inference of a batch that is already preprocessed",
                frames=plan.frames.source if plan.frames else None,
                interrupted=self.interrupted,
                power=self._power,
            ),
            engines=tuple(row.result(reference=index == 0) for index, row in enumerate(rows)),
            ceilings=self._ceilings,
            work=plan.work,
        )

    def _load(self) -> None:
        """Start every engine; one that cannot run here is noted, one that is wrong ends it all."""
        first: OsnetEdgeError | None = None
        for index, row in enumerate(self._rows):
            self._progress("loading", index / len(self._rows))
            try:
                row.process = start(row.contender, self._plan.threads, self._plan.limit_s)
                row.facts = row.process.facts
                self._check_batches(row)
            except InputError:
                raise
            except OsnetEdgeError as error:
                row.fail(str(error))
                first = first or (error if row.contender.role == "package" else None)
        self._tell_problems()
        if first and not any(row.running and row.contender.role == "package" for row in self._rows):
            raise first if isinstance(first, UnavailableError | CheckError) else CheckError(str(first))

    def _check_batches(self, row: Row) -> None:
        assert row.facts is not None
        (least, most), sizes = row.facts.batches, self._plan.batches
        if sizes[0] < least or (most is not None and sizes[-1] > most):
            limit = most or "any size"
            raise InputError(
                f"{row.name} takes batches of {least} to {limit}, and was asked for {sizes[0]} to "
                f"{sizes[-1]}; choose others with --batch, or build it for them"
            )

    def _score(self, test_set: TestSet) -> None:
        """Embed the set by every engine, and set each against the reference."""
        labels = split_labels(test_set)
        base = self._rows[0]
        for row in self._rows:
            if not row.running:
                continue
            try:
                sides = [
                    row.ask(
                        "embed",
                        [picture.path for picture in side],
                        _ACCURACY_BATCH,
                        tell=lambda share, name=row.name: self._progress(f"accuracy of {name}", share),
                    )
                    for side in (test_set.query, test_set.gallery)
                ]
            except InputError:
                # A picture that cannot be read stops every engine.
                raise
            except OsnetEdgeError as error:
                row.fail(str(error))
                continue
            if sides[0] is None:
                continue
            row.ranked = Ranked.of((sides[0], sides[1]), labels)
            row.accuracy = Accuracy(test_set.name, "cosine", RetrievalScores.from_ranks(row.ranked.ranks))
            if row is not base and base.ranked:
                row.change_intervals = ChangeIntervals.between(base.ranked.ranks, row.ranked.ranks)
                row.retention = retention(base.ranked, row.ranked, test_set)

    def _tell_problems(self) -> None:
        for row in self._rows:
            if row.problem and row.name not in self._told:
                self._told.add(row.name)
                self._note(f"{row.name}: {row.problem}")
