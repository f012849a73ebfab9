"""Engines timed against each other, in turns, so that whatever else the machine does falls on all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from osnet_edge.runtime.backends.base import Engine
from osnet_edge.runtime.preprocessing import Preprocessing


def grey_pictures(preprocessing: Preprocessing, batch: int) -> npt.NDArray[np.generic]:
    """Return an engine's input for timing, of one grey: no engine's time depends on what is in a picture."""
    return np.full((batch, *preprocessing.input_shape), 1, preprocessing.dtype)


def time_in_turns(
    engines: Mapping[str, Engine],
    preprocessing: Preprocessing,
    batch: int,
    seconds: float = 2.0,
) -> dict[str, float]:
    """Return the median milliseconds of a batch for each engine.

    Args:
        engines: by name.
        preprocessing: of all of them.
        batch: pictures a call.
        seconds: for all together; each is called 3 times at least.
    """
    pictures = grey_pictures(preprocessing, batch)
    times: dict[str, list[float]] = {name: [] for name in engines}
    began, rounds = time.perf_counter(), 0
    while time.perf_counter() - began < seconds or rounds < 3:
        for name, engine in engines.items():
            # The first call of a turn finds the caches full of another's weights: made, and not kept.
            engine.infer(pictures)
            start = time.perf_counter()
            engine.infer(pictures)
            times[name].append(time.perf_counter() - start)
        rounds += 1
    return {name: 1000 * statistics.median(kept) for name, kept in times.items()}
