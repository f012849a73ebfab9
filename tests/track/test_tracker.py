"""What the reference tracker promises, by people who walk on a line with rows that tell them apart."""

from __future__ import annotations

import numpy as np
import pytest

from osnet_edge.track.sequence import Boxes, Detections
from osnet_edge.track.tracker import Gallery, Rows, Rules, Tracker

RATE = 10.0
#: Two people as like as strangers are to a trained network.
RED, BLUE = np.array([1, 0, 0.3], np.float32), np.array([0, 1, 0.3], np.float32)


def unit(*rows: Rows) -> Rows:
    """Return rows of length 1."""
    stacked = np.stack(rows)
    return np.asarray(stacked / np.linalg.norm(stacked, axis=1, keepdims=True), np.float32)


def box(x: float) -> Boxes:
    """Return the box of a person whose middle is at a column."""
    return np.array([x - 20, 100.0, x + 20, 200.0])


def seen(*boxes: Boxes, scores: tuple[float, ...] | None = None) -> Detections:
    """Return boxes as a detector gives them."""
    return Detections(np.array(boxes).reshape(-1, 4), np.array(scores or [0.9] * len(boxes)))


def follow(
    tracker: Tracker, moments: list[tuple[Detections, Rows | None]], begin: float = 0.0
) -> list[list[int]]:
    """Return the identities in each frame."""
    return [
        tracker.update(found, rows, begin + frame / RATE).tolist()
        for frame, (found, rows) in enumerate(moments)
    ]


def walk(frames: int, row: Rows, start: float = 100.0) -> list[tuple[Detections, Rows | None]]:
    """Return somebody who walks to the right."""
    return [(seen(box(start + 5 * frame)), unit(row)) for frame in range(frames)]


def none(frames: int) -> list[tuple[Detections, Rows | None]]:
    """Return frames in which nobody is found."""
    return [(seen(), np.empty((0, 3), np.float32))] * frames


def test_somebody_is_somebody_after_three_frames_and_stays_so() -> None:
    given = follow(Tracker(Gallery(Rules()), Rules()), walk(8, RED))
    assert given == [[0], [0], *[[1]] * 6]


@pytest.mark.parametrize(
    ("moments", "last"),
    [
        # Found nowhere for less than a second, and then where they were going.
        ([*walk(10, RED), *none(5), *walk(5, RED, 175)], 1),
        # Out for three seconds, and back on the other side.
        ([*walk(10, RED), *none(30), *walk(5, RED, 900)], 1),
        # Somebody else comes in on the other side.
        ([*walk(10, RED), *none(30), *walk(5, BLUE, 900)], 2),
        # Back after longer than anybody is remembered.
        ([*walk(10, RED), *none(1300), *walk(5, RED, 900)], 2),
        # Found elsewhere while they are still expected to walk on.
        ([*walk(10, RED), *none(3), *walk(5, RED, 900)], 1),
    ],
)
def test_who_comes_back_is_known_by_appearance(
    moments: list[tuple[Detections, Rows | None]], last: int
) -> None:
    assert follow(Tracker(Gallery(Rules()), Rules()), moments)[-1] == [last]


def test_motion_alone_keeps_who_walks_on_and_loses_who_comes_back() -> None:
    blind = [(found, None) for found, _ in [*walk(10, RED), *none(5), *walk(5, RED, 175), *none(30)]]
    tracker = Tracker(Gallery(Rules()), Rules())
    assert follow(tracker, blind)[19] == [1]
    assert follow(tracker, [(found, None) for found, _ in walk(5, RED, 900)], begin=6.0)[-1] == [2]


def test_two_who_cross_keep_their_identities_by_appearance() -> None:
    moments: list[tuple[Detections, Rows | None]] = []
    for frame in range(21):
        # They meet at frame 10, and turn back: motion alone would take each for the other.
        apart = 4.0 * abs(frame - 10)
        moments.append((seen(box(200 - apart), box(201 + apart)), unit(RED, BLUE)))
    given = follow(Tracker(Gallery(Rules()), Rules()), moments)
    assert given[3] == given[-1]
    assert sorted(given[-1]) == [1, 2]


def test_cameras_that_share_a_gallery_share_identities() -> None:
    for shared, expected in ((True, 1), (False, 2)):
        gallery = Gallery(Rules())
        other = gallery if shared else Gallery(Rules())
        follow(Tracker(gallery, Rules()), [*walk(5, BLUE, 500), *walk(10, RED)])
        second = Tracker(other, Rules())
        blue_again = follow(second, walk(5, BLUE, 700), begin=10.0)[-1]
        assert blue_again == [1]
        assert (follow(second, walk(5, RED, 300), begin=20.0)[-1] == [2]) == (expected == 1 or not shared)


def test_a_second_box_on_somebody_and_an_unsure_one_are_nobody() -> None:
    twice = [
        (seen(box(100 + 5 * k), box(102 + 5 * k), box(400), scores=(0.9, 0.6, 0.2)), unit(RED, RED, BLUE))
        for k in range(8)
    ]
    assert follow(Tracker(Gallery(Rules()), Rules()), twice)[-1] == [1, 0, 0]
