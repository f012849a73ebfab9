"""Drawn sequences: the same bytes from the same seed, and boxes as a detector gives them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.data.sequences import read_sequences
from osnet_edge.train.synthetic.detector import detect, visible_part
from osnet_edge.train.synthetic.video import write_video


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("again", 3), ("other", 4)):
        (tmp_path / name).mkdir()
        write_video(
            tmp_path / name / "site", cameras=2, people=4, seconds=1, rate=3, size=(160, 120), seed=seed
        )
    one, again, other = (
        {str(path.relative_to(tmp_path / name)): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("one", "again", "other")
    )
    assert one == again
    assert one["site/camera-1/img1/000001.jpg"] != other["site/camera-1/img1/000001.jpg"]


def test_people_come_back_and_are_seen_by_several_cameras_at_different_times(tmp_path: Path) -> None:
    write_video(tmp_path / "site", cameras=2, people=6, seconds=40, rate=1, size=(160, 120), seed=0)
    seen: dict[int, list[tuple[int, int]]] = {}
    for camera, sequence in enumerate(read_sequences([tmp_path])):
        assert sequence.site == "site"
        for frame, marked in enumerate(sequence.truth or ()):
            for who in marked.ids.tolist():
                seen.setdefault(who, []).append((frame, camera))
    both = [who for who, times in seen.items() if len({camera for _, camera in times}) == 2]
    returned = [
        who for who, times in seen.items() if max(np.diff(sorted(frame for frame, _ in times)), default=0) > 2
    ]
    assert len(both) >= 3
    assert len(returned) >= 3


@pytest.mark.parametrize(
    ("nearer", "part"),
    [
        # Nothing is before them.
        ([], 1.0),
        # A screen before their left half.
        ([(0, 0, 20, 100)], 0.5),
        # Two that cover the same half.
        ([(0, 0, 20, 100), (5, 0, 20, 100)], 0.5),
        # All of them.
        ([(-50, -50, 300, 300)], 0.0),
    ],
)
def test_what_is_hidden_is_counted_once(nearer: list[tuple[float, ...]], part: float) -> None:
    boxes = [(x1, y1, x2, y2) for x1, y1, x2, y2 in nearer]
    assert visible_part((0, 0, 40, 100), boxes, (640, 480)) == part
    # Half of them is out of the frame.
    assert visible_part((-20, 0, 20, 100), [], (640, 480)) == 0.5


def test_a_detector_misses_who_is_hidden_and_doubles_and_moves_the_others() -> None:
    rng = np.random.default_rng(0)
    box = (100.0, 100.0, 150.0, 220.0)
    clear = [detect({1: (box, 1.0)}, (640, 480), rng) for _ in range(500)]
    hidden = [detect({1: (box, 0.15)}, (640, 480), rng) for _ in range(500)]
    found = [sum(each.box[0] < 160 and 80 < each.box[1] < 120 for each in frame) for frame in clear]
    assert 0.90 < np.mean([count > 0 for count in found]) < 0.99
    assert 0.01 < np.mean([count > 1 for count in found]) < 0.08
    assert np.mean([len(frame) for frame in hidden]) < 0.2
    lefts = [each.box[0] for frame in clear for each in frame if each.box[0] < 160]
    assert 1 < np.std(lefts) < 6
    scores = [each.score for frame in clear for each in frame]
    assert min(scores) > 0
    assert max(scores) < 1


@pytest.mark.parametrize(("cameras", "people"), [(0, 3), (2, 0), (2, 201), (101, 3)])
def test_impossible_sites_are_refused(tmp_path: Path, cameras: int, people: int) -> None:
    with pytest.raises(InputError):
        write_video(
            tmp_path / "site", cameras=cameras, people=people, seconds=1, rate=2, size=(160, 120), seed=0
        )
