"""Tracks of sequences from the embeddings of their boxes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence as Listed
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osnet_edge.track.sequence import Ids, Marked, Sequence, Tracks
from osnet_edge.track.tracker import Gallery, Rows, Rules, Tracker


@dataclass(frozen=True, eq=False)
class Tracked:
    """What came of a tracker.

    Attributes:
        tracks: of each sequence.
        associate_ms: milliseconds that the tracker took for each frame, over all sequences.
    """

    tracks: tuple[Tracks, ...]
    associate_ms: NDArray[np.float64]


def track(
    sequences: Listed[Sequence], rows: Listed[Listed[Rows]] | None, rules: Rules, *, shared: bool = False
) -> Tracked:
    """Run the reference tracker over sequences.

    Args:
        sequences: what to track in.
        rows: of each sequence, the embeddings of each frame's boxes, float32 (N, D) of length 1; None goes by
            motion alone.
        rules: of the tracker.
        shared: whether cameras of a site share a gallery, so that somebody is the same person in all of them;
            they are then followed side by side, as time goes on.
    """
    galleries: dict[str | int, Gallery] = defaultdict(lambda: Gallery(rules))
    trackers = [
        Tracker(galleries[each.site if shared else camera], rules) for camera, each in enumerate(sequences)
    ]
    given: list[list[Ids]] = [[] for _ in sequences]
    spent = []
    moments = sorted(
        (seconds, camera, frame)
        for camera, sequence in enumerate(sequences)
        for frame, seconds in enumerate(sequence.times.tolist())
    )
    for seconds, camera, frame in moments:
        of_frame = None if rows is None else rows[camera][frame]
        begun = time.perf_counter()
        given[camera].append(trackers[camera].update(sequences[camera].detections[frame], of_frame, seconds))
        spent.append(1000 * (time.perf_counter() - begun))
    tracks = tuple(
        Tracks.of(ids, sequence.detections) for ids, sequence in zip(given, sequences, strict=True)
    )
    return Tracked(tracks, np.array(spent))


def join(sequences: Listed[Sequence], tracks: Listed[Tracks]) -> tuple[Sequence, Tracks]:
    """Put the cameras of a site one after another, so that identities are scored across them.

    Raises:
        ValueError: there is no sequence, or one has no ground truth.
    """
    truth: list[Marked] = []
    parts: list[Tracks] = []
    for sequence, found in zip(sequences, tracks, strict=True):
        if sequence.truth is None:
            raise ValueError(f"{sequence.name} has no ground truth")
        parts.append(Tracks(found.frames + len(truth), found.ids, found.boxes))
        truth += sequence.truth
    first = sequences[0]
    joined = Sequence(
        name=first.site,
        site=first.site,
        frames=tuple(frame for each in sequences for frame in each.frames),
        numbers=tuple(range(1, len(truth) + 1)),
        rate=first.rate,
        detections=tuple(found for each in sequences for found in each.detections),
        detector=first.detector,
        truth=tuple(truth),
    )
    return joined, Tracks(
        np.concatenate([part.frames for part in parts]),
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.boxes for part in parts]),
    )
