"""Each tracker's hook, called with what the tracker calls it with: the rows are those of `embed_boxes`.

`scripts/tracker_check.py` runs the trackers themselves, in an environment of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from fleet import two_slots

from osnet_edge.runtime import Embedder, FollowingEmbedder, InputError
from osnet_edge.runtime.embedder import BoxEmbeddings
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.trackers import (
    BoxmotEncoder,
    PlainEncoder,
    RoboflowEncoder,
    UltralyticsEncoder,
    add_embeddings,
    cosine_distance,
    with_embeds,
)
from osnet_edge.train.data.boxed_frames import read_boxed_frames
from osnet_edge.train.synthetic import draw_frame

Rows = list[np.ndarray | None]


class Scene(NamedTuple):
    """A frame in both orders of colours, and its boxes as corners in float32."""

    rgb: np.ndarray
    bgr: np.ndarray
    boxes: np.ndarray


def drawn(moment: int = 0) -> Scene:
    frame, boxes, _ = draw_frame(people=4, size=(320, 240), seed=1, moment=moment)
    return Scene(frame, np.ascontiguousarray(frame[..., ::-1]), boxes)


Hook = Callable[[Any, Scene], Rows]


class Detections:
    """What `sv.Detections` has."""

    def __init__(self, xyxy: np.ndarray) -> None:
        self.xyxy, self.mask, self.tracker_id = xyxy, None, None
        self.confidence = np.full(len(xyxy), 0.9, np.float32)
        self.class_id = np.zeros(len(xyxy), int)

    def __len__(self) -> int:
        return len(self.xyxy)


def boxmot_frame(scene: Scene) -> tuple[Any, Any]:
    """What BoxMOT's Frame and Detections have, by its own turn of colours."""
    import torch

    image = torch.from_numpy(np.ascontiguousarray(scene.bgr.transpose(2, 0, 1)[::-1]))
    geometry = SimpleNamespace(values=torch.from_numpy(scene.boxes.astype(np.float32)))
    return SimpleNamespace(image=image, sample_id="a"), SimpleNamespace(geometry=geometry, sample_id="a")


def by_get_features(embedder: Any, scene: Scene) -> Rows:
    return list(BoxmotEncoder(embedder).get_features(scene.boxes, scene.bgr))


def by_encode(embedder: Any, scene: Scene) -> Rows:
    frame, found = boxmot_frame(scene)
    tensors = BoxmotEncoder(embedder).encode((frame,), (found,))
    assert isinstance(tensors, list)
    (tensor,) = tensors
    assert str(tensor.dtype) == "torch.float32"
    assert tensor.device.type == "cpu"
    assert tensor.is_contiguous()
    return list(tensor.numpy())


def by_extract_features(embedder: Any, scene: Scene) -> Rows:
    return list(RoboflowEncoder(embedder).extract_features(Detections(scene.boxes), scene.bgr))


def by_ultralytics(embedder: Any, scene: Scene) -> Rows:
    # Centre and size in float32, with the number of the box as a fifth column.
    x1, y1, x2, y2 = scene.boxes.T
    centred = np.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], axis=1)
    dets = np.concatenate([centred, np.arange(len(centred)).reshape(-1, 1)], axis=-1)
    return UltralyticsEncoder(embedder)(scene.bgr, dets)


def by_embeds(embedder: Any, scene: Scene) -> Rows:
    raw = [([x1, y1, x2 - x1, y2 - y1], 0.9, "person") for x1, y1, x2, y2 in scene.boxes.tolist()]
    kept, embeds = with_embeds(embedder, scene.bgr, raw)
    assert len(kept) == len(embeds)
    rows = iter(embeds)
    return [next(rows) if any(each is one for one in kept) else None for each in raw]


def by_norfair(embedder: Any, scene: Scene) -> Rows:
    detections = [SimpleNamespace(points=box.reshape(2, 2), embedding=None) for box in scene.boxes]
    add_embeddings(embedder, scene.bgr, detections)
    return [each.embedding for each in detections]


def by_callable(embedder: Any, scene: Scene) -> Rows:
    return list(PlainEncoder(embedder, bgr=True)(scene.bgr, scene.boxes))


#: What becomes of a box without a pixel.
RAISES, ZEROS, NONE = "raises", "zeros", "none"
HOOKS: dict[Hook, str] = {
    by_get_features: RAISES,
    by_encode: RAISES,
    by_extract_features: ZEROS,
    by_ultralytics: NONE,
    by_embeds: NONE,
    by_norfair: NONE,
    by_callable: ZEROS,
}


@pytest.fixture(scope="module")
def embedder(package: Path) -> Embedder:
    return Embedder.load(package, threads=1)


def hold_to_embed_boxes(hook: Hook, embedder: Any, scene: Scene) -> None:
    """By frames in the order of colours that the embedder takes by itself."""
    rows, valid = embedder.embed_boxes(scene.rgb, scene.boxes)
    assert valid.all()
    given = np.array(hook(embedder, scene))
    assert given.dtype == np.float32
    np.testing.assert_array_equal(given, rows)


@pytest.mark.parametrize("hook", HOOKS)
def test_rows_are_those_of_embed_boxes_to_the_bit(hook: Hook, embedder: Embedder) -> None:
    for moment in (0, 25):
        hold_to_embed_boxes(hook, embedder, drawn(moment))


@pytest.fixture(scope="module")
def photographed(shared: Path) -> list[Scene]:
    """The first frame of each sequence of MOT17, with boxes of which some reach over its edge."""
    folder = shared / "data" / "mot17-mini"
    if not folder.is_dir():
        pytest.skip("needs the set mot17-mini in shared/data")
    scenes = []
    for sequence in sorted(folder.iterdir()):
        people = read_boxed_frames([sequence])
        frame = read_picture(people[0].path)
        boxes = np.array([each.box for each in people if each.path == people[0].path], np.float32)[:8]
        boxes[0, 0], boxes[1, 3] = -20, len(frame) + 15
        scenes.append(Scene(frame, np.ascontiguousarray(frame[..., ::-1]), boxes))
    return scenes


@pytest.mark.parametrize("hook", HOOKS)
def test_rows_of_mot17_are_those_of_embed_boxes_to_the_bit(
    hook: Hook, embedder: Embedder, photographed: list[Scene]
) -> None:
    assert len(photographed) == 4
    for scene in photographed:
        hold_to_embed_boxes(hook, embedder, scene)


def test_an_embedder_that_follows_a_link_serves_as_well(tmp_path: Path) -> None:
    with FollowingEmbedder(two_slots(tmp_path).link) as following:
        for hook in HOOKS:
            hold_to_embed_boxes(hook, following, drawn())


@pytest.mark.parametrize("hook", HOOKS)
def test_a_frame_without_boxes_has_no_rows(hook: Hook, embedder: Embedder) -> None:
    assert hook(embedder, drawn()._replace(boxes=np.empty((0, 4), np.float32))) == []


def test_no_rows_still_have_their_length(embedder: Embedder) -> None:
    scene = drawn()._replace(boxes=np.empty((0, 4), np.float32))
    frame, found = boxmot_frame(scene)
    nobody = [
        BoxmotEncoder(embedder).get_features(scene.boxes, scene.bgr),
        *(tensor.numpy() for tensor in BoxmotEncoder(embedder).encode([frame, frame], [found, found])),
        RoboflowEncoder(embedder).extract_features(Detections(scene.boxes), scene.bgr),
        with_embeds(embedder, scene.bgr, []).embeds,
        PlainEncoder(embedder, bgr=True)(scene.bgr, []),
    ]
    assert {rows.shape for rows in nobody} == {(0, 512)}
    assert {rows.dtype for rows in nobody} == {np.dtype(np.float32)}
    assert BoxmotEncoder(embedder).embedding_dim == 512


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize(
    "box",
    [
        pytest.param([9000, 10, 9050, 90], id="right of the frame"),
        pytest.param([30, 30, 30, 90], id="without a width"),
        pytest.param([math.nan, 10, 40, 90], id="not a number"),
    ],
)
def test_a_box_without_a_pixel_goes_by_the_rule_of_its_tracker(
    hook: Hook, box: list[float], embedder: Embedder
) -> None:
    scene = drawn()
    rows, _ = embedder.embed_boxes(scene.rgb, scene.boxes)
    stray = scene._replace(boxes=np.insert(scene.boxes, 1, box, axis=0))
    if HOOKS[hook] == RAISES:
        with pytest.raises(ValueError, match="got none for row 1 of 5: drop it before the update"):
            hook(embedder, stray)
        return
    given = hook(embedder, stray)
    left_out = given.pop(1)
    assert left_out is None if HOOKS[hook] == NONE else not left_out.any()
    np.testing.assert_array_equal(np.array(given), rows)


@pytest.mark.parametrize("value", [0, np.nan, np.inf])
def test_boxmot_gets_no_row_that_it_refuses(value: float) -> None:
    class Broken:
        def embed_boxes(self, frame: object, boxes: np.ndarray, *, bgr: bool = False) -> BoxEmbeddings:
            rows = np.full((len(boxes), 3), value, np.float32)
            return BoxEmbeddings(rows, np.ones(len(boxes), bool))

    with pytest.raises(ValueError, match="got none for row 0, 1, 2, 3 of 4"):
        by_get_features(Broken(), drawn())


def test_only_the_first_four_numbers_of_a_detection_of_ultralytics_are_a_box(embedder: Embedder) -> None:
    # As of an oriented box: with its angle, and the number of the box.
    dets = np.array([[100.0, 120, 50, 120, 0.3, 7]])
    (row,) = UltralyticsEncoder(embedder)(drawn().bgr, dets)
    np.testing.assert_array_equal(row, embedder.embed_boxes(drawn().rgb, [[75, 60, 125, 180]])[0][0])


def test_an_encoder_attaches_itself_to_a_tracker_of_ultralytics(embedder: Embedder) -> None:
    tracker = SimpleNamespace(args=SimpleNamespace(with_reid=False, model="auto"), encoder=None)
    encoder = UltralyticsEncoder(embedder)
    encoder.attach(tracker)
    assert tracker.encoder is encoder
    assert tracker.args.with_reid
    assert tracker.args.model != "auto"


def test_objects_of_norfair_are_as_far_apart_as_their_last_rows() -> None:
    def tracked(row: list[float] | None) -> SimpleNamespace:
        found = None if row is None else np.array(row, np.float32)
        return SimpleNamespace(last_detection=SimpleNamespace(embedding=found))

    east, north, west, unknown = tracked([1, 0]), tracked([0, 1]), tracked([-1, 0]), tracked(None)
    assert cosine_distance(east, east) == 0
    assert cosine_distance(east, north) == 1
    assert cosine_distance(west, east) == 2
    assert cosine_distance(unknown, east) == cosine_distance(east, unknown) == math.inf


def call_encode(embedder: Embedder) -> object:
    frame, found = boxmot_frame(drawn())
    return BoxmotEncoder(embedder).encode([frame], [found, found])


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        pytest.param(
            call_encode,
            "expected detections for each of 1 frames, got them for 2",
            id="frames and detections",
        ),
        pytest.param(
            lambda embedder: BoxmotEncoder(embedder).get_features(np.ones((2, 5)), drawn().bgr),
            r"expected boxes of shape \(N, 4\), x1, y1, x2, y2; got \(2, 5\)",
            id="oriented boxes of BoxMOT",
        ),
        pytest.param(
            lambda embedder: UltralyticsEncoder(embedder)(drawn().bgr, np.ones((2, 3))),
            r"expected detections \(N, 4 or more\), x, y, width, height; got \(2, 3\)",
            id="three numbers for Ultralytics",
        ),
        pytest.param(
            lambda embedder: with_embeds(embedder, drawn().bgr, [([1, 2, 3], 0.9, "person")]),
            r"expected detections as \(\[left, top, width, height\], confidence, class\)",
            id="three numbers for deep_sort_realtime",
        ),
        pytest.param(
            lambda embedder: add_embeddings(
                embedder, drawn().bgr, [SimpleNamespace(points=np.ones((1, 2)), embedding=None)]
            ),
            r"expected points of a box, \[\[x1, y1\], \[x2, y2\]\], got the shape \(1, 2\)",
            id="a point for norfair",
        ),
    ],
)
def test_what_is_no_box_is_refused_in_a_line(
    call: Callable[[Embedder], object], problem: str, embedder: Embedder
) -> None:
    with pytest.raises(InputError, match=problem):
        call(embedder)


@pytest.mark.parametrize("hook", HOOKS)
def test_what_is_no_embedder_is_refused_even_without_a_person(hook: Hook) -> None:
    nobody = drawn()._replace(boxes=np.empty((0, 4), np.float32))
    with pytest.raises(InputError, match=r"got 'osnet-cpu'; load one with Embedder\.load"):
        hook("osnet-cpu", nobody)


@pytest.mark.parametrize(
    "encode",
    [BoxmotEncoder, RoboflowEncoder, UltralyticsEncoder, lambda embedder: PlainEncoder(embedder, bgr=True)],
)
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("osnet-cpu", "got 'osnet-cpu'"),
        (Path("osnet-cpu"), r"got PosixPath\('osnet-cpu'\)"),
        (None, "got None"),
        # The class, where one that is loaded belongs.
        (Embedder, "got <class 'osnet_edge"),
        # `Embedder.embed_boxes` itself, as a consumer of functions would take it.
        (Embedder.embed_boxes, "got <function Embedder.embed_boxes"),
    ],
)
def test_an_encoder_refuses_what_is_no_embedder_before_a_tracker_has_it(
    encode: Callable[[Any], object], given: object, told: str
) -> None:
    with pytest.raises(InputError, match=f"expected an embedder, {told}"):
        encode(given)
