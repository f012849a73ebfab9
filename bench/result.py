"""The result of a benchmark: one versioned document that every table and page is made from."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from osnet_edge.bench._require import require
from osnet_edge.bench.accuracy_change import AccuracyChange, ChangeIntervals
from osnet_edge.bench.latency import LatencyStats
from osnet_edge.bench.machine import MachineFacts
from osnet_edge.bench.scores import RetrievalScores
from osnet_edge.runtime import schema
from osnet_edge.runtime.errors import InputError

SCHEMA_VERSION = 1


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
        min_iterations: least number of calls measured, per engine and batch.
        interleaved: whether engines took turns.
        measured: what a latency covers, in words, such as "inference" or "crops to embeddings".
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

    def __post_init__(self) -> None:
        require(bool(self.batches) and min(self.batches) >= 1, "batches of 1 or more", self.batches)
        require(list(self.batches) == sorted(set(self.batches)), "ascending batches", self.batches)


@dataclass(frozen=True)
class BatchLatency:
    """Latency of one call at one batch size; `images_per_second` is batch over mean latency."""

    batch: int
    images_per_second: float
    latency: LatencyStats

    def __post_init__(self) -> None:
        require(self.batch >= 1, "a batch of 1 or more", self.batch)
        stats = self.latency
        rising = (stats.min_ms, stats.p50_ms, stats.p90_ms, stats.p95_ms, stats.p99_ms, stats.max_ms)
        require(rising[0] >= 0 and list(rising) == sorted(rising), "rising percentiles", rising)
        require(stats.min_ms <= stats.mean_ms <= stats.max_ms, "a mean within the range", stats.mean_ms)
        require(stats.cv >= 0, "a cv of 0 or more", stats.cv)
        require(stats.iterations >= 1, "1 iteration or more", stats.iterations)
        agrees = math.isclose(self.images_per_second, stats.images_per_second(self.batch), rel_tol=1e-6)
        require(agrees, "images_per_second to be batch / mean latency", self.images_per_second)

    @classmethod
    def of(cls, batch: int, latency: LatencyStats) -> BatchLatency:
        """Make one from the statistics alone."""
        return cls(batch, latency.images_per_second(batch), latency)


@dataclass(frozen=True)
class Accuracy:
    """Retrieval scores and the data set they are of."""

    data_set: str
    distance: str
    scores: RetrievalScores

    def __post_init__(self) -> None:
        s = self.scores
        # Results of before Rank-20 and mINP were measured have neither.
        curve = [share for share in (s.rank1, s.rank5, s.rank10, s.rank20) if share is not None]
        for share in (*curve, s.mean_ap, *([] if s.mean_inp is None else [s.mean_inp])):
            require(0 <= share <= 1, "accuracies in [0, 1]", share)
        require(curve == sorted(curve), "Rank-1 <= Rank-5 <= Rank-10 <= Rank-20", curve)
        require(0 <= s.skipped < s.queries, "fewer queries skipped than given", (s.skipped, s.queries))
        require(s.gallery >= 1, "a gallery of 1 or more", s.gallery)


@dataclass(frozen=True)
class EngineResult:
    """What was measured of one engine.

    Attributes:
        name: of the package, unique in the document.
        variant: the model, such as "osnet_x0_25".
        precision: such as "fp32" or "int8".
        target: what runs it, such as "onnxruntime" or "tensorrt".
        size_bytes: of the engine's files.
        load_seconds: from file to ready.
        batches: latency at each batch it was measured at, ascending.
        accuracy: None where it was not measured.
        reference: whether the others are compared with this one.
        change_intervals: of its accuracy less the reference's; None where they were not scored on the same
            pictures together, and in results of before it was measured.
    """

    name: str
    variant: str
    precision: str
    target: str
    size_bytes: int
    load_seconds: float
    batches: tuple[BatchLatency, ...]
    accuracy: Accuracy | None
    reference: bool
    change_intervals: ChangeIntervals | None = None

    def __post_init__(self) -> None:
        require(bool(self.name), "an engine's name", self.name)
        require(self.size_bytes >= 0, "a size of 0 or more", self.size_bytes)
        require(self.load_seconds >= 0, "a load time of 0 or more", self.load_seconds)
        sizes = [each.batch for each in self.batches]
        require(sizes == sorted(set(sizes)), f"ascending batches of {self.name}", sizes)
        alone = self.accuracy is None or self.reference
        require(not (alone and self.change_intervals), "intervals only of an accuracy compared", self.name)

    @property
    def description(self) -> str:
        """Model, precision and target in a few words."""
        return f"{self.variant}, {self.precision}, {self.target}"

    def at(self, batch: int) -> BatchLatency | None:
        """Return the latency at `batch`, or None where it was not measured."""
        return next((each for each in self.batches if each.batch == batch), None)


@dataclass(frozen=True)
class Ratio:
    """One engine against the reference at one batch.

    Attributes:
        engine: its name.
        batch: images a call.
        speedup: the reference's p50 over this engine's; above 1 this engine is the quicker.
    """

    engine: str
    batch: int
    speedup: float


@dataclass(frozen=True)
class BenchResult:
    """A benchmark: the machine, how it was run, and every engine, exactly one of them the reference."""

    machine: MachineFacts
    settings: Settings
    engines: tuple[EngineResult, ...]

    def __post_init__(self) -> None:
        names = [engine.name for engine in self.engines]
        require(len(names) == len(set(names)), "engines of different names", names)
        references = [engine.name for engine in self.engines if engine.reference]
        require(len(references) == 1, "exactly one reference engine", references)

    @property
    def reference(self) -> EngineResult:
        """The engine that the others are compared with."""
        return next(engine for engine in self.engines if engine.reference)

    @property
    def candidates(self) -> tuple[EngineResult, ...]:
        """The engines to choose from: the reference is what they are compared with, unless it is alone."""
        return tuple(engine for engine in self.engines if not engine.reference) or self.engines

    @property
    def common_batch(self) -> int | None:
        """The smallest batch at which every engine was measured, or None: where engines can be ranked."""
        measured = [{each.batch for each in engine.batches} for engine in self.engines]
        return min(set.intersection(*measured), default=None)

    def ratios(self) -> tuple[Ratio, ...]:
        """Return every engine's speed against the reference, at the batches both were measured at."""
        return tuple(
            Ratio(engine.name, there.batch, there.latency.p50_ms / here.latency.p50_ms)
            for engine in self.engines
            for there in self.reference.batches
            if (here := engine.at(there.batch)) is not None and here.latency.p50_ms > 0
        )

    def accuracy_changes(self) -> tuple[AccuracyChange, ...]:
        """Return every engine's change in accuracy, where both were scored on the same pictures."""
        base = self.reference.accuracy
        return tuple(
            AccuracyChange(
                engine.name,
                engine.accuracy.scores.rank1 - base.scores.rank1,
                engine.accuracy.scores.mean_ap - base.scores.mean_ap,
                engine.change_intervals,
            )
            for engine in self.engines
            if base is not None and engine.accuracy is not None and _same_test(base, engine.accuracy)
        )


def to_json(result: BenchResult) -> str:
    """Return the result as an indented JSON document, ratios to the reference included."""
    document = {
        "schema_version": SCHEMA_VERSION,
        **schema.to_json(result),
        "ratios": schema.to_json(result.ratios()),
        "accuracy_changes": schema.to_json(result.accuracy_changes()),
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str) -> BenchResult:
    """Read what `to_json` wrote.

    Raises:
        InputError: it is no JSON, of another schema version, a field is missing, unknown or of the wrong
            type, a value is out of its range, or the ratios do not follow from the engines.
    """
    try:
        document = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except ValueError as error:
        raise InputError(f"expected a benchmark result in JSON, but it does not parse: {error}") from error
    if not isinstance(document, dict) or "schema_version" not in document:
        raise InputError("expected a benchmark result, but the document has no schema_version; is it one?")
    version = document.pop("schema_version")
    require(version == SCHEMA_VERSION, f"schema_version {SCHEMA_VERSION}", version)
    ratios, changes = document.pop("ratios", None), document.pop("accuracy_changes", None)
    result = schema.from_json(BenchResult, document, "result")
    # Readers of the file take the ratios from it, so ratios of other engines must not pass.
    require(ratios == schema.to_json(result.ratios()), "ratios that follow from the engines", ratios)
    # Parsed, since results of before have no intervals here either.
    told = schema.from_json(tuple[AccuracyChange, ...], changes, "accuracy_changes")
    require(told == result.accuracy_changes(), "accuracy_changes that follow", changes)
    return result


def _same_test(one: Accuracy, other: Accuracy) -> bool:
    def test(a: Accuracy) -> tuple[str, str, int, int]:
        return a.data_set, a.distance, a.scores.queries, a.scores.gallery

    return test(one) == test(other)


def _finite(text: str) -> float:
    # Python reads NaN, Infinity and 1e999, which no measurement gives.
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is not a finite number")
    return value
