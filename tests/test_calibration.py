"""Calibration sets: how pictures are drawn, what the file says, and that it is held to."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from osnet_edge.cli.main import main
from osnet_edge.engines.calibration import (
    Candidate,
    draw_pictures,
    hold_out,
    load_pictures,
    read_calibration_set,
)
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.train.data.boxed_frames import read_boxed_frames
from osnet_edge.train.synthetic import write_frames, write_set


def blotches(seed: int) -> Image.Image:
    """A picture of colours by chance, which looks like no other and stays itself when compressed."""
    colours = np.random.default_rng(seed).integers(0, 256, (16, 8, 3), np.uint8)
    return Image.fromarray(colours).resize((32, 64), Image.Resampling.BILINEAR)


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Pictures of which no two look alike."""
    folder = tmp_path_factory.mktemp("pool")
    paths = [folder / f"{k:02d}.png" for k in range(60)]
    for seed, path in enumerate(paths):
        blotches(seed).save(path)
    return paths


@pytest.fixture(scope="session")
def drawn_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "people"
    numbers = {"train_identities": 4, "test_identities": 2, "cameras": 2, "pictures_per_camera": 2}
    write_set(folder, **numbers, seed=0, height=96, width=48)
    return folder


@pytest.fixture
def people(drawn_people: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn_people, tmp_path / "people"))


@pytest.fixture(scope="session")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(
        tmp_path_factory.mktemp("frames") / "street", frames=2, people=3, size=(320, 240), seed=1
    )


def calibrate(file: Path, *options: str) -> dict[str, Any]:
    assert main(["calibrate", "-o", str(file), *options]) == 0
    document: dict[str, Any] = json.loads(file.read_text())
    return document


def crossing(folder: Path, people: int, cameras: int) -> str:
    """Pictures of people, one by each camera, that look alike in nothing; the name of the set."""
    for who, camera in np.ndindex(people, cameras):
        blotches(who * cameras + camera).save(folder / f"{who:04d}_c{camera}s1_000001_00.png")
    return f"{folder}::{{identity}}_{{camera}}s1_*.png"


# How many pictures there are, by person and camera.
counts = st.dictionaries(
    st.tuples(st.integers(0, 5), st.integers(0, 3)), st.integers(1, 5), min_size=1, max_size=12
)


@settings(deadline=None, max_examples=40)
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


@settings(deadline=None, max_examples=20)
@given(persons=st.integers(1, 5), cameras=st.integers(1, 4), asked=st.integers(1, 60), seed=st.integers(0, 9))
def test_cameras_that_saw_everybody_give_as_many_as_one_another(
    pool: list[Path], persons: int, cameras: int, asked: int, seed: int
) -> None:
    each = len(pool) // (persons * cameras)
    labels = [(who, camera) for who in range(persons) for camera in range(cameras) for _ in range(each)]
    candidates = [Candidate(path, *label) for path, label in zip(pool, labels, strict=False)]
    # Some pictures short of all, or a camera may be the only one that a person has left.
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


def test_the_file_says_how_it_was_drawn_and_leads_to_the_crops(people: Path, tmp_path: Path) -> None:
    file = tmp_path / "calib.json"
    document = calibrate(file, "--data", str(people), "--images", "4", "--exclude", str(people))
    how = document["drawn"]
    assert (how["asked"], how["available"], how["identities"], how["cameras"]) == (4, 16, 4, 2)
    assert how["sources"] == how["excluded"] == [str(people)]
    names = [Path(p["path"]) for p in document["pictures"]]
    assert all(name.parent == Path("people/bounding_box_train") for name in names)
    crops = list(load_pictures(read_calibration_set(file).pictures))
    for name, crop in zip(names, crops, strict=True):
        np.testing.assert_array_equal(crop, read_picture(tmp_path / name))


def test_file_and_pictures_can_move_together(people: Path, tmp_path: Path) -> None:
    calibrate(people / "calib.json", "--data", str(people), "--images", "3")
    moved = people.rename(tmp_path / "elsewhere")
    assert len(list(load_pictures(read_calibration_set(moved / "calib.json").pictures))) == 3


def test_a_link_to_the_folder_does_not_lead_astray(people: Path, tmp_path: Path) -> None:
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "deeper")
    file = tmp_path / "link" / "calib.json"
    # The system goes up from where the link leads to, not from where it is.
    calibrate(file, "--data", str(tmp_path / "link" / ".." / ".." / "people"), "--images", "3")
    assert len(list(load_pictures(read_calibration_set(file).pictures))) == 3


def test_boxes_of_frames_are_cut_as_a_camera_would(street: Path, tmp_path: Path) -> None:
    document = calibrate(tmp_path / "calib.json", "--frames", str(street))
    assert document["drawn"]["available"] == 6
    assert document["drawn"]["cameras"] == 1
    crops = list(load_pictures(read_calibration_set(tmp_path / "calib.json").pictures))
    assert len(crops) == len(document["pictures"]) >= 3
    for each, crop in zip(document["pictures"], crops, strict=True):
        x1, y1, x2, y2 = each["box"]
        frame = read_picture(street / "img1" / Path(each["path"]).name)
        np.testing.assert_array_equal(crop, frame[y1:y2, x1:x2])


def test_boxes_over_the_edge_are_clipped_and_those_outside_counted(street: Path, tmp_path: Path) -> None:
    frames = Path(shutil.copytree(street, tmp_path / "frames"))
    (frames / "gt" / "gt.txt").write_text("1,1,-20,-10,60,100\n1,2,900,10,40,90\n")
    document = calibrate(tmp_path / "calib.json", "--frames", str(frames))
    assert [p["box"] for p in document["pictures"]] == [[0, 0, 40, 90]]
    assert document["drawn"]["outside"] == 1


@pytest.mark.parametrize(
    ("lines", "people"),
    [
        pytest.param("1,1,2,3,40,90\n\n2,1,2,3,40,90\n", 1, id="six numbers"),
        pytest.param("1,1,2,3,40,90,1,1,1\n1,2,2,3,40,90,0,1,1\n", 1, id="not considered"),
        pytest.param("1,1,2,3,40,90,1,1,1\n1,2,2,3,40,90,1,7,1\n", 1, id="of another class"),
        pytest.param("1,1,2,3,40,90,1,1,1\n1,2,2,3,40,90,1,1,0.1\n", 1, id="hidden"),
        pytest.param("1,-1,2,3,40,90,0.9,-1,-1,-1\n2,-1,2,3,40,90,0.8,-1,-1,-1\n", 2, id="a detector's"),
        pytest.param("1,1,2,3,40,90\n9,2,2,3,40,90\n", 1, id="a frame that is not there"),
    ],
)
def test_lines_of_boxes_that_count(street: Path, tmp_path: Path, lines: str, people: int) -> None:
    frames = Path(shutil.copytree(street, tmp_path / "frames"))
    (frames / "gt" / "gt.txt").write_text(lines)
    found = read_boxed_frames([frames])
    assert len({each.identity for each in found}) == people
    assert {each.box for each in found} == {(2, 3, 42, 93)}


def test_sequences_in_a_folder_are_cameras_with_people_of_their_own(street: Path, tmp_path: Path) -> None:
    for name in "ab":
        shutil.copytree(street, tmp_path / "all" / name)
    found = read_boxed_frames([tmp_path / "all"])
    assert {(each.camera, each.identity) for each in found} == {(k // 3, k) for k in range(6)}


def test_real_frames_give_boxes_and_frames_follow_sets_in_numbers(
    shared: Path, people: Path, tmp_path: Path
) -> None:
    sequence = shared / "data" / "mot17-mini" / "MOT17-09-FRCNN"
    document = calibrate(
        tmp_path / "calib.json", "--data", str(people), "--frames", str(sequence), "--images", "8"
    )
    by_source = {p["box"] is None: p["camera"] for p in document["pictures"]}
    assert by_source[True] in (0, 1)
    assert by_source[False] == 2
    assert len({p["identity"] for p in document["pictures"]}) == 8


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(lambda path: path.unlink(), "found nothing there", id="vanished"),
        pytest.param(lambda path: blotches(7).save(path), "but it was changed", id="changed"),
        pytest.param(lambda path: path.write_bytes(b""), "but it was changed", id="emptied"),
    ],
)
def test_a_picture_that_vanished_or_was_changed_is_named(
    people: Path, tmp_path: Path, spoil: Callable[[Path], object], words: str
) -> None:
    calibrate(tmp_path / "calib.json", "--data", str(people), "--images", "4")
    found = read_calibration_set(tmp_path / "calib.json")
    last = Path(found.pictures[-1].path)
    spoil(last)
    with pytest.raises(InputError, match=f"{last.name}.*{words}"):
        list(load_pictures(found.pictures))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        pytest.param(lambda d: d.update(format="a list"), "expected 'osnet-edge calibration set'", id="else"),
        pytest.param(lambda d: d.update(version=2), "version: expected 1, got 2", id="a later version"),
        pytest.param(lambda d: d.update(pictures=[]), "one calibration picture or more", id="no picture"),
        pytest.param(lambda d: d["pictures"][0].pop("sha256"), "'sha256' is missing", id="no hash"),
        pytest.param(lambda d: d["pictures"][0].update(sha256="0"), "64 hexadecimal", id="a short hash"),
        pytest.param(lambda d: d["pictures"][0].update(box=[9, 0, 9, 9]), "expected a box", id="no pixel"),
        pytest.param(lambda d: d["pictures"][0].update(box=[1, 2]), "a list of 4", id="half a box"),
    ],
)  # fmt: skip
def test_a_file_that_was_edited_is_refused_by_its_field(
    people: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], object], words: str
) -> None:
    file = tmp_path / "calib.json"
    document = calibrate(file, "--data", str(people), "--images", "2")
    edit(document)
    file.write_text(json.dumps(document))
    with pytest.raises(InputError, match=words):
        read_calibration_set(file)


@pytest.mark.parametrize("content", [b"", b"[1", b"\xff\xfe", b"[" * 100_000, b"3"])
def test_what_is_no_calibration_set_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "calib.json").write_bytes(content)
    with pytest.raises(InputError, match=r"calib\.json"):
        read_calibration_set(tmp_path / "calib.json")
    with pytest.raises(InputError, match="found nothing at"):
        read_calibration_set(tmp_path / "none.json")


def test_a_box_outside_its_frame_is_refused_when_it_is_cut(street: Path, tmp_path: Path) -> None:
    file = tmp_path / "calib.json"
    document = calibrate(file, "--frames", str(street), "--images", "1")
    document["pictures"][0]["box"] = [5000, 0, 5009, 9]
    document["pictures"][0]["path"] = str(tmp_path / document["pictures"][0]["path"])
    file.write_text(json.dumps(document))
    with pytest.raises(InputError, match="inside the frame"):
        list(load_pictures(read_calibration_set(file).pictures))


def test_a_small_set_of_one_grey_camera_is_doubted_in_every_way(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (people / "bounding_box_train").iterdir():
        if "_c1" in path.name:
            Image.fromarray(read_picture(path)).convert("L").save(path)
        else:
            path.unlink()
    document = calibrate(tmp_path / "calib.json", "--data", str(people), "--images", "4")
    warnings = document["warnings"]
    assert [text.split(":")[0] for text in warnings] == [
        "fewer than 64 pictures",
        "one camera only",
        "grey pictures",
        "nobody is held out",
    ]
    assert capsys.readouterr().err.splitlines() == [f"warning: {text}" for text in warnings]
    assert document["drawn"]["grey"] == 4


def test_a_set_of_enough_pictures_in_colour_by_two_cameras_is_not_doubted(
    pool: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "calib.json"
    data = ["--data", crossing(tmp_path, people=64, cameras=2)]
    assert main(["calibrate", "-o", str(file), *data, "--images", "64", "--json"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert (document["pictures"], document["held_out"]) == (64, 64)
    assert document["warnings"] == []
    assert "warning" not in captured.err


def test_fewer_than_were_asked_for_are_all_taken_and_it_is_said(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = calibrate(tmp_path / "calib.json", "--data", str(people), "--images", "99")
    taken = len(document["pictures"]) + document["drawn"]["near_duplicates"]
    assert taken == 16
    assert "asked for 99 pictures, took all" in capsys.readouterr().err


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


# How many pictures each of people has of each camera: some by one camera, some by several, some by many.
sightings = st.lists(
    st.dictionaries(st.integers(0, 3), st.integers(1, 6), min_size=1, max_size=4), min_size=1, max_size=200
)


@settings(deadline=None, max_examples=60)
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
    with pytest.raises(InputError, match="nobody both among pictures and held_out, but 1 are"):
        read_calibration_set(file)


def test_the_calibration_pictures_of_cuhk03_leave_256_people_to_measure_on(
    shared: Path, tmp_path: Path
) -> None:
    document = calibrate(tmp_path / "calib.json", "--data", f"cuhk03={shared / 'data' / 'cuhk03'}")
    how = document["drawn"]
    assert (len(document["pictures"]), how["identities"], how["held_out"]) == (512, 487, 256)
    assert document["warnings"] == []
