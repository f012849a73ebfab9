"""The runtime wrapper: crops and boxes in, embeddings out, whatever the engine's batches."""

from __future__ import annotations

import dataclasses
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from osnet_edge.runtime import Embedder
from osnet_edge.runtime.boxes import clip_boxes
from osnet_edge.runtime.errors import CheckError, InputError
from osnet_edge.runtime.package.manifest import BatchRange
from osnet_edge.runtime.preprocessing import Interpolation, Preprocessing, resize, to_batch
from osnet_edge.train.synthetic import draw_frame, sample_crops


@pytest.fixture(scope="module", params=["package", "openvino_package"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    """Everything here holds for each backend that runs on a CPU."""
    return Embedder.load(request.getfixturevalue(request.param), threads=1)


def with_batch(embedder: Embedder, smallest: int, largest: int) -> Embedder:
    """The same engine, held to other batch sizes, and a record of those that it was given."""
    sizes: list[int] = []

    class Recorder:
        def infer(self, batch: np.ndarray) -> np.ndarray:
            sizes.append(len(batch))
            return embedder.engine.infer(batch)

    limits = BatchRange(smallest, largest, largest)
    manifest = dataclasses.replace(embedder.manifest, batch=limits)
    limited = dataclasses.replace(embedder, manifest=manifest, engine=Recorder())
    object.__setattr__(limited, "sizes", sizes)
    return limited


def test_rows_have_length_one_unless_told_otherwise(embedder: Embedder) -> None:
    crops = sample_crops(3)
    unit, plain = embedder(crops), embedder(crops, l2_normalize=False)
    assert unit.shape == (3, 512)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(plain / np.linalg.norm(plain, axis=1, keepdims=True), unit, rtol=1e-4)


def test_a_list_and_one_batch_of_the_same_crops_agree(embedder: Embedder) -> None:
    crops = sample_crops(3)
    np.testing.assert_array_equal(embedder(crops), embedder(list(crops)))


def test_bgr_crops_give_what_their_rgb_gives(embedder: Embedder) -> None:
    crops = sample_crops(2, 90, 40)
    np.testing.assert_array_equal(embedder(crops[..., ::-1], bgr=True), embedder(crops))
    assert np.abs(embedder(crops[..., ::-1]) - embedder(crops)).max() > 1e-4


@pytest.mark.parametrize("none", [[], np.empty((0, 256, 128, 3), np.uint8)])
def test_no_crops_give_no_rows(embedder: Embedder, none: object) -> None:
    assert embedder(none).shape == (0, 512)


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        (np.empty((0, 256, 128, 3), np.uint8), r"\(N, 256, 128, 3\), got uint8 \(0, 256, 128, 3\)"),
        (np.zeros((1, 256, 128, 3), np.float32), "expected a batch of uint8"),
        (np.uint8(3), r"got uint8 \(\)"),
    ],
)
def test_a_batch_that_the_engine_does_not_take_is_refused(
    embedder: Embedder, batch: np.ndarray, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        embedder.infer(batch)


@pytest.mark.parametrize(
    ("count", "smallest", "largest", "sizes"),
    [
        (1, 1, 4, [1]),  # fewer than the largest batch are not padded to it
        (3, 1, 4, [3]),
        (4, 1, 4, [4]),
        (9, 1, 4, [4, 4, 1]),  # more are split
        (1, 2, 4, [2]),  # padded only where the engine takes no less
        (5, 2, 4, [4, 2]),
    ],
)
def test_batches_are_split_and_padded_no_more_than_needed(
    embedder: Embedder, count: int, smallest: int, largest: int, sizes: list[int]
) -> None:
    crops = sample_crops(count)
    limited = with_batch(embedder, smallest, largest)
    np.testing.assert_allclose(limited(crops), embedder(crops), atol=1e-6)
    assert limited.sizes == sizes  # type: ignore[attr-defined]


def test_several_threads_may_call_one_embedder(embedder: Embedder) -> None:
    crops = sample_crops(8)
    expected, got = embedder(crops), np.zeros((8, 512), np.float32)

    def work(index: int) -> None:
        for _ in range(3):
            got[index] = embedder(crops[index : index + 1])[0]

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_boxes_give_what_their_crops_give(embedder: Embedder) -> None:
    frame, boxes, _ = draw_frame(people=4, seed=3)
    rows, valid = embedder.embed_boxes(frame, boxes)
    whole, _ = clip_boxes(boxes, *frame.shape[:2])
    assert valid.all()
    np.testing.assert_array_equal(rows, embedder([frame[y1:y2, x1:x2] for x1, y1, x2, y2 in whole]))


def test_boxes_without_a_pixel_are_masked_and_never_silent(embedder: Embedder) -> None:
    frame = sample_crops(1, 100, 100)[0]
    boxes = [[10, 10, 40, 90], [-50, 0, -10, 50], [60, 10, 60, 90], [-5, -5, 200, 200], [70, 90, 60, 10]]
    rows, valid = embedder.embed_boxes(frame, boxes)
    assert valid.tolist() == [True, False, False, True, False]
    assert np.isnan(rows[~valid]).all()
    np.testing.assert_allclose(np.linalg.norm(rows[valid], axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("boxes", [[], np.empty((0, 4))])
def test_a_frame_without_boxes_gives_no_rows(embedder: Embedder, boxes: object) -> None:
    rows, valid = embedder.embed_boxes(np.zeros((9, 9, 3), np.uint8), boxes)
    assert (rows.shape, valid.shape) == ((0, 512), (0,))


@pytest.mark.parametrize(
    ("crops", "message"),
    [
        (np.zeros((4, 4, 3), np.uint8), "pass [crop]"),
        (np.zeros((1, 4, 4), np.uint8), "pass [crop]"),
        ([np.zeros((4, 4, 3))], "crop 0: expected H x W x 3 of uint8, got (4, 4, 3) of float64"),
        ([np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8)], "crop 1: expected H x W x 3"),
        ([np.zeros((0, 4, 3), np.uint8)], "crop 0: holds no pixel"),
        ([np.zeros((4, 4, 4), np.uint8)], "crop 0: expected H x W x 3 of uint8, got (4, 4, 4)"),
        (["a.jpg"], "crop 0: expected an H x W x 3 uint8 array, got str"),
        ("a.jpg", "expected a list of H x W x 3 uint8 arrays, got str"),
        (None, "expected a list of H x W x 3 uint8 arrays, got NoneType"),
    ],
)
def test_what_is_no_crop_is_refused_by_its_place(embedder: Embedder, crops: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        embedder(crops)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("frame", "boxes", "message"),
    [
        (np.zeros((9, 9, 3), np.uint8), [1, 2, 3, 4], "expected boxes of shape (N, 4)"),
        (np.zeros((9, 9, 3), np.uint8), [[1, 2, 3]], "expected boxes of shape (N, 4)"),
        (
            np.zeros((9, 9, 3), np.uint8),
            [[0, 0, 1, 1]],
            "are fractions of a frame; multiply x by 9 and y by 9",
        ),
        (np.zeros((9, 4, 3), np.uint8), [[0.2, 0.1, 0.5, 0.9]], "multiply x by 4 and y by 9"),
        (np.zeros((9, 9, 3), np.uint8), "boxes", "expected boxes as (N, 4) numbers"),
        (np.zeros((9, 9), np.uint8), [[0, 0, 1, 1]], "expected a frame of H x W x 3 uint8"),
        (np.zeros((9, 9, 3)), [[0, 0, 1, 1]], "expected a frame of H x W x 3 uint8"),
        ("frame.jpg", [[0, 0, 1, 1]], "expected a frame as an H x W x 3 uint8 array, got str"),
    ],
)
def test_what_is_no_frame_or_box_is_refused(
    embedder: Embedder, frame: object, boxes: object, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        embedder.embed_boxes(frame, boxes)
    assert message in str(caught.value)


@pytest.mark.parametrize("spoilt", [np.nan, np.inf, -np.inf])
def test_a_box_without_a_size_costs_its_own_row_only(embedder: Embedder, spoilt: float) -> None:
    frame = np.random.default_rng(0).integers(0, 255, (60, 40, 3), np.uint8)
    good = [[2, 3, 30, 50], [5, 5, 20, 40]]
    embeddings, valid = embedder.embed_boxes(frame, [good[0], [0, 0, spoilt, 9], good[1], [0, 0, 0, 0]])
    assert valid.tolist() == [True, False, True, False]
    assert np.isnan(embeddings[~valid]).all()
    assert np.array_equal(embeddings[valid], embedder.embed_boxes(frame, good)[0])


def test_boxes_may_be_padded_with_zeros(embedder: Embedder) -> None:
    assert not embedder.embed_boxes(np.zeros((9, 9, 3), np.uint8), np.zeros((3, 4)))[1].any()


@given(
    boxes=hnp.arrays(np.float64, st.tuples(st.integers(0, 6), st.just(4)), elements=st.floats(-1e9, 1e9)),
    height=st.integers(1, 50),
    width=st.integers(1, 50),
)
def test_clipped_boxes_lie_in_the_frame_and_the_mask_says_which_hold_pixels(
    boxes: np.ndarray, height: int, width: int
) -> None:
    # All of them fractions: refused, see above.
    assume(not (boxes.any() and boxes.min() >= 0 and boxes.max() <= 1))
    clipped, valid = clip_boxes(boxes, height, width)
    assert clipped.shape == boxes.shape
    assert (clipped >= 0).all()
    assert (clipped <= [width, height, width, height]).all()
    frame = np.zeros((height, width))
    for (x1, y1, x2, y2), holds in zip(clipped, valid, strict=True):
        assert holds == (frame[y1:y2, x1:x2].size > 0)


@given(height=st.integers(1, 80), width=st.integers(1, 80), value=st.integers(0, 255))
def test_resizing_gives_the_size_and_keeps_a_flat_picture_flat(height: int, width: int, value: int) -> None:
    crop = np.full((height, width, 3), value, np.uint8)
    out = resize(crop, 64, 32, "pillow-bilinear")
    assert out.shape == (64, 32, 3)
    assert (out == value).all()


@pytest.mark.parametrize("interpolation", ["pillow-bilinear", "opencv-bilinear"])
@given(
    sides=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 60)), min_size=1, max_size=4),
    bgr=st.booleans(),
)
def test_threads_and_colour_order_change_no_pixel(
    interpolation: Interpolation, sides: list[tuple[int, int]], bgr: bool
) -> None:
    """Against the long way: copy the crop, turn its colours round, and let Pillow or OpenCV resize it."""
    if interpolation == "opencv-bilinear":
        cv2 = pytest.importorskip("cv2")
    frame = np.random.default_rng(len(sides)).integers(0, 256, (90, 60, 3), np.uint8)
    # Parts of a frame, which do not lie in one piece; one of them needs no resizing.
    crops = [frame[:height, :width] for height, width in [*sides, (64, 32)]]
    preprocessing = Preprocessing(64, 32, interpolation=interpolation)
    with ThreadPoolExecutor(2) as helpers:
        batches = [
            to_batch(crops, preprocessing, bgr=bgr),
            to_batch(crops, preprocessing, bgr=bgr, helpers=helpers),
        ]
    for row, crop in zip(batches[0], crops, strict=True):
        rgb = np.ascontiguousarray(crop[..., ::-1] if bgr else crop)
        if interpolation == "pillow-bilinear":
            expected = np.asarray(Image.fromarray(rgb).resize((32, 64), Image.Resampling.BILINEAR))
        else:
            expected = cv2.resize(rgb, (32, 64), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_array_equal(row, expected)
    np.testing.assert_array_equal(*batches)


def test_the_host_normalises_as_the_formula_says() -> None:
    preprocessing = Preprocessing(32, 32, normalize_in="host")
    crop = np.full((32, 32, 3), (0, 128, 255), np.uint8)
    batch = to_batch([crop], preprocessing)
    expected = (np.array([0, 128, 255]) / 255 - preprocessing.mean) / preprocessing.std
    assert batch.shape == (1, 3, 32, 32)
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch[0, :, 5, 5], expected, rtol=1e-5)


def test_golden_pairs_prove_an_engine_and_catch_a_ruined_one(embedder: Embedder) -> None:
    assert embedder.prove() < 1e-6

    class Ruined:
        """Computes as the engine does, but for one output in eight."""

        def infer(self, batch: np.ndarray) -> np.ndarray:
            rows = embedder.engine.infer(batch).copy()
            rows[:, ::8] = 0
            return rows

    class Silent:
        def infer(self, batch: np.ndarray) -> np.ndarray:
            return np.full((len(batch), 512), np.nan, np.float32)

    for engine in (Ruined(), Silent()):
        with pytest.raises(CheckError, match="do not use this engine; build it again"):
            dataclasses.replace(embedder, engine=engine).prove()


def test_a_package_may_go_while_it_is_loaded(package: Path, tmp_path: Path) -> None:
    shutil.copytree(package, tmp_path / "osnet")
    embedder, crops = Embedder.load(tmp_path / "osnet", threads=1), sample_crops(2)
    before = embedder(crops)
    shutil.rmtree(tmp_path / "osnet")
    np.testing.assert_array_equal(embedder(crops), before)
    with pytest.raises(InputError, match="expected golden pairs"):
        embedder.prove()
