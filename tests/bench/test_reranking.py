"""k-reciprocal re-ranking: the reference distances, the paper followed one image at a time, its limits."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from osnet_edge.bench import (
    Reranking,
    cumulative_matches,
    euclidean_distances,
    feature_ranks,
    match_ranks,
    mean_average_precision,
    rerank,
    score_retrieval,
)
from osnet_edge.bench.metrics import distances
from osnet_edge.runtime.errors import InputError, UnavailableError

LABELS = ("query_ids", "gallery_ids", "query_cameras", "gallery_cameras")


def test_equals_the_reference(shared: Path) -> None:
    golden = np.load(shared / "golden" / "metrics.npz")
    query, gallery = golden["easy/query_features"], golden["easy/gallery_features"]
    distances = rerank(query, gallery, "euclidean").rows()
    np.testing.assert_allclose(distances, golden["easy/reranked/distances"], rtol=0, atol=1e-6)
    labels = [golden[f"easy/{name}"] for name in LABELS]
    for ranks in (
        match_ranks(distances, *labels),
        feature_ranks(query, gallery, *labels, distance="euclidean", reranking=Reranking(), threads=2),
    ):
        curve = cumulative_matches(ranks)
        np.testing.assert_allclose(curve, golden["easy/reranked/cmc"], rtol=0, atol=1e-6)
        assert mean_average_precision(ranks) == pytest.approx(float(golden["easy/reranked/mAP"]), abs=1e-6)


def slow_way(query: np.ndarray, gallery: np.ndarray, how: Reranking) -> np.ndarray:
    """Follow the paper set by set, with whole matrices in float64."""
    everything = np.concatenate([query, gallery]).astype(np.float64)
    original = (((everything[:, None] - everything) ** 2).sum(axis=2)) ** 2
    original /= original.max(axis=1, keepdims=True)
    ranked = np.argsort(original, axis=1, kind="stable")

    def reciprocal(picture: int, k: int) -> set[int]:
        return {int(other) for other in ranked[picture, : k + 1] if picture in ranked[other, : k + 1]}

    codes = np.zeros_like(original)
    for picture in range(len(everything)):
        near = reciprocal(picture, how.k1)
        members = set(near)
        for other in near:
            theirs = reciprocal(other, round(how.k1 / 2))
            if len(theirs & near) > 2 / 3 * len(theirs):
                members |= theirs
        chosen = sorted(members)
        weights = np.exp(-original[picture, chosen])
        codes[picture, chosen] = weights / weights.sum()
    codes = np.stack([codes[ranked[picture, : how.k2]].mean(axis=0) for picture in range(len(everything))])
    count = len(query)
    shared = np.minimum(codes[:count, None], codes[None, count:]).sum(axis=2)
    jaccard = 1 - shared / (2 - shared)
    return (1 - how.lambda_value) * jaccard + how.lambda_value * original[:count, count:]


@pytest.mark.parametrize(
    "how",
    [
        Reranking(),
        # Half of an odd k1 is rounded to even, as NumPy does.
        Reranking(k1=7, k2=3, lambda_value=0.5),
        Reranking(k1=5, k2=1, lambda_value=0),
        # More neighbours than there are images.
        Reranking(k1=200, k2=100),
    ],
)
def test_equals_the_paper_followed_by_hand(how: Reranking) -> None:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((12, 8))
    query, gallery = (
        (centres[rng.integers(0, 12, n)] + 0.6 * rng.standard_normal((n, 8))).astype(np.float32)
        for n in (15, 60)
    )
    got = rerank(query, gallery, "euclidean", how).rows()
    np.testing.assert_allclose(got, slow_way(query, gallery, how), rtol=0, atol=1e-6)


def test_lambda_of_one_is_the_original_order() -> None:
    rng = np.random.default_rng(1)
    query, gallery = rng.random((5, 4)), rng.random((30, 4))
    kept = rerank(query, gallery, "euclidean", Reranking(lambda_value=1)).rows()
    assert np.array_equal(np.argsort(kept), np.argsort(euclidean_distances(query, gallery)))


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_chunks_and_threads_change_nothing(distance: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    arrays = [rng.standard_normal((count, 6)) for count in (20, 70)]
    arrays += [rng.integers(0, high, n) for high in (6, 2) for n in (20, 70)]
    whole = score_retrieval(*arrays, distance=distance, reranking=Reranking(k1=8, k2=3))
    monkeypatch.setattr(distances, "CHUNK_ENTRIES", 500)
    chunked = score_retrieval(*arrays, distance=distance, reranking=Reranking(k1=8, k2=3), threads=2)
    assert dataclasses.astuple(chunked) == pytest.approx(dataclasses.astuple(whole))


def test_pictures_that_are_all_the_same_have_distances_too() -> None:
    assert np.isfinite(rerank(np.ones((2, 4)), np.ones((30, 4))).rows()).all()


@pytest.mark.parametrize(
    "settings", [{"k1": 0}, {"k2": 0}, {"lambda_value": -0.1}, {"lambda_value": 1.1}, {"k1": 10**6}]
)
def test_parameters_without_meaning_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match="k1 and k2 from 1 to 1000"):
        Reranking(**settings)


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_distances_whose_squares_overflow_are_refused() -> None:
    with pytest.raises(InputError, match="squared distances fit into float32"):
        rerank(np.eye(2, 3) * 1e12, np.eye(2, 3))


def test_without_scipy_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(UnavailableError, match=r"re-ranking needs scipy.*pip install 'osnet-edge\[data\]'"):
        rerank(np.eye(2, 3), np.eye(2, 3))
