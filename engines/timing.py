"""Engines that are loaded in this process, timed in rounds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.measure.latency import median_times
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
    return median_times({name: partial(engine.infer, pictures) for name, engine in engines.items()}, seconds)
