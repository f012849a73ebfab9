"""How much better some tracks are than others, against TrackEval's own combination of sequences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("trackeval", reason="needs the extra: pip install 'osnet-edge[tracking]'")

from osnet_edge.track.change import compare_tracks
from osnet_edge.track.scores import ScoredTracks, score_tracks
from osnet_edge.track.sequence import Detections, Marked, Sequence, Tracks

#: Frames of a sequence, two people in each.
FRAMES = 32


def walk(name: str) -> Sequence:
    """Two people who walk side by side."""
    truth = []
    for frame in range(FRAMES):
        boxes = np.array([[left + frame, 10.0, left + frame + 20, 60.0] for left in (0.0, 100.0)])
        flags = np.ones(2)
        truth.append(Marked(np.array([1, 2]), boxes, flags > 0, np.ones(2, np.int64), flags))
    found = tuple(Detections(each.boxes, np.ones(2)) for each in truth)
    files = tuple(Path(f"{frame}.jpg") for frame in range(FRAMES))
    return Sequence(name, name, files, tuple(range(1, FRAMES + 1)), 10.0, found, "det.txt", tuple(truth))


def tracks(sequence: Sequence, lost: int = FRAMES, gone: int = FRAMES) -> Tracks:
    """Return whom a tracker sees: one is somebody else from `lost` on, the other unseen from `gone` on."""
    given = [
        np.array([1 if frame < lost else 7, 2 if frame < gone else 0])
        for frame in range(len(sequence.frames))
    ]
    return Tracks.of(given, sequence.detections)


def scored(count: int, **what: int) -> ScoredTracks:
    sequences = [walk(str(number)) for number in range(count)]
    return score_tracks(sequences, [tracks(each, **what) for each in sequences])


def test_what_frames_keep_adds_up_to_trackevals_idf1() -> None:
    found = scored(2, lost=12, gone=20)
    for part, kept in zip(found.parts, found.kept, strict=True):
        right, marked, tracked = kept.sum(0)
        identity = part["Identity"]
        sums = (right, marked - right, tracked - right)
        assert sums == (identity["IDTP"], identity["IDFN"], identity["IDFP"])
        assert len(kept) == FRAMES


def test_sequences_that_are_alike_leave_nothing_to_chance() -> None:
    """Any resample of them is what TrackEval makes of all: this holds our sums to its combination."""
    change = compare_tracks(scored(8, lost=12, gone=20), scored(8))
    assert change.resampled == "8 sequences"
    for name in ("idf1", "hota", "mota"):
        difference = getattr(change, name)
        assert difference < -1
        assert getattr(change, f"{name}_interval") == pytest.approx((difference, difference), abs=1e-9)


def test_windows_know_who_was_lost_before_them() -> None:
    """A window alone would find nothing wrong: within each, everybody keeps one identity."""
    change = compare_tracks(scored(1, lost=16), scored(1))
    assert change.resampled == "16 windows of 2 frames"
    assert change.idf1 == pytest.approx(-25)
    low, high = change.idf1_interval
    assert -50 < low < -25 < high < 0
    assert (change.hota_interval, change.mota_interval) == (None, None)


def test_the_same_tracks_do_not_differ() -> None:
    same = scored(2, lost=12)
    change = compare_tracks(same, same)
    assert (change.idf1, change.hota, change.mota, *change.idf1_interval) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("what", "nothing"),
    [
        # No track at all: every box is missed.
        ({"lost": 0, "gone": 0}, False),
        # Nobody there, and nobody seen.
        ({}, True),
    ],
)
def test_empty_frames_are_scored(what: dict[str, int], nothing: bool) -> None:
    sequence = walk("one")
    given = tracks(sequence, **what)
    if nothing:
        nobody = Marked(
            *(np.empty((0, *np.shape(each)[1:]), each.dtype) for each in vars(sequence.truth[0]).values())
        )
        sequence = replace(sequence, truth=(nobody,) * FRAMES)
        given = given.between(FRAMES, FRAMES)
    found = score_tracks([sequence], [given])
    assert compare_tracks(found, found).idf1 == 0
