"""Accuracy on images: each person is a colour, and the stand-in engine sees mean colours."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osnet_edge.bench import RetrievalScores, embed_set
from osnet_edge.runtime.embed_files import embed_files
from osnet_edge.runtime.errors import InputError

COLOURS = {1: (200, 20, 20), 2: (20, 200, 20), 3: (20, 20, 200)}


@dataclass(frozen=True)
class Picture:
    path: Path
    identity: int
    camera: int


def mean_colour(crops: list[np.ndarray]) -> np.ndarray:
    assert all(crop.dtype == np.uint8 and crop.shape[2] == 3 for crop in crops)
    return np.stack([crop.mean(axis=(0, 1)) for crop in crops]).astype(np.float32)


@dataclass(frozen=True)
class Split:
    query: Sequence[Picture]
    gallery: Sequence[Picture]


def evaluate(
    embed: Callable[[list[np.ndarray]], np.ndarray],
    query: Sequence[Picture],
    gallery: Sequence[Picture],
    **options: object,
) -> RetrievalScores:
    """Score images as `osnet-edge eval`, `bench` and `demo` do."""
    return embed_set(partial(embed_files, embed, **options), [Split(query, gallery)]).scores()


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Picture]:
    def make(identity: int, camera: int, mode: str = "RGB") -> Picture:
        path = tmp_path / f"{identity}_{camera}_{mode}.png"
        # Sizes differ from image to image, as crops of a detector do.
        Image.new("RGB", (8 + camera, 16 + identity), COLOURS[identity]).convert(mode).save(path)
        return Picture(path, identity, camera)

    return make


@pytest.mark.parametrize("batch", [1, 2, 32])
def test_people_are_found_whatever_the_batch(picture: Callable[..., Picture], batch: int) -> None:
    query = [picture(identity, 0) for identity in COLOURS]
    # Palette and alpha images are RGB to the engine.
    gallery = [picture(1, 1, "P"), picture(2, 1, "RGBA"), picture(3, 1)]
    counts: list[int] = []
    scores = evaluate(mean_colour, query, gallery, batch=batch, progress=counts.append)
    assert (scores.rank1, scores.mean_ap, scores.queries, scores.gallery) == (1, 1, 3, 3)
    assert sum(counts) == 6
    assert max(counts) <= batch


def test_channels_arrive_as_rgb(picture: Callable[..., Picture]) -> None:
    seen: list[list[int]] = []

    def embed(crops: list[np.ndarray]) -> np.ndarray:
        seen.extend(crop[0, 0].tolist() for crop in crops)
        return mean_colour(crops)

    evaluate(embed, [picture(1, 0)], [picture(1, 1)])
    assert seen == [list(COLOURS[1])] * 2


def test_an_engine_may_reuse_its_output_buffer(picture: Callable[..., Picture]) -> None:
    buffer = np.empty((1, 3), np.float32)

    def embed(crops: list[np.ndarray]) -> np.ndarray:
        buffer[:] = mean_colour(crops)
        return buffer

    people = list(COLOURS)
    query, gallery = ([picture(identity, camera) for identity in people] for camera in (0, 1))
    assert evaluate(embed, query, gallery, batch=1).rank1 == 1


@pytest.mark.parametrize("damage", ["missing", "text", "cut"])
def test_an_unreadable_picture_is_named(picture: Callable[..., Picture], damage: str) -> None:
    query, gallery = [picture(1, 0)], [picture(2, 1), picture(1, 1)]
    bad = gallery[1].path
    content = bad.read_bytes()
    if damage == "missing":
        os.remove(bad)
    else:
        bad.write_bytes(b"not a image" if damage == "text" else content[: len(content) - 30])
    with pytest.raises(InputError, match=bad.name):
        evaluate(mean_colour, query, gallery)


@pytest.mark.parametrize(
    ("embed", "message"),
    [
        # An engine that drops a row.
        (lambda crops: mean_colour(crops)[:-1], r"1 rows, one per image.*\(0, 3\)"),
        # An engine that flattens.
        (lambda crops: mean_colour(crops).ravel(), r"\(3,\)"),
    ],
)
def test_a_wrong_engine_is_refused(
    picture: Callable[..., Picture], embed: Callable[[list[np.ndarray]], np.ndarray], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(embed, [picture(1, 0)], [picture(1, 1)], batch=1)


def test_empty_sides_and_batches_are_refused(picture: Callable[..., Picture]) -> None:
    with pytest.raises(InputError, match="got 0 and 1"):
        evaluate(mean_colour, [], [picture(1, 1)])
    with pytest.raises(InputError, match="1 image or more"):
        evaluate(mean_colour, [picture(1, 0)], [picture(1, 1)], batch=0)
