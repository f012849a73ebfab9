"""What is known of one engine while a benchmark runs, and the row that it becomes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from osnet_edge.bench.measure.engine_process import Contender, EngineProcess
from osnet_edge.bench.measure.retention import Ranked
from osnet_edge.bench.measure.subject import SubjectFacts
from osnet_edge.bench.metrics.accuracy_change import ChangeIntervals
from osnet_edge.bench.result.engine_result import Accuracy, BatchLatency, EngineResult
from osnet_edge.bench.result.measurements import (
    ColdStart,
    Energy,
    FrameTime,
    Layers,
    Memory,
    Retention,
    StreamRate,
    Sustained,
)
from osnet_edge.runtime.errors import OsnetEdgeError


@dataclass
class Row:
    """An engine and what was measured of it so far; most fields are `EngineResult`'s."""

    contender: Contender
    process: EngineProcess | None = None
    facts: SubjectFacts | None = None
    problem: str | None = None
    batches: list[BatchLatency] = field(default_factory=list)
    frames: list[FrameTime] = field(default_factory=list)
    streams: list[StreamRate] = field(default_factory=list)
    energy: list[Energy] = field(default_factory=list)
    sustained: Sustained | None = None
    cold_start: ColdStart | None = None
    memory: Memory | None = None
    layers: Layers | None = None
    accuracy: Accuracy | None = None
    change_intervals: ChangeIntervals | None = None
    retention: Retention | None = None
    ranked: Ranked | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return self.contender.name

    @property
    def running(self) -> bool:
        """Whether it can be asked."""
        return self.process is not None

    def ask(self, question: str, *arguments: Any, **options: Any) -> Any:
        """Ask its process; see `EngineProcess.ask`."""
        assert self.process is not None, "only engines that run are asked"
        return self.process.ask(question, *arguments, **options)

    def fail(self, problem: str) -> None:
        """Note why it is asked no more, and end its process; what was measured stands."""
        self.problem = self.problem or problem
        self.close()

    @contextmanager
    def forgiving(self) -> Iterator[None]:
        """Make of a failure in the block this row's problem."""
        try:
            yield
        except OsnetEdgeError as error:
            self.fail(str(error))

    def close(self) -> None:
        """End its process."""
        if self.process is not None:
            self.process.close()
        self.process = None

    def result(self, *, reference: bool) -> EngineResult:
        """Return the row as it stands."""
        facts = self.facts or SubjectFacts("", "", "", 0, None, 0.0)
        return EngineResult(
            name=self.name,
            variant=facts.variant,
            precision=facts.precision,
            target=facts.target,
            size_bytes=facts.size_bytes,
            load_seconds=facts.load_seconds,
            batches=tuple(self.batches),
            accuracy=self.accuracy,
            reference=reference,
            change_intervals=self.change_intervals,
            role=self.contender.role,
            problem=self.problem,
            package_bytes=facts.package_bytes,
            streams=tuple(self.streams),
            frames=tuple(self.frames),
            sustained=self.sustained,
            cold_start=self.cold_start,
            memory=self.memory,
            energy=tuple(self.energy),
            layers=self.layers,
            retention=self.retention,
        )
