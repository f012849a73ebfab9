"""People who are held out to measure on: who they are, and where they stand."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.sets import calibrate, crossing
from osnet_edge.engines.calibration import Candidate, hold_out, load_pictures, read_calibration_set
from osnet_edge.runtime.errors import InputError

# How many images each of people has of each camera: some by one camera, some by several, some by many.
sightings = st.lists(
    st.dictionaries(st.integers(0, 3), st.integers(1, 6), min_size=1, max_size=4), min_size=1, max_size=200
)


@settings(max_examples=60)
@given(people=sightings, repeat=st.integers(1, 90), asked=st.integers(32, 300), seed=st.integers(0, 9))
def test_who_is_held_out_is_not_drawn_from_and_can_be_found_across_cameras(
    people: list[dict[int, int]], repeat: int, asked: int, seed: int
) -> None:
    everybody = [cameras for cameras in people for _ in range(repeat)][:400]
    candidates = [
        Candidate(Path(f"{who}/{camera}/{k}"), who, camera)
        for who, cameras in enumerate(everybody)
        for camera, count in cameras.items()
        for k in range(count)
    ]
    held, left = hold_out(candidates, asked, seed=seed)
    assert (held, left) == hold_out(candidates, asked, seed=seed)
    chosen = {c.identity for c in held}
    assert left == [c for c in candidates if c.identity not in chosen]
    able = sum(len(cameras) > 1 for cameras in everybody)
    expected = min(asked, able // 2)
    assert len(chosen) == (expected if expected >= 32 else 0)
    for who in chosen:
        there = everybody[who]
        given = Counter(c.camera for c in held if c.identity == who)
        assert given.total() == min(4, sum(there.values())) == len({c for c in held if c.identity == who})
        assert len(given) == min(4, len(there)) >= 2
        # In turn: a camera gives one more than another only where that one has no more.
        for camera in there:
            if given[camera] < there[camera]:
                assert max(given.values()) <= given[camera] + 1


def test_who_is_held_out_stands_in_the_file_beside_who_is_not(tmp_path: Path) -> None:
    data = ["--data", crossing(tmp_path, people=70, cameras=2), "--images", "10"]
    document = calibrate(tmp_path / "calib.json", *data, "--held-out", "33")
    assert (document["drawn"]["held_out"], document["drawn"]["available"]) == (33, 74)
    found = read_calibration_set(tmp_path / "calib.json")
    assert {p.identity for p in found.held_out}.isdisjoint(p.identity for p in found.pictures)
    assert len(list(load_pictures(found.held_out))) == len(found.held_out) == 66
    # Nobody is, by wish: all are drawn from, and there is nothing to warn of.
    document = calibrate(tmp_path / "none.json", *data, "--held-out", "0")
    assert (document["held_out"], document["drawn"]["available"]) == ([], 140)
    assert not [text for text in document["warnings"] if "held out" in text]


def test_older_files_read_as_sets_that_hold_nobody_out(people: Path, tmp_path: Path) -> None:
    file = tmp_path / "calib.json"
    document = calibrate(file, "--data", str(people), "--images", "4")
    del document["held_out"], document["drawn"]["held_out"]
    file.write_text(json.dumps(document))
    assert (read_calibration_set(file).held_out, read_calibration_set(file).drawn.held_out) == ((), 0)


def test_a_file_with_somebody_on_both_sides_is_refused(people: Path, tmp_path: Path) -> None:
    file = tmp_path / "calib.json"
    document = calibrate(file, "--data", str(people), "--images", "4")
    document["held_out"] = document["pictures"][:1]
    file.write_text(json.dumps(document))
    with pytest.raises(InputError, match="nobody both among images and held_out, but 1 are"):
        read_calibration_set(file)


def test_the_calibration_pictures_of_cuhk03_leave_256_people_to_measure_on(
    shared: Path, tmp_path: Path
) -> None:
    document = calibrate(tmp_path / "calib.json", "--data", f"cuhk03={shared / 'data' / 'cuhk03'}")
    how = document["drawn"]
    assert (len(document["pictures"]), how["identities"], how["held_out"]) == (512, 487, 256)
    assert document["warnings"] == []
