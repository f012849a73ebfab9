"""The result of a benchmark: one versioned document that every table and page is made from.

docs/BENCH.md says what each field means. Version 2 added turns and their intervals, frames, streams, memory,
energy, layers, limits and rows of engines that failed; version 1 is read as one without these. In version 3
intervals of times allow for turns that depend on each other; those of older documents are computed again.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osnet_edge.bench._require import require
from osnet_edge.bench.metrics.changes import AccuracyChange
from osnet_edge.bench.metrics.statistics import median_interval
from osnet_edge.bench.result.comparison import FrameRatio, Ratio, accuracy_changes, frame_ratios, ratios
from osnet_edge.bench.result.limits import Ceilings, Limit, Work, limit
from osnet_edge.bench.result.machine import MachineFacts
from osnet_edge.bench.result.measurements import Accuracy, BatchLatency, EngineResult
from osnet_edge.bench.result.tracking import TrackedSet
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package import schema

SCHEMA_VERSION = 3

__all__ = [
    "SCHEMA_VERSION",
    "Accuracy",
    "BatchLatency",
    "BenchResult",
    "EngineResult",
    "FrameRatio",
    "Ratio",
    "Settings",
    "from_json",
    "to_json",
]


@dataclass(frozen=True)
class Settings:
    """How the benchmark was run.

    Attributes:
        command: what to type to repeat it.
        created: when it ended, ISO 8601 in UTC.
        threads: threads an engine may use; None leaves it to the engine.
        batches: images a call, ascending.
        warmup_s: calls before measuring, per engine and batch.
        duration_s: time measured, per engine and batch.
        min_iterations: minimum number of calls measured, per engine and batch.
        interleaved: whether engines took turns.
        measured: what a latency covers, in words, such as "inference" or "crops to embeddings".
        frames: where the frames with people came from; None where none were measured.
        interrupted: whether it was stopped before its end; what was measured until then stands.
        power: what energy was measured by, in words.
    """

    command: str
    created: str
    threads: int | None
    batches: tuple[int, ...]
    warmup_s: float
    duration_s: float
    min_iterations: int
    interleaved: bool
    measured: str
    frames: str | None = None
    interrupted: bool = False
    power: str | None = None

    def __post_init__(self) -> None:
        require(bool(self.batches) and min(self.batches) >= 1, "batches of 1 or more", self.batches)
        require(list(self.batches) == sorted(set(self.batches)), "ascending batches", self.batches)


@dataclass(frozen=True)
class BenchResult:
    """A benchmark: the machine, how it was run, and every engine, exactly one of them the reference.

    Attributes:
        machine: facts of it.
        settings: of the run.
        engines: a row each.
        ceilings: what the machine does at best; None where it was not measured.
        work: of the reference's graph; None where it was not counted.
        tracked: what people were followed through; None where they were not.
    """

    machine: MachineFacts
    settings: Settings
    engines: tuple[EngineResult, ...]
    ceilings: Ceilings | None = None
    work: Work | None = None
    tracked: TrackedSet | None = None

    def __post_init__(self) -> None:
        names = [engine.name for engine in self.engines]
        require(len(names) == len(set(names)), "engines of different names", names)
        references = [engine.name for engine in self.engines if engine.reference]
        require(len(references) == 1, "exactly one reference engine", references)
        rows = [each.tracking for each in self.engines if each.tracking]
        require(self.tracked is not None or not rows, "the sequences of tracks", self.tracked)
        base = self.reference.tracking
        for row in [*rows, *([self.tracked.motion] if self.tracked else [])]:
            require(row.follows_from(base), "changes that follow from the engines", row.change)

    @property
    def reference(self) -> EngineResult:
        """The engine that the others are compared with."""
        return next(engine for engine in self.engines if engine.reference)

    @property
    def candidates(self) -> tuple[EngineResult, ...]:
        """The engines to choose from: those that ran, without the reference and the alternatives.

        Where there is no such engine, the reference alone.
        """
        found = (
            each
            for each in self.engines
            if not each.reference and each.role == "package" and (each.batches or not each.problem)
        )
        return tuple(found) or (self.reference,)

    @property
    def common_batch(self) -> int | None:
        """The smallest batch that every engine that ran was measured at, or None: where they are ranked."""
        measured = [
            {each.batch for each in engine.batches}
            for engine in self.engines
            if not engine.problem and (engine.batches or engine.role != "versus")
        ]
        return min(set.intersection(*measured), default=None) if measured else None

    def ratios(self) -> tuple[Ratio, ...]:
        """Return every engine's speed against the reference, at the batches both were measured at."""
        return ratios(self.reference, self.engines)

    def frame_ratios(self) -> tuple[FrameRatio, ...]:
        """Return every engine's speed on frames, against the reference and what a user would pick."""
        return frame_ratios(self.reference, self.engines)

    def accuracy_changes(self) -> tuple[AccuracyChange, ...]:
        """Return every engine's change in accuracy, where both were scored on the same images."""
        return accuracy_changes(self.reference, self.engines)

    def limits(self) -> tuple[Limit, ...]:
        """Return every engine's distance from the floor, where the ceilings and the work are known.

        The ceilings are the processor's, so batches that are copied to a device have none.
        """
        if self.work is None or self.ceilings is None:
            return ()
        found = (
            limit(engine.name, each.batch, engine.precision, each.latency.p50_ms, self.work, self.ceilings)
            for engine in self.engines
            if engine.variant == self.reference.variant
            for each in engine.batches
            if each.transfers is None
        )
        return tuple(each for each in found if each is not None)


#: What a document also holds, with its type: it follows from the fields, and scripts read it from there.
_DERIVED: dict[str, Any] = {
    "ratios": tuple[Ratio, ...],
    "frame_ratios": tuple[FrameRatio, ...],
    "accuracy_changes": tuple[AccuracyChange, ...],
    "limits": tuple[Limit, ...],
}
#: Of these, what version 1 had.
_DERIVED_IN_1 = ("ratios", "accuracy_changes")


def to_document(result: BenchResult) -> dict[str, object]:
    """Return the result as JSON's own types, with what follows from it."""
    derived = {name: schema.to_json(getattr(result, name)()) for name in _DERIVED}
    return {"schema_version": SCHEMA_VERSION, **schema.to_json(result), **derived}


def to_json(result: BenchResult) -> str:
    """Return the result as an indented JSON document, ratios to the reference included."""
    return json.dumps(to_document(result), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str) -> BenchResult:
    """Read what `to_json` wrote, of this version or an older one.

    Raises:
        InputError: it is no JSON, of another schema version, a field is missing, unknown or of the wrong
            type, a value is out of its range, or the ratios do not follow from the engines.
    """
    try:
        document = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected a benchmark result in JSON, but it does not parse: {error}") from error
    if not isinstance(document, dict) or "schema_version" not in document:
        raise InputError("expected a benchmark result, but the document has no schema_version; is it one?")
    version = document.pop("schema_version")
    require(version in range(1, SCHEMA_VERSION + 1), f"schema_version 1 to {SCHEMA_VERSION}", version)
    names = _DERIVED_IN_1 if version == 1 else tuple(_DERIVED)
    stored = {name: document.pop(name, None) for name in names}
    if version < SCHEMA_VERSION:
        _renew_intervals(document, stored)
    result = schema.from_json(BenchResult, document, "result")
    for name, value in stored.items():
        # Parsed, since older results lack fields that have defaults here too.
        schema.from_json(_DERIVED[name], value, name)
        follows = _agrees(value, schema.to_json(getattr(result, name)()))
        require(follows, f"{name} that follow from the engines", value)
    return result


def read_result(path: str | Path) -> BenchResult:
    """Read a file that `osnet-edge bench --json` wrote.

    Raises:
        InputError: it cannot be read, or is not a result; the message names the file.
    """
    if not Path(path).is_file():
        raise InputError(f"expected a result of osnet-edge bench --json, found nothing at {path}")
    try:
        return from_json(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the result {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text; expected a result of osnet-edge bench --json") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _renew_intervals(document: Any, derived: dict[str, Any]) -> None:
    """Give a document of an older version the intervals of this one, wherever it is well formed."""
    engines = document.get("engines")
    for engine in filter(_is_object, engines if isinstance(engines, list) else ()):
        timed = (each for name in ("batches", "frames") for each in engine.get(name) or ())
        for each in filter(_is_object, timed):
            turns = each.get("turns_ms")
            if isinstance(turns, list) and all(type(turn) in (int, float) for turn in turns):
                ends = median_interval(turns)
                each["median_interval"] = None if ends is None else list(ends)
    for name in ("ratios", "frame_ratios"):
        entries = derived.get(name)
        for each in filter(_is_object, entries if isinstance(entries, list) else ()):
            each.pop("low", None)
            each.pop("high", None)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _agrees(stored: Any, derived: Any) -> bool:
    """Say whether what a document stores is what follows; a field that it lacks is not compared."""
    if isinstance(stored, dict) and isinstance(derived, dict):
        return all(key in derived and _agrees(value, derived[key]) for key, value in stored.items())
    if isinstance(stored, list) and isinstance(derived, list):
        return len(stored) == len(derived) and all(map(_agrees, stored, derived))
    return bool(stored == derived)


def _finite(text: str) -> float:
    # Python reads NaN, Infinity and 1e999, which are never measured.
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is not a finite number")
    return value
