"""Retrieval metrics: the reference figures, small cases worked by hand, and properties of any ranking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osnet_edge.bench import (
    RetrievalScores,
    average_precisions,
    cosine_distances,
    cumulative_matches,
    euclidean_distances,
    feature_ranks,
    inverse_negative_penalties,
    match_ranks,
    mean_average_precision,
    mean_inverse_negative_penalty,
    score_retrieval,
    top_ranked,
)
from osnet_edge.bench.metrics import distances as metric_distances
from osnet_edge.bench.metrics import ranking
from osnet_edge.runtime.errors import InputError

GOLDEN = Path(__file__).parents[2].parent / "shared" / "golden" / "metrics.npz"
LABELS = ("query_ids", "gallery_ids", "query_cameras", "gallery_cameras")


@pytest.mark.skipif(not GOLDEN.exists(), reason="needs ../shared/golden/metrics.npz")
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("case", ["easy", "hard", "two_cameras"])
def test_equals_the_reference(case: str, distance: str) -> None:
    golden = np.load(GOLDEN)
    arrays = [golden[f"{case}/{name}"] for name in ("query_features", "gallery_features", *LABELS)]
    ranks = feature_ranks(*arrays, distance=distance)
    np.testing.assert_allclose(cumulative_matches(ranks), golden[f"{case}/{distance}/cmc"], rtol=0, atol=1e-6)
    assert mean_average_precision(ranks) == pytest.approx(float(golden[f"{case}/{distance}/mAP"]), abs=1e-6)


@pytest.mark.parametrize(
    ("distances", "ids", "cameras", "rank", "precision", "penalty"),
    [
        # The match is the nearest.
        ([0.1, 0.2], [7, 8], [1, 1], [1], 1.0, 1.0),
        # The match is the farthest.
        ([0.2, 0.1], [7, 8], [1, 1], [2], 1 / 2, 1 / 2),
        # Same identity, same camera: dropped, so it neither counts nor pushes the match down.
        ([0.1, 0.3, 0.2], [7, 7, 8], [0, 1, 1], [2], 1 / 2, 1 / 2),
        # Same camera but somebody else: stays.
        ([0.1, 0.2], [8, 7], [0, 1], [2], 1 / 2, 1 / 2),
        # A tie goes to the entry that comes first in the gallery.
        ([0.5, 0.5], [8, 7], [1, 1], [2], 1 / 2, 1 / 2),
        ([0.5, 0.5], [7, 8], [1, 1], [1], 1.0, 1.0),
        # Tied matches take consecutive ranks around a tied stranger.
        ([0.5, 0.5, 0.5], [7, 8, 7], [1, 1, 1], [1, 3], (1 / 1 + 2 / 3) / 2, 2 / 3),
        # A dropped entry tied with the match does not push it down.
        ([0.5, 0.5], [7, 7], [0, 1], [1], 1.0, 1.0),
        # Average precision forgives a last match that is far down; mINP does not.
        ([0.1, 0.2, 0.3, 0.4], [7, 8, 8, 7], [1, 1, 1, 1], [1, 4], (1 / 1 + 2 / 4) / 2, 2 / 4),
    ],
)
# The two ways to find a place, counting and sorting, are one to the caller.
@pytest.mark.parametrize("most_counted", [0, 300])
def test_one_query_worked_by_hand(
    distances: list[float],
    ids: list[int],
    cameras: list[int],
    rank: list[int],
    precision: float,
    penalty: float,
    most_counted: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ranking, "_MOST_COUNTED", most_counted)
    ranks = match_ranks([distances], [7], ids, [0], cameras)
    assert ranks.rank.tolist() == rank
    assert average_precisions(ranks).tolist() == pytest.approx([precision])
    assert inverse_negative_penalties(ranks).tolist() == pytest.approx([penalty])


def test_queries_without_a_match_are_counted_and_left_out() -> None:
    ranks = match_ranks([[0.1, 0.2]] * 3, [7, 9, 8], [7, 8], [0, 0, 1], [1, 1])
    scores = RetrievalScores.from_ranks(ranks)
    assert (scores.queries, scores.skipped, scores.gallery) == (3, 2, 2)
    assert (scores.rank1, scores.mean_ap, scores.mean_inp) == (1.0, 1.0, 1.0)
    assert ranks.answerable.tolist() == [0]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (1, (1, 1, 1, 1)),
        (2, (0, 1, 1, 1)),
        (5, (0, 1, 1, 1)),
        (6, (0, 0, 1, 1)),
        (10, (0, 0, 1, 1)),
        (11, (0, 0, 0, 1)),
        (20, (0, 0, 0, 1)),
        (21, (0, 0, 0, 0)),
    ],
)
def test_rank_figures_are_at_their_ranks(place: int, expected: tuple[int, int, int, int]) -> None:
    ids = [7 if entry == place else 8 for entry in range(1, 23)]
    scores = RetrievalScores.from_ranks(match_ranks([list(range(22))], [7], ids, [0], [1] * 22))
    assert (scores.rank1, scores.rank5, scores.rank10, scores.rank20) == expected
    assert scores.mean_ap == pytest.approx(1 / place)


def test_a_gallery_shorter_than_the_rank_ends_the_curve() -> None:
    scores = RetrievalScores.from_ranks(match_ranks([[0.2, 0.1]], [7], [7, 8], [0], [1, 1]))
    assert (scores.rank1, scores.rank5, scores.rank10, scores.rank20) == (0, 1, 1, 1)


def test_top_ranked_leaves_out_what_the_protocol_drops() -> None:
    rows = top_ranked([[0.1, 0.2, 0.3, 0.0]], [7], [7, 8, 7, 8], [0], [0, 1, 1, 0], count=5)
    assert [row.tolist() for row in rows] == [[3, 1, 2]]


def test_distances_of_a_zero_row_are_finite() -> None:
    assert cosine_distances([[0.0, 0.0]], [[1.0, 0.0]]).tolist() == [[1.0]]


def test_euclidean_distances_are_squared() -> None:
    rng = np.random.default_rng(0)
    query, gallery = rng.standard_normal((5, 8)), rng.standard_normal((7, 8))
    expected = ((query[:, None] - gallery[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(euclidean_distances(query, gallery), expected, rtol=1e-5)


def test_chunks_of_queries_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    # Small whole numbers are exact in float32, so the distances do not depend on how they are multiplied.
    arrays = [rng.integers(-4, 5, (n, 3)) for n in (23, 40)]
    arrays += [rng.integers(0, high, n) for high in (6, 2) for n in (23, 40)]
    whole = score_retrieval(*arrays, distance="euclidean")
    monkeypatch.setattr(metric_distances, "CHUNK_ENTRIES", 80)
    assert score_retrieval(*arrays, distance="euclidean") == whole


GOOD: dict[str, Any] = {
    "query_features": np.eye(2, 3),
    "gallery_features": np.eye(2, 3),
    "query_ids": [1, 2],
    "gallery_ids": [1, 2],
    "query_cameras": [0, 0],
    "gallery_cameras": [1, 1],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # Nobody is to be found: a figure would be 0/0.
        ({"gallery_ids": [3, 4]}, "identity in the gallery"),
        # Everybody is under the query's own camera: the same.
        ({"gallery_cameras": [0, 0]}, "under another camera"),
        # Cameras were not given.
        ({"query_cameras": None}, "expected 2 query cameras, but got None"),
        # One label too few.
        ({"gallery_ids": [1]}, r"expected 2 gallery identities.*\(1,\)"),
        # Identities as text.
        ({"query_ids": ["a", "b"]}, "query identities to be whole numbers"),
        # A broken engine.
        ({"query_features": [[1, 0, 0], [0, np.nan, 0]]}, "row 1 .*NaN"),
        ({"gallery_features": [[1, 0, 0], [0, np.inf, 0]]}, "gallery features.*infinity"),
        # Engines of two widths.
        ({"gallery_features": np.eye(2)}, "3 and 2 columns"),
        # Nothing there.
        ({"query_features": np.empty((0, 3))}, r"at least one.*\(0, 3\)"),
        # A single vector in place of rows.
        ({"query_features": np.ones(3)}, r"\(images, width\).*\(3,\)"),
        ({"query_features": [["a", "b", "c"]] * 2}, "to be numbers"),
        ({"distance": "manhattan"}, "cosine, euclidean.*'manhattan'"),
        ({"protocol": "cuhk03"}, "market1501, single-gallery-shot.*'cuhk03'"),
        ({"threads": 0}, "1 thread or more, got 0"),
        # The protocols ask the same of the labels.
        ({"gallery_ids": [3, 4], "protocol": "single-gallery-shot"}, "identity in the gallery"),
        ({"query_cameras": None, "protocol": "single-gallery-shot"}, "query cameras, but got None"),
        # Squares overflow float32.
        ({"query_features": np.full((2, 3), 1e30), "distance": "euclidean"}, "finite distances"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_what_cannot_be_scored_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_retrieval(**{**GOOD, **change})


@pytest.mark.parametrize(
    "call",
    [
        lambda: match_ranks(np.empty((0, 2)), [], [1, 2], [], [0, 0]),
        lambda: cumulative_matches(match_ranks([[0.1]], [1], [1], [0], [1]), max_rank=0),
        lambda: top_ranked([[0.1]], [1], [1], [0], [1], count=0),
        lambda: top_ranked([0.1], [1], [1], [0], [1]),
    ],
)
def test_empty_requests_are_refused(call: Any) -> None:
    with pytest.raises(InputError):
        call()


@st.composite
def rankings(draw: st.DrawFn, *, ties: bool = True) -> dict[str, np.ndarray]:
    """Distances and labels with at least one answerable query; few values, so that ties are common."""
    queries, gallery = draw(st.integers(1, 5)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    distances = (
        rng.integers(0, 6, (queries, gallery))
        if ties
        else rng.permuted(np.tile(np.arange(gallery), (queries, 1)), axis=1)
    )
    labels = {
        "query_ids": rng.integers(0, 3, queries),
        "gallery_ids": rng.integers(0, 4, gallery),
        "query_cameras": rng.integers(0, 2, queries),
        "gallery_cameras": rng.integers(0, 2, gallery),
    }
    labels["gallery_ids"][0], labels["gallery_cameras"][0] = labels["query_ids"][0], 2
    return {"distances": distances.astype(np.float32), **labels}


def slow_way(
    distances: np.ndarray,
    query_ids: np.ndarray,
    gallery_ids: np.ndarray,
    query_cameras: np.ndarray,
    gallery_cameras: np.ndarray,
) -> tuple[list[float], list[float]]:
    """Compute (AP of every answerable query, CMC) the slow way, a query and an entry at a time."""
    precisions, firsts = [], []
    for row, identity, camera in zip(distances.tolist(), query_ids, query_cameras, strict=True):
        hits: list[float] = []
        place = 0
        for entry in sorted(range(len(row)), key=row.__getitem__):
            if gallery_ids[entry] == identity and gallery_cameras[entry] == camera:
                continue
            place += 1
            if gallery_ids[entry] == identity:
                if not hits:
                    firsts.append(place)
                hits.append((len(hits) + 1) / place)
        if hits:
            precisions.append(sum(hits) / len(hits))
    curve = [sum(f <= k for f in firsts) / len(firsts) for k in range(1, distances.shape[1] + 1)]
    return precisions, curve


@given(rankings())
def test_equals_the_slow_way(ranking: dict[str, np.ndarray]) -> None:
    ranks = match_ranks(**ranking)
    precisions, curve = slow_way(**ranking)
    assert average_precisions(ranks).tolist() == pytest.approx(precisions)
    assert cumulative_matches(ranks).tolist() == pytest.approx(curve[:50])


@given(rankings())
def test_figures_stay_in_their_ranges(ranking: dict[str, np.ndarray]) -> None:
    ranks = match_ranks(**ranking)
    curve = cumulative_matches(ranks)
    assert 0 < mean_average_precision(ranks) <= 1
    assert 0 < mean_inverse_negative_penalty(ranks) <= 1
    assert (np.diff(curve) >= 0).all()
    assert curve[-1] == 1


@given(rankings())
def test_a_perfect_ranking_scores_one(ranking: dict[str, np.ndarray]) -> None:
    strangers = ranking["query_ids"][:, None] != ranking["gallery_ids"][None]
    scores = RetrievalScores.from_ranks(match_ranks(**{**ranking, "distances": strangers.astype(np.float32)}))
    assert (scores.rank1, scores.mean_ap, scores.mean_inp) == (1, 1, 1)


@given(rankings(ties=False), st.randoms(use_true_random=False))
def test_the_order_of_the_gallery_does_not_matter(ranking: dict[str, np.ndarray], random: Any) -> None:
    order = list(range(ranking["distances"].shape[1]))
    random.shuffle(order)
    shuffled = {
        name: values[..., order] if "query" not in name else values for name, values in ranking.items()
    }
    assert RetrievalScores.from_ranks(match_ranks(**shuffled)) == RetrievalScores.from_ranks(
        match_ranks(**ranking)
    )
