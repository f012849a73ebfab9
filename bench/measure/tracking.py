"""Identities through sequences: boxes embedded frame by frame, people followed, and their tracks scored."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from osnet_edge.bench.measure.plan import Footage
from osnet_edge.bench.measure.runners import Boxes, NotSupportedError, Runner
from osnet_edge.bench.metrics.distances import FloatArray
from osnet_edge.runtime.boxes import clip_boxes
from osnet_edge.runtime.embedder import BoxEmbeddings
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.preprocessing import Picture
from osnet_edge.track.change import TracksChange, compare_tracks
from osnet_edge.track.libraries import require_libraries
from osnet_edge.track.scores import ScoredTracks, score_tracks

T = TypeVar("T")
#: Embeddings of each frame's boxes, (N, D) float32 of length 1.
FrameRows = tuple[FloatArray, ...]


@dataclass(frozen=True, eq=False)
class TimedFrames:
    """A sequence by an engine.

    Attributes:
        rows: of each frame; zeros for a box without a pixel, which is like nobody.
        whole_ms: for each frame, from frame and boxes to embeddings.
        crop_ms: of it, cropping and resizing; None where the engine does not tell.
    """

    rows: FrameRows
    whole_ms: tuple[float, ...]
    crop_ms: tuple[float, ...] | None


@dataclass(frozen=True, eq=False)
class Followed:
    """People followed through all sequences.

    Attributes:
        scored: each camera for itself.
        across_idf1: IDF1 in percent over the cameras of each site, which shared a gallery; None where no site
            has two.
        associate_ms: for a frame, mean.
    """

    scored: ScoredTracks
    across_idf1: float | None
    associate_ms: float

    def change_from(self, other: Followed) -> TracksChange:
        """Compare the tracks with those by other embeddings."""
        return compare_tracks(self.scored, other.scored)


def require_tracker() -> float:
    """Return the threshold that the reference tracker has where nobody gives one.

    Raises:
        UnavailableError: as `require_libraries`.
    """
    require_libraries()
    from osnet_edge.track.tracker import Rules

    return Rules().threshold


def embed_frames(
    runner: Runner, frames: Sequence[Path], boxes: Sequence[Boxes], progress: Callable[[float], None]
) -> TimedFrames:
    """Embed the boxes of a sequence's frames. Reading the files is in no time.

    Args:
        runner: the engine.
        frames: the files.
        boxes: of each frame, (N, 4).
        progress: called with the share that is done, in [0, 1].

    Raises:
        InputError: an image cannot be read.
        NotSupportedError: the engine takes no frames.
    """
    found: list[tuple[NDArray[np.bool_], FloatArray]] = []
    whole_ms, crop_ms = [0.0] * len(frames), [0.0] * len(frames)
    tells_crops, warm = True, False
    for index, (path, of_frame) in enumerate(zip(frames, boxes, strict=True)):
        frame = np.ascontiguousarray(read_picture(path)[..., ::-1])
        _, valid = clip_boxes(of_frame, *frame.shape[:2])
        rows = np.empty((0, 0), np.float32)
        if valid.any():
            embed = partial(_embed, runner, frame, of_frame[valid])
            if not warm:
                embed()
                warm = True
            rows, whole_ms[index] = _timed(embed)
            try:
                _, crop_ms[index] = _timed(partial(runner.crop_frame, frame, of_frame[valid]))
            except NotSupportedError:
                tells_crops = False
        found.append((valid, rows))
        progress((index + 1) / len(frames))
    size = max((rows.shape[1] for _, rows in found), default=0)
    return TimedFrames(
        tuple(fill_rows(valid, rows, size) for valid, rows in found),
        tuple(whole_ms),
        tuple(crop_ms) if tells_crops else None,
    )


def follow(footage: Footage, rows: Sequence[FrameRows] | None) -> Followed:
    """Follow people, and score their tracks.

    Args:
        footage: the sequences, and the threshold.
        rows: of each sequence; None goes by motion alone.

    Raises:
        UnavailableError: as `require_tracker`.
        InputError: a sequence has no ground truth.
    """
    require_tracker()
    from osnet_edge.track.run import join, track
    from osnet_edge.track.tracker import Rules

    sequences = footage.sequences
    rules = Rules(threshold=footage.threshold)
    alone = track(sequences, rows, rules)
    joined = []
    for cameras in footage.sites.values():
        watched = [sequences[camera] for camera in cameras]
        theirs = None if rows is None else [rows[camera] for camera in cameras]
        joined.append(join(watched, track(watched, theirs, rules, shared=True).tracks))
    across = score_tracks(*zip(*joined, strict=True)).scores().idf1 if joined else None
    return Followed(score_tracks(sequences, alone.tracks), across, float(alone.associate_ms.mean()))


def fill_rows(valid: NDArray[np.bool_], rows: FloatArray, size: int) -> FloatArray:
    """Return (N, size) rows of N boxes from those of the valid ones; others are zeros, like nobody."""
    whole = np.zeros((len(valid), size), np.float32)
    if valid.any():
        whole[valid] = rows
    return whole


def _embed(runner: Runner, frame: Picture, boxes: Boxes) -> FloatArray:
    found = runner.embed_frame(frame, boxes)
    return np.array(found.embeddings if isinstance(found, BoxEmbeddings) else found, np.float32)


def _timed(call: Callable[[], T]) -> tuple[T, float]:
    """Return what a call gives, and its milliseconds."""
    began = time.perf_counter()
    given = call()
    return given, 1000 * (time.perf_counter() - began)
