"""What holds of tracks and of the tracker whatever a detector finds."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from osnet_edge.track.sequence import Detections, Ids, Tracks
from osnet_edge.track.tracker import Gallery, Rows, Rules, Tracker

#: How four people look; the last one's box has no pixel in the frame.
LOOKS = np.array([[1, 0, 0], [0, 1, 0], [0.6, 0.8, 0], [np.nan] * 3], np.float32)
#: Column, row, score and looks of what is found; of one frame no two scores are alike.
FOUND = st.tuples(st.integers(0, 90), st.integers(0, 40), st.integers(20, 99), st.integers(0, 3))
FRAMES = st.lists(st.lists(FOUND, max_size=5, unique_by=lambda each: each[2]), min_size=1, max_size=10)
Frames = list[list[tuple[int, int, int, int]]]


def detected(frame: list[tuple[int, int, int, int]]) -> tuple[Detections, Rows]:
    corners = np.array([each[:2] for each in frame], np.float64).reshape(-1, 2)
    scores = np.array([each[2] / 100 for each in frame])
    return Detections(np.hstack([corners, corners + np.array([20, 60])]), scores), LOOKS[
        [each[3] for each in frame]
    ]


def followed(frames: Frames, by_looks: bool) -> list[NDArray[np.int64]]:
    tracker = Tracker(Gallery(Rules()), Rules(confirm=2))
    given = []
    for frame, boxes in enumerate(frames):
        found, rows = detected(boxes)
        given.append(tracker.update(found, rows if by_looks else None, frame / 5))
    return given


@given(frames=FRAMES, by_looks=st.booleans(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_an_order_of_boxes_tells_the_tracker_nothing(
    frames: Frames, by_looks: bool, data: st.DataObject
) -> None:
    orders = [data.draw(st.permutations(range(len(frame)))) for frame in frames]
    shuffled = [[frame[k] for k in order] for frame, order in zip(frames, orders, strict=True)]
    plain, other = followed(frames, by_looks), followed(shuffled, by_looks)
    for ids, order, others in zip(plain, orders, other, strict=True):
        assert ids[list(order)].tolist() == others.tolist()


@given(frames=FRAMES, by_looks=st.booleans())
@settings(max_examples=60, deadline=None)
def test_nobody_is_twice_in_a_frame_and_who_cannot_be_seen_is_nobody(frames: Frames, by_looks: bool) -> None:
    for frame, ids in zip(frames, followed(frames, by_looks), strict=True):
        named = ids[ids > 0]
        assert len(set(named.tolist())) == len(named)
        for (_, _, score, looks), who in zip(frame, ids, strict=True):
            assert not who or (score >= 30 and (looks < 3 or not by_looks))


@given(
    given_ids=st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=6),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_tracks_hold_every_named_box_once_and_come_apart_anywhere(
    given_ids: list[list[int]], data: st.DataObject
) -> None:
    ids: list[Ids] = [np.array(each, np.int64) for each in given_ids]
    boxes = [10.0 * frame + np.arange(4.0 * len(each)).reshape(-1, 4) for frame, each in enumerate(ids)]
    tracks = Tracks.of(ids, [Detections(each, np.ones(len(each))) for each in boxes])
    named = [
        (frame, who, box.tolist())
        for frame, (whole, of_frame) in enumerate(zip(ids, boxes, strict=True))
        for who, box in zip(whole.tolist(), of_frame, strict=True)
        if who
    ]
    assert list(zip(tracks.frames.tolist(), tracks.ids.tolist(), tracks.boxes.tolist(), strict=True)) == named
    cut = data.draw(st.integers(0, len(ids)))
    before, after = tracks.between(0, cut), tracks.between(cut, len(ids))
    assert [*before.frames, *(after.frames + cut)] == tracks.frames.tolist()
    assert [*before.ids, *after.ids] == tracks.ids.tolist()
    assert sum(1 for _ in tracks.lines(range(len(ids)))) == len(named)
