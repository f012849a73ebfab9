"""The drawn re-ID set: same seed same bytes, a sound layout, boxes that hold their person, cues that last."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageChops

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.data import ReidSet
from osnet_edge.train.synthetic import STYLES, draw_frame, sample_crops, write_frames, write_set
from osnet_edge.train.synthetic.camera import sample_cameras
from osnet_edge.train.synthetic.crops import draw_crop
from osnet_edge.train.synthetic.figure import Gait, Placement, draw_figure, figure_box
from osnet_edge.train.synthetic.person import sample_people
from osnet_edge.train.synthetic.places import KINDS, build_place
from osnet_edge.train.synthetic.props import PROPS, draw_prop

NUMBERS: dict[str, Any] = {
    "train_identities": 3,
    "test_identities": 2,
    "cameras": 3,
    "pictures_per_camera": 2,
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> ReidSet:
    return write_set(tmp_path_factory.mktemp("sets") / "drawn", **NUMBERS, seed=5)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_pictures(
    drawn: ReidSet, tmp_path: Path
) -> None:
    write_set(tmp_path / "again", **NUMBERS, seed=5)
    write_set(tmp_path / "other", **NUMBERS, seed=6)
    first, again, other = contents(drawn.root), contents(tmp_path / "again"), contents(tmp_path / "other")
    assert first == again
    assert first.keys() == other.keys()
    assert not set(first.values()) & set(other.values())


def test_styles_differ_in_colour_contrast_or_sharpness_and_draw_the_same_people(
    drawn: ReidSet, tmp_path: Path
) -> None:
    def look(made: ReidSet) -> np.ndarray[Any, Any]:
        shots = [np.asarray(Image.open(p.path).convert("RGB").resize((64, 128)), float) for p in made.train]
        sharp = np.mean([np.abs(np.diff(shot.mean(2), axis=1)).mean() for shot in shots])
        spread = np.mean([shot.std() for shot in shots])
        return np.array([*np.mean(shots, axis=(0, 1, 2)), spread, 5 * sharp])

    looks = {"plain": look(drawn)}
    for style in STYLES.keys() - {"plain"}:
        made = write_set(tmp_path / style, **NUMBERS, seed=5, style=style)
        assert contents(made.root).keys() == contents(drawn.root).keys()
        looks[style] = look(made)
    for one, two in combinations(looks, 2):
        # In grey levels of 255, so that none is another under a new name.
        assert np.linalg.norm(looks[one] - looks[two]) > 20, (one, two)


def test_the_plain_style_is_the_default_to_the_byte(drawn: ReidSet, tmp_path: Path) -> None:
    plain = write_set(tmp_path / "plain", **NUMBERS, seed=5, style="plain")
    assert contents(plain.root) == contents(drawn.root)


def test_other_seeds_draw_other_people() -> None:
    one, two = (sample_people(50, np.random.default_rng(seed)) for seed in (0, 1))
    assert not set(one) & set(two)


def test_any_two_people_differ_in_at_least_two_things_they_wear_or_carry() -> None:
    people = sample_people(250, np.random.default_rng(0))
    cues = [(p.top, p.bottom, p.garment, p.pattern, p.legwear, p.carried) for p in people]
    for one, other in combinations(cues, 2):
        assert sum(a != b for a, b in zip(one, other, strict=True)) >= 2


def test_a_larger_set_holds_the_pictures_of_the_smaller_one(drawn: ReidSet, tmp_path: Path) -> None:
    larger = write_set(tmp_path / "larger", **{**NUMBERS, "test_identities": 4}, seed=5)
    small, large = contents(drawn.root), contents(larger.root)
    assert small.items() < large.items()


def test_train_and_test_share_no_identity_and_every_split_is_whole(drawn: ReidSet) -> None:
    assert {p.identity for p in drawn.train} == {1, 2, 3}
    assert {p.identity for p in drawn.query} == {p.identity for p in drawn.gallery} == {4, 5}
    assert len(drawn.train) == 3 * 3 * 2
    assert len(drawn.query) == 2 * 3
    assert len(drawn.gallery) == 2 * 3 * (2 - 1)


def test_every_query_has_a_match_on_another_camera(drawn: ReidSet) -> None:
    for query in drawn.query:
        assert any(p.identity == query.identity and p.camera != query.camera for p in drawn.gallery)


def test_crops_are_jpegs_of_many_sizes_around_the_usual_one(drawn: ReidSet) -> None:
    sizes = []
    for picture in drawn.train + drawn.query + drawn.gallery:
        with Image.open(picture.path) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
            sizes.append(image.size)
    assert len(set(sizes)) > len(sizes) // 2
    assert all(0.65 * 256 - 1 <= tall <= 1.2 * 256 + 1 and 0.4 < wide / tall < 0.6 for wide, tall in sizes)


def test_progress_counts_every_picture(tmp_path: Path) -> None:
    seen: list[int] = []
    made = write_set(tmp_path / "set", **NUMBERS, seed=0, height=64, width=32, progress=seen.append)
    assert sum(seen) == len(made.train) + len(made.query) + len(made.gallery)


@pytest.mark.parametrize(("train", "test"), [(2, 0), (0, 2)])
def test_a_set_may_be_for_training_or_testing_alone(tmp_path: Path, train: int, test: int) -> None:
    made = write_set(
        tmp_path / "set",
        train_identities=train,
        test_identities=test,
        cameras=2,
        pictures_per_camera=2,
        seed=0,
        height=64,
        width=32,
    )
    assert bool(made.train) == bool(train)
    assert bool(made.query) == bool(made.gallery) == bool(test)


def test_a_stopped_writing_leaves_nothing(tmp_path: Path) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_set(tmp_path / "set", **NUMBERS, seed=0, height=64, width=32, progress=stop)
    with pytest.raises(KeyboardInterrupt):
        write_frames(tmp_path / "seq", frames=2, people=1, size=(160, 120), seed=0, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_person_is_nearer_to_themselves_on_another_camera_than_to_others() -> None:
    """In the mean, by the clothes' colour alone; a fair share of single comparisons goes wrong."""
    people = sample_people(24, np.random.default_rng(0))
    cameras = sample_cameras(2, (640, 360), np.random.default_rng(1))

    def look(person: int, camera: int) -> np.ndarray[Any, Any]:
        shots = [
            np.asarray(
                draw_crop(people[person], cameras[camera], np.random.default_rng([person, k]), (64, 128))
            )
            for k in range(4)
        ]
        # The middle column holds the trunk (above) and the legs (below), and little of the place.
        middle = np.mean(shots, axis=0)[:, 24:40]
        return np.concatenate([middle[32:64].mean((0, 1)), middle[72:104].mean((0, 1))])

    looks = np.array([[look(person, camera) for camera in (0, 1)] for person in range(len(people))])
    # A camera's cast is the same for everyone, so the mean over its people takes it away.
    looks -= looks.mean(0)
    distances = np.linalg.norm(looks[:, None, 0] - looks[None, :, 1], axis=-1)
    same = np.diag(distances)
    others = distances[~np.eye(len(people), dtype=bool)]
    assert same.mean() < 0.6 * others.mean()
    # Hard on purpose: were colour enough, nobody would be mistaken for a neighbour.
    assert (distances.argmin(1) != np.arange(len(people))).any()


def test_sample_crops_gives_distinct_people_in_the_size_asked_for() -> None:
    crops = sample_crops(5, height=80, width=48, seed=3)
    assert crops.shape == (5, 80, 48, 3)
    assert crops.dtype == np.uint8
    assert np.array_equal(crops, sample_crops(5, height=80, width=48, seed=3))
    flat = crops.reshape(5, -1).astype(float)
    assert all(np.abs(flat[a] - flat[b]).mean() > 5 for a in range(5) for b in range(a))


@pytest.mark.parametrize("size", [(256, 128), (160, 64), (64, 64), (40, 80)])
def test_crops_of_any_shape_show_something(size: tuple[int, int]) -> None:
    crops = sample_crops(40, *size, seed=0)
    assert crops.shape == (40, *size, 3)
    assert crops.reshape(40, -1).std(1).min() > 8


YAWS = [0.0, 0.8, 1.57, 2.4, 3.14, 4.7]


@pytest.mark.parametrize("yaw", YAWS)
def test_the_box_holds_all_of_the_figure_and_little_else(yaw: float) -> None:
    empty = (255, 0, 255)
    for k, person in enumerate(sample_people(12, np.random.default_rng(2))):
        gait = Gait(phase=0.5 * k, reach=0.9)
        placement = Placement(x=300, y=560, scale=240, yaw=yaw, pitch=0.2, light=1)
        canvas = Image.new("RGB", (600, 640), empty)
        draw_figure(canvas, person, gait, placement)
        exact = ImageChops.difference(canvas, Image.new("RGB", canvas.size, empty)).getbbox()
        assert exact is not None
        # Two centimetres at this scale, and a pixel of the small drawing for the rounding.
        assert np.abs(np.array(figure_box(person, gait, placement)) - exact).max() < 0.03 * 240, person


def test_frames_hold_their_boxes_and_the_boxes_their_people() -> None:
    empty, none, _ = draw_frame(people=0, size=(480, 270), seed=4)
    frame, boxes, ids = draw_frame(people=5, size=(480, 270), seed=4)
    assert none.shape == (0, 4)
    assert frame.shape == (270, 480, 3)
    assert frame.dtype == np.uint8
    assert boxes.shape == (5, 4)
    assert boxes.dtype == np.float32
    assert ids.tolist() == [1, 2, 3, 4, 5]
    assert (boxes >= 0).all()
    assert (boxes <= [480, 270, 480, 270]).all()
    assert (boxes[:, 2:] - boxes[:, :2] > 20).all()
    # The camera is the same with and without people, so they make the difference between the two frames.
    changed = np.abs(frame.astype(int) - empty).max(2) > 40
    outside = changed.copy()
    for left, top, right, bottom in boxes:
        inside = np.s_[int(top) : int(bottom) + 1, int(left) : int(right) + 1]
        assert changed[inside].mean() > 0.15
        outside[inside] = False
    # Shadows fall beside the boxes.
    assert outside.sum() < 0.1 * changed.sum()


def test_people_walk_on_from_frame_to_frame() -> None:
    _, first, _ = draw_frame(people=4, size=(320, 180), seed=1, moment=0)
    _, next_, _ = draw_frame(people=4, size=(320, 180), seed=1, moment=1)
    _, later, _ = draw_frame(people=4, size=(320, 180), seed=1, moment=15)
    centre = [boxes.reshape(-1, 2, 2).mean(1) for boxes in (first, next_, later)]
    assert np.linalg.norm(centre[1] - centre[0], axis=1).max() < 8
    assert np.linalg.norm(centre[2] - centre[0], axis=1).mean() > 8


def test_nobody_walks_out_of_the_picture() -> None:
    for moment in (0, 50, 400, 5000):
        _, boxes, _ = draw_frame(people=6, size=(320, 180), seed=2, moment=moment)
        assert (boxes[:, 2:] - boxes[:, :2]).min() > 8


def test_a_sequence_is_in_the_mot17_layout(tmp_path: Path) -> None:
    seen: list[int] = []
    folder = write_frames(
        tmp_path / "SEQ-01", frames=3, people=4, size=(320, 180), seed=7, progress=seen.append
    )
    assert sum(seen) == 3
    assert sorted(path.name for path in (folder / "img1").iterdir()) == [
        "000001.jpg",
        "000002.jpg",
        "000003.jpg",
    ]
    rows = [line.split(",") for line in (folder / "gt" / "gt.txt").read_text().splitlines()]
    assert [(int(row[0]), int(row[1])) for row in rows] == [(f, i) for f in (1, 2, 3) for i in (1, 2, 3, 4)]
    assert all(row[6:] == ["1", "1", "1.0"] for row in rows)
    for moment in range(3):
        _, boxes, _ = draw_frame(people=4, size=(320, 180), seed=7, moment=moment)
        written = np.array([row[2:6] for row in rows[4 * moment : 4 * moment + 4]], float)
        written[:, 2:] += written[:, :2]
        assert np.abs(written - boxes).max() < 1
    info = (folder / "seqinfo.ini").read_text()
    assert "name=SEQ-01\n" in info
    assert "seqLength=3\nimWidth=320\nimHeight=180\n" in info
    with Image.open(folder / "img1" / "000002.jpg") as image:
        assert image.size == (320, 180)
    again = write_frames(tmp_path / "SEQ-02", frames=3, people=4, size=(320, 180), seed=7)
    assert contents(folder / "img1") == contents(again / "img1")


@pytest.mark.parametrize("kind", KINDS)
def test_every_place_is_painted_to_its_edges(kind: str) -> None:
    place = build_place(kind, (320, 180), np.random.default_rng(0))
    pixels = np.asarray(place.image)
    assert pixels.shape == (360, 640, 3)
    # Bare canvas is pure black; no place has more than a speck of that.
    assert (pixels.max(2) == 0).mean() < 0.001


@pytest.mark.parametrize("kind", PROPS)
def test_every_prop_hides_something(kind: str) -> None:
    canvas = Image.new("RGB", (100, 200), "white")
    draw_prop(canvas, kind, 50, 190, 80, 0.99)
    assert (np.asarray(canvas).min(2) < 200).sum() > 500


def bad(call: Callable[..., Any], words: str, **changed: Any) -> Any:
    return pytest.param(call, changed, words, id=f"{call.__name__} {changed}")


@pytest.mark.parametrize(
    ("call", "changed", "words"),
    [
        bad(write_set, "cameras to be a whole number of at least 2, got 1", cameras=1),
        bad(write_set, "pictures_per_camera .* at least 2, got 1", pictures_per_camera=1),
        bad(write_set, "train_identities .* got -1", train_identities=-1),
        bad(write_set, "test_identities .* got 1.5", test_identities=1.5),
        bad(write_set, "seed .* got -1", seed=-1),
        bad(write_set, "a style of plain, dusk, .* got 'noir'", style="noir"),
        bad(write_set, "1 to 5000 people", train_identities=5000),
        bad(write_set, "height .* at least 32", height=8),
        bad(write_set, "expected 1 to 5000 people", train_identities=0, test_identities=0),
        bad(sample_crops, "count .* at least 1, got 0", count=0),
        bad(sample_crops, "count .* got True", count=True),
        bad(sample_crops, "width .* at least 16", width=4),
        bad(sample_crops, "twice as wide as high", height=40, width=81),
        bad(draw_frame, "people .* at least 0, got -1", people=-1),
        bad(draw_frame, "at most 200 people", people=201),
        bad(draw_frame, "width .* at least 160", size=(100, 100)),
        bad(draw_frame, r"\(width, height\)", size=(640, 360, 3)),
        bad(draw_frame, "moment", moment=-1),
        bad(write_frames, "frames .* at least 1, got 0", frames=0),
    ],
)
def test_bad_arguments_are_refused_in_words(
    tmp_path: Path, call: Callable[..., Any], changed: dict[str, Any], words: str
) -> None:
    usual: dict[str, dict[str, Any]] = {
        "write_set": {"folder": tmp_path / "out", **NUMBERS, "seed": 0},
        "write_frames": {"folder": tmp_path / "out", "frames": 1, "people": 1, "seed": 0},
        "sample_crops": {"count": 1},
        "draw_frame": {},
    }
    with pytest.raises(InputError, match=words):
        call(**{**usual[call.__name__], **changed})
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").touch()
    with pytest.raises(InputError, match="already there"):
        write_set(tmp_path, **NUMBERS, seed=0)
    with pytest.raises(InputError, match="already there"):
        write_frames(tmp_path, frames=1, people=1, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]
