"""Candidates' engines in memory, a few at a time, and timed in rounds."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.measure.latency import interleave, rounds_within, time_calls
from osnet_edge.engines.tuning.cache import TuningCache
from osnet_edge.engines.tuning.race import Round
from osnet_edge.runtime.backends.base import Engine
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import OsnetEdgeError
from osnet_edge.runtime.preprocessing import Preprocessing

#: Seconds that a round should count for: small networks take so little that rounds are added, in every group
#: as many for each that was asked for, ten at most.
_ROUND_SECONDS, _MOST_ADDED = 0.03, 10
_NS_PER_MS = 1_000_000


@dataclass(frozen=True)
class _TimedGroup:
    """What is kept of a group: its rounds, and why who is not in them could not be run."""

    rounds: tuple[Round, ...]
    failed: dict[str, str]


class Stopwatch:
    """Runs groups: a `TimeGroup` of `osnet_edge.engines.tuning.halving`.

    Args:
        open_engine: opens a candidate by its name.
        digest: what a candidate's times depend on, by its name: its graph's hash and the like.
        reference: the one that must open.
        preprocessing: of all of them.
        batches: batch sizes to time.
        cache: where groups are kept.
        progress: called with a line for each step.
        round_seconds: that a round should count for: where engines are quicker, rounds are added.

    Attributes:
        largest: of the batch sizes, and the most that an engine here may take.
        failed: why a candidate could not be opened or run, by its name.
        seconds: spent on timing, loading left out and what the cache knew too.
    """

    def __init__(
        self,
        open_engine: Callable[[str], Engine],
        digest: Callable[[str], Any],
        reference: str,
        preprocessing: Preprocessing,
        batches: Sequence[int],
        cache: TuningCache,
        progress: Callable[[str], None] = lambda step: None,
        round_seconds: float = _ROUND_SECONDS,
    ) -> None:
        self._round_seconds = round_seconds
        self._pictures = [grey_batch(preprocessing, size) for size in sorted(batches)]
        self._open_engine, self._digest, self._reference = open_engine, digest, reference
        self._cache, self._progress = cache, progress
        #: By name and digest: a candidate whose INT8 was decided on is another one than before.
        self._engines: dict[tuple[str, str], Engine] = {}
        self.largest = max(batches)
        self.failed: dict[str, str] = {}
        self.seconds = 0.0

    def __call__(self, rung: int, names: tuple[str, ...], rounds: int) -> list[Round]:
        """Time candidates in rounds.

        Raises:
            OsnetEdgeError: the reference cannot be opened.
        """
        key = ["heat", rung, rounds, [[name, self._digest(name)] for name in names]]
        if kept := self._cache.read(_TimedGroup, key):
            self.failed.update(kept.failed)
            return list(kept.rounds)
        running = self._load(names)
        self._progress(f"timing {counted(len(running), 'candidate')}, {counted(rounds, 'round')} or more")
        times: dict[str, list[tuple[float, ...]]] = {name: [] for name in running}
        began, timers = time.perf_counter(), {name: partial(self._time, running[name]) for name in running}
        # Each round in another order: who runs behind whom must not matter either.
        order = random.Random(rung)  # noqa: S311
        for name, calls in interleave(
            timers, rounds_within(self._round_seconds * rounds, rounds, _MOST_ADDED * rounds), order
        ):
            times[name].append(tuple(call / _NS_PER_MS for call in calls))
        done: list[Round] = [dict(zip(times, ms, strict=True)) for ms in zip(*times.values(), strict=True)]
        self.seconds += time.perf_counter() - began
        failed = {name: self.failed[name] for name in names if name in self.failed}
        self._cache.write(key, _TimedGroup(tuple(done), failed))
        return done

    def engine(self, name: str) -> Engine:
        """Return a candidate's engine, opened if it is not, or if it is another one by now."""
        key = self._key(name)
        if key not in self._engines:
            self._engines[key] = self._open_engine(name)
        return self._engines[key]

    def close(self) -> None:
        """Let go of all engines."""
        self._engines.clear()

    def _load(self, names: tuple[str, ...]) -> dict[str, Engine]:
        keys = {name: self._key(name) for name in names}
        for key in set(self._engines) - set(keys.values()):
            del self._engines[key]
        for name, key in keys.items():
            if key in self._engines or name in self.failed:
                continue
            self._progress(f"loading {name}")
            try:
                self._time(self.engine(name))
            except OsnetEdgeError as error:
                if name == self._reference:
                    raise
                self._engines.pop(key, None)
                self.failed[name] = str(error)
        return {name: self._engines[key] for name, key in keys.items() if key in self._engines}

    def _key(self, name: str) -> tuple[str, str]:
        return name, str(self._digest(name))

    def _time(self, engine: Engine) -> list[int]:
        """Return the nanoseconds of one call at each batch size, after a call that is not kept."""
        runs = (partial(engine.infer, pictures) for pictures in self._pictures)
        return [ns for place, run in enumerate(runs) for ns in time_calls(run, lead=place == 0)]


def grey_batch(preprocessing: Preprocessing, size: int) -> npt.NDArray[np.generic]:
    """Return an engine's input for timing, a grey image: no engine's time depends on what it shows."""
    return np.full((size, *preprocessing.input_shape), 1, preprocessing.dtype)
