"""The consumers by name."""

from __future__ import annotations

from pathlib import Path

from osnet_edge.integrate.consumers.base import Consumer
from osnet_edge.integrate.consumers.deepstream_nvinfer import DeepStreamNvinfer
from osnet_edge.integrate.consumers.deepstream_tracker import DeepStreamTracker
from osnet_edge.integrate.consumers.savant import Savant
from osnet_edge.integrate.consumers.triton import BACKENDS, Triton
from osnet_edge.integrate.consumers.ultralytics import Ultralytics
from osnet_edge.runtime.errors import InputError

CONSUMERS: tuple[Consumer, ...] = (
    DeepStreamTracker(),
    DeepStreamNvinfer(),
    *map(Triton, BACKENDS),
    Savant(),
    Ultralytics(square=False),
    Ultralytics(square=True),
)


def consumer_named(spelling: str) -> Consumer:
    """Return a consumer as `--for` spells it.

    Raises:
        InputError: there is none.
    """
    known = {each.spelling: each for each in CONSUMERS}
    if spelling not in known:
        raise InputError(f"expected --for {', '.join(known)}; got {spelling!r}")
    return known[spelling]


def consumer_of(path: Path) -> Consumer:
    """Return whose configuration a file is.

    Raises:
        InputError: nobody's that is known here.
    """
    found = next((each for each in CONSUMERS if each.recognises(path)), None)
    if found is None:
        titles = ", ".join(dict.fromkeys(each.title for each in CONSUMERS))
        raise InputError(f"expected a configuration of {titles}; {path} is none of these")
    return found
