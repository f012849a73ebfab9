"""The single-gallery-shot protocol: its closed form against every gallery that can be drawn."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osnet_edge.bench import cumulative_matches, match_ranks, score_retrieval
from osnet_edge.bench.metrics.ranking import Labels
from osnet_edge.bench.metrics.scores import single_shot_matches


@st.composite
def small_tests(draw: st.DrawFn) -> tuple[np.ndarray, Labels]:
    """Few images, so that every gallery can be drawn, and few values, so that ties are common."""
    queries, gallery = draw(st.integers(1, 3)), draw(st.integers(2, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ids, others = rng.integers(0, 3, queries), rng.integers(0, 4, gallery)
    cameras, other_cameras = rng.integers(0, 2, queries), rng.integers(0, 2, gallery)
    others[0], other_cameras[0] = ids[0], 2
    distances = rng.integers(0, 5, (queries, gallery)).astype(np.float32)
    return distances, Labels(ids, others, cameras, other_cameras)


def every_gallery(distances: np.ndarray, labels: Labels) -> list[list[float]]:
    """Rank by every gallery of one image a person, for each query that has a match, and average."""
    curves = []
    for row, identity, camera in zip(distances, labels.query_ids, labels.query_cameras, strict=True):
        kept = ~((labels.gallery_ids == identity) & (labels.gallery_cameras == camera))
        people = [np.flatnonzero(kept & (labels.gallery_ids == p)) for p in np.unique(labels.gallery_ids)]
        if not (labels.gallery_ids[kept] == identity).any():
            continue
        drawn = []
        for gallery in itertools.product(*(places for places in people if len(places))):
            order = sorted(gallery, key=lambda place: (row[place], place))
            found = [labels.gallery_ids[place] for place in order].index(identity)
            drawn.append([float(found < k) for k in range(1, len(people) + 1)])
        curves.append(np.mean(drawn, axis=0).tolist())
    return curves


@given(small_tests())
def test_equals_the_mean_over_every_gallery(test: tuple[np.ndarray, Labels]) -> None:
    expected = every_gallery(*test)
    assert np.ravel(single_shot_matches(*test)).tolist() == pytest.approx(np.ravel(expected).tolist())


def test_equals_the_usual_curve_where_each_person_has_one_picture() -> None:
    rng = np.random.default_rng(0)
    distances = rng.random((20, 20)).astype(np.float32)
    people, here, there = np.arange(20), np.zeros(20, int), np.ones(20, int)
    curve = single_shot_matches(distances, Labels(people, people, here, there)).mean(axis=0)
    usual = cumulative_matches(match_ranks(distances, people, people, here, there))
    np.testing.assert_allclose(curve, usual, atol=1e-12)


def test_more_pictures_of_others_do_not_make_it_harder() -> None:
    # Ten copies of each stranger are one stranger to this protocol, and ten to the other.
    arguments: dict[str, Any] = {
        "query_features": [[1.0, 0.0]],
        "gallery_features": [[0.8, 0.6], *[[0.9, 0.1]] * 10],
        "query_ids": [1],
        "gallery_ids": [1, *[2] * 10],
        "query_cameras": [0],
        "gallery_cameras": [1] * 11,
    }
    usual, single = (
        score_retrieval(**arguments, protocol=protocol) for protocol in ("market1501", "single-gallery-shot")
    )
    assert (usual.rank1, usual.rank5, usual.rank10, usual.rank20) == (0, 0, 0, 1)
    assert (single.rank1, single.rank5) == (0, 1)
    # mAP and mINP are of the whole gallery in both.
    assert (single.mean_ap, single.mean_inp) == (usual.mean_ap, usual.mean_inp) == (1 / 11, 1 / 11)
