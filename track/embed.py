"""Embeddings of the boxes in a sequence's frames, and how long they took."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osnet_edge.runtime.embedder import Embedder, Embeddings
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.track.sequence import Sequence


@dataclass(frozen=True, eq=False)
class EmbeddedFrames:
    """A sequence by an engine.

    Attributes:
        rows: of each frame, a row of length 1 for each box, NaN for one without a pixel in the frame.
        read_ms: milliseconds for each frame, to read and decode its file.
        embed_ms: the same, from frame and boxes to embeddings.
    """

    rows: tuple[Embeddings, ...]
    read_ms: NDArray[np.float64]
    embed_ms: NDArray[np.float64]


def embed_sequence(
    embedder: Embedder, sequence: Sequence, progress: Callable[[int], None] = lambda count: None
) -> EmbeddedFrames:
    """Embed the people in a sequence; one frame at a time is in memory.

    Args:
        embedder: the engine.
        sequence: frames and boxes.
        progress: called with how many frames were just done.

    Raises:
        InputError: a frame cannot be read.
    """
    rows, times = [], []
    for path, found in zip(sequence.frames, sequence.detections, strict=True):
        begun = time.perf_counter()
        frame = read_picture(path)
        read = time.perf_counter()
        rows.append(embedder.embed_boxes(frame, found.boxes).embeddings)
        times.append((read - begun, time.perf_counter() - read))
        progress(1)
    read_ms, embed_ms = 1000 * np.array(times).T
    return EmbeddedFrames(tuple(rows), read_ms, embed_ms)
