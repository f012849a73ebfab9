"""Engines timed against each other, in turns, so that whatever else the machine does falls on all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np

from osnet_edge.runtime.backends import Engine
from osnet_edge.runtime.preprocessing import Preprocessing


def time_in_turns(
    engines: Mapping[str, Engine],
    preprocessing: Preprocessing,
    batch: int,
    *,
    seconds: float = 2.0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Return the median milliseconds of a batch for each engine.

    Pictures are of one grey, since no engine's time depends on them.

    Args:
        engines: by name.
        preprocessing: of all of them.
        batch: pictures a call.
        seconds: for all together; each is called 3 times at least.
        clock: seconds, never running backwards.
    """
    pictures = np.full((batch, *preprocessing.input_shape), 1, preprocessing.dtype)
    times: dict[str, list[float]] = {name: [] for name in engines}
    began, rounds = clock(), 0
    while clock() - began < seconds or rounds < 3:
        for name, engine in engines.items():
            # The first call of a turn finds the caches full of another's weights: made, and not kept.
            engine.infer(pictures)
            start = clock()
            engine.infer(pictures)
            times[name].append(clock() - start)
        rounds += 1
    return {name: 1000 * statistics.median(kept) for name, kept in times.items()}
