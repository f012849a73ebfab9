"""How calibration images are drawn: evenly over people and cameras, and never an image twice."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from calibration.sets import calibrate
from osnet_edge.cli.main import main
from osnet_edge.engines.calibration import Candidate, draw_pictures

# How many images there are, by person and camera.
counts = st.dictionaries(
    st.tuples(st.integers(0, 5), st.integers(0, 3)), st.integers(1, 5), min_size=1, max_size=12
)


@settings(max_examples=40)
@given(counts=counts, asked=st.integers(1, 70), seed=st.integers(0, 9))
def test_nobody_gives_another_picture_before_all_who_can_gave_as_many(
    pool: list[Path], counts: dict[tuple[int, int], int], asked: int, seed: int
) -> None:
    labels = [label for label, count in counts.items() for _ in range(count)]
    candidates = [Candidate(path, *label) for path, label in zip(pool, labels, strict=False)]
    there = Counter(c.identity for c in candidates)
    drawn = draw_pictures(candidates, asked, seed=seed).pictures
    assert len(drawn) == len(set(drawn)) == min(asked, len(candidates))
    assert set(drawn) <= set(candidates)
    given = Counter(c.identity for c in drawn)
    for who in there:
        if given[who] < there[who]:
            assert max(given.values()) <= given[who] + 1


@settings(max_examples=20)
@given(persons=st.integers(1, 5), cameras=st.integers(1, 4), asked=st.integers(1, 60), seed=st.integers(0, 9))
def test_cameras_that_saw_everybody_give_as_many_as_one_another(
    pool: list[Path], persons: int, cameras: int, asked: int, seed: int
) -> None:
    each = len(pool) // (persons * cameras)
    labels = [(who, camera) for who in range(persons) for camera in range(cameras) for _ in range(each)]
    candidates = [Candidate(path, *label) for path, label in zip(pool, labels, strict=False)]
    # Some images short of all, or a camera may be the only one that a person has left.
    drawn = draw_pictures(candidates, min(asked, max(1, len(candidates) // 2)), seed=seed).pictures
    given = Counter(dict.fromkeys(range(cameras), 0))
    given.update(c.camera for c in drawn)
    assert max(given.values()) - min(given.values()) <= 1


def test_a_person_is_seen_by_another_camera_the_next_time(pool: list[Path]) -> None:
    candidates = [Candidate(path, k // 4, k // 2 % 2) for k, path in enumerate(pool[:16])]
    drawn = draw_pictures(candidates, 8).pictures
    assert len({(c.identity, c.camera) for c in drawn}) == 8


def test_copies_are_passed_over_and_others_take_their_place(pool: list[Path], tmp_path: Path) -> None:
    again, small = tmp_path / "again.jpg", tmp_path / "small.png"
    with Image.open(pool[0]) as picture:
        picture.save(again, quality=60)
        picture.resize((24, 48)).save(small)
    labels = [(pool[0], 0), (again, 0), (small, 1), (pool[1], 0), (pool[2], 1)]
    candidates = [Candidate(path, who, 0) for path, who in labels]
    for seed in range(8):
        drawn = draw_pictures(candidates, 5, seed=seed)
        assert drawn.near_duplicates == 2
        assert len({pool[1], pool[2]} & {c.path for c in drawn.pictures}) == 2
        # In the second round the person whose first was one of the copies gives what is left, not a copy.
        assert len(drawn.pictures) == 3


def test_a_near_duplicate_does_not_cost_its_person_a_turn(pool: list[Path], tmp_path: Path) -> None:
    copy = Path(shutil.copy(pool[0], tmp_path / "copy.png"))
    candidates = [Candidate(path, 0, 0) for path in (pool[0], copy, pool[1])]
    candidates += [Candidate(path, 1, 0) for path in pool[2:5]]
    for seed in range(16):
        given = Counter(c.identity for c in draw_pictures(candidates, 4, seed=seed).pictures)
        assert given == {0: 2, 1: 2}


def test_the_same_seed_draws_the_same_file_and_another_does_not(people: Path, tmp_path: Path) -> None:
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        calibrate(tmp_path / name, "--data", str(people), "--images", "4", "--seed", seed)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    a, c = (json.loads((tmp_path / name).read_text())["pictures"] for name in "ac")
    assert a != c


def test_a_picture_of_the_evaluation_set_is_refused_whatever_the_seed(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query = sorted((people / "query").iterdir())[0]
    shutil.copy(query, people / "bounding_box_train" / "0001_c1s1_009999_00.jpg")
    file = tmp_path / "calib.json"
    common = ["calibrate", "--data", str(people), "-o", str(file), "--images", "1"]
    for seed in range(4):
        assert main([*common, "--exclude", str(people), "--seed", str(seed)]) == 2
        err = capsys.readouterr().err
        assert "1 of 17 are, such as" in err
        assert "0001_c1s1_009999_00.jpg" in err
        assert not file.exists()
    assert main(common) == 0
