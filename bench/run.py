"""Measuring engines together, in turns, into one result."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.accuracy import LabelledPicture, rank_pictures
from osnet_edge.bench.accuracy_change import ChangeIntervals
from osnet_edge.bench.devices.sysfs import NOT_AVAILABLE
from osnet_edge.bench.latency import measure_interleaved
from osnet_edge.bench.machine import machine_facts
from osnet_edge.bench.ranking import MatchRanks
from osnet_edge.bench.result import Accuracy, BatchLatency, BenchResult, EngineResult, Settings
from osnet_edge.bench.scores import RetrievalScores
from osnet_edge.bench.subject import Subject
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.preprocessing import normalize

WARMUP_S, MIN_ITERATIONS = 0.2, 10


@dataclass(frozen=True)
class TestSet:
    """Pictures to score engines on: a name, queries and a gallery."""

    name: str
    query: Sequence[LabelledPicture]
    gallery: Sequence[LabelledPicture]


def run_bench(
    subjects: Sequence[Subject],
    *,
    batches: Sequence[int],
    command: str,
    threads: int | None = None,
    duration_s: float = 3.0,
    test_set: TestSet | None = None,
    progress: Callable[[str, float], None] = lambda what, share: None,
) -> BenchResult:
    """Measure latency at every batch, engines taking turns, and accuracy where there are pictures.

    What an engine costs in accuracy is said with its interval by a paired bootstrap over the queries.

    Args:
        subjects: the engines; the first is the reference that the others are compared with.
        batches: pictures a call.
        command: what to type to repeat this.
        threads: what the subjects were loaded with, for the record.
        duration_s: seconds measured per engine and batch.
        test_set: pictures to score on; None leaves accuracy out.
        progress: told what is being measured, and the share of it done, in [0, 1].

    Raises:
        InputError: an engine does not take a batch, a picture cannot be read, or the set cannot be scored.
    """
    sizes = tuple(sorted(set(batches)))
    for subject in subjects:
        least, most = subject.batches
        if sizes[0] < least or (most is not None and sizes[-1] > most):
            limit = most or "any size"
            raise InputError(
                f"{subject.name} takes batches of {least} to {limit}, and was asked for {sizes[0]} to "
                f"{sizes[-1]}; choose others with --batch, or build it for them"
            )
    latencies: dict[str, list[BatchLatency]] = {subject.name: [] for subject in subjects}
    for size in sizes:
        runs = {subject.name: _call(subject, size) for subject in subjects}
        measured = measure_interleaved(
            runs,
            warmup_s=WARMUP_S,
            duration_s=duration_s,
            min_iterations=MIN_ITERATIONS,
            progress=lambda share, size=size: progress(f"latency at batch {size}", share),  # type: ignore[misc]
        )
        for name, stats in measured.items():
            latencies[name].append(BatchLatency.of(size, stats))
    accuracies: dict[str, Accuracy] = {}
    intervals: dict[str, ChangeIntervals] = {}
    if test_set:
        ranks = {subject.name: _ranks(subject, test_set, progress) for subject in subjects}
        accuracies = {name: _accuracy(each, test_set) for name, each in ranks.items()}
        base, *others = ranks
        intervals = {name: ChangeIntervals.between(ranks[base], ranks[name]) for name in others}
    engines = [
        EngineResult(
            name=subject.name,
            variant=subject.variant,
            precision=subject.precision,
            target=subject.target,
            size_bytes=subject.size_bytes,
            load_seconds=subject.load_seconds,
            batches=tuple(latencies[subject.name]),
            accuracy=accuracies.get(subject.name),
            reference=index == 0,
            change_intervals=intervals.get(subject.name),
        )
        for index, subject in enumerate(subjects)
    ]
    settings = Settings(
        command=command,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        threads=threads,
        batches=sizes,
        warmup_s=WARMUP_S,
        duration_s=duration_s,
        min_iterations=MIN_ITERATIONS,
        interleaved=len(subjects) > 1,
        measured="inference of a batch that is already preprocessed",
    )
    accelerators = sorted({subject.accelerator for subject in subjects if subject.accelerator})
    facts = machine_facts(
        accelerator=", ".join(accelerators) or NOT_AVAILABLE,
        versions={name: version for subject in subjects for name, version in subject.versions.items()},
    )
    return BenchResult(facts, settings, tuple(engines))


def _call(subject: Subject, size: int) -> Callable[[], object]:
    """Return a call of the bare engine on one batch; what the pictures show does not change its time."""
    how = subject.preprocessing
    pictures = np.random.default_rng(0).integers(0, 256, (size, how.height, how.width, 3), np.uint8)
    batch: npt.NDArray[np.generic] = pictures if how.normalize_in == "graph" else normalize(pictures, how)
    return lambda: subject.infer(batch)


def _ranks(subject: Subject, test_set: TestSet, progress: Callable[[str, float], None]) -> MatchRanks:
    return rank_pictures(
        subject.embed,
        test_set.query,
        test_set.gallery,
        progress=lambda share: progress(f"accuracy of {subject.name}", share),
    )


def _accuracy(ranks: MatchRanks, test_set: TestSet) -> Accuracy:
    return Accuracy(test_set.name, "cosine", RetrievalScores.from_ranks(ranks))
