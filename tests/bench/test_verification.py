"""Thresholds by false accept rate: scikit-learn's figures, intervals that cover, and an engine of its own."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import bench_examples as examples
import numpy as np
import pytest
from sklearn.metrics import roc_curve

from osnet_edge.bench import BenchResult, RetrievalScores, from_json, html_report, text_table, to_json
from osnet_edge.bench.metrics.evaluate import PictureRows
from osnet_edge.bench.metrics.verification import (
    OperatingPoint,
    Verification,
    Verified,
    verify_scores,
    verify_splits,
)
from osnet_edge.bench.report.cross_domain import DomainScores
from osnet_edge.bench.report.page import cross_domain_page
from osnet_edge.bench.report.verification import Verifier
from osnet_edge.runtime.errors import InputError


@dataclass(frozen=True)
class Photo:
    path: str
    identity: int
    camera: int


@dataclass(frozen=True)
class Street:
    query: list[Photo]
    gallery: list[Photo]


def street(rng: np.random.Generator, people: int, distractors: int) -> tuple[Street, PictureRows]:
    """Images of some people by three cameras, others of nobody, and embeddings that are a little alike."""
    looks = rng.normal(size=(people + 1, 16)) + 0.6
    sides, rows = [], []
    for side, count in (("q", 2 * people), ("g", 4 * people)):
        who = rng.integers(1, people + 1, count)
        if side == "g":
            who = np.concatenate([who, np.zeros(distractors, int)])
        photos = [
            Photo(f"{side}{place}", int(person), int(rng.integers(3))) for place, person in enumerate(who)
        ]
        nobody = (who == 0)[:, None] * rng.normal(size=(len(who), 16))
        rows.append(looks[who] + nobody + rng.normal(size=(len(who), 16)))
        sides.append(photos)
    places = {photo.path: place for place, photo in enumerate(sides[0] + sides[1])}
    return Street(*sides), PictureRows(np.concatenate(rows).astype(np.float32), places)


def labelled_pairs(
    scores: np.ndarray, query_ids: Any, gallery_ids: Any, query_cameras: Any, gallery_cameras: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Which pairs show one person, and their scores: those of different cameras."""
    across = np.not_equal.outer(query_cameras, gallery_cameras)
    return np.equal.outer(query_ids, gallery_ids)[across], scores[across]


def hold_to_sklearn(found: Verification, same: np.ndarray, scores: np.ndarray) -> None:
    false, true, thresholds = roc_curve(same, scores, drop_intermediate=False)
    resolved = [point for point in found.points if point.threshold is not None]
    assert resolved
    for point in resolved:
        last = np.flatnonzero(false <= point.far)[-1]
        assert point.tar == true[last]
        # No score lies between the two.
        assert thresholds[last] >= np.float32(point.threshold or 0) > thresholds[last + 1]
    # Where the curve's polyline crosses FAR = 1 - TAR.
    gaps = false + true - 1
    place = int(np.flatnonzero(gaps >= 0)[0])
    share = -gaps[place - 1] / (gaps[place] - gaps[place - 1])
    rate = false[place - 1] + share * (false[place] - false[place - 1])
    assert found.equal_error.rate == pytest.approx(rate, abs=1e-12)
    for threshold, far, tar in found.roc:
        accepted = scores >= np.float32(threshold)
        assert far == pytest.approx(accepted[~same].mean())
        assert tar == pytest.approx(accepted[same].mean())


@pytest.mark.parametrize(
    ("people", "distractors", "digits", "block"),
    [
        pytest.param(40, 0, None, None, id="all in one block"),
        pytest.param(40, 30, None, 500, id="distractors, and blocks of a few people"),
        pytest.param(40, 5, 2, None, id="scores of two digits, with many ties"),
    ],
)
def test_figures_are_those_of_scikit_learn(
    people: int, distractors: int, digits: int | None, block: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if block:
        monkeypatch.setattr(importlib.import_module("osnet_edge.bench.metrics.pairs"), "BLOCK", block)
    rng = np.random.default_rng(people + distractors)
    shown, rows = street(rng, people, distractors)
    unit = rows.rows / np.linalg.norm(rows.rows, axis=1, keepdims=True)
    scores = unit[: len(shown.query)] @ unit[len(shown.query) :].T
    labels = [
        [getattr(photo, name) for photo in side]
        for name in ("identity", "camera")
        for side in (shown.query, shown.gallery)
    ]
    if digits is None:
        found = verify_splits(rows, [shown], fars=[0.003], samples=50).figures
    else:
        scores = scores.round(digits)
        found = verify_scores(scores, *labels, fars=[0.003], samples=50).figures
    same, pairs = labelled_pairs(scores, *labels)
    assert (found.genuine, found.impostor) == (same.sum(), (~same).sum())
    shares = np.array([found.distribution.genuine, found.distribution.impostor]).sum(axis=1)
    assert shares.tolist() == [found.genuine, found.impostor]
    hold_to_sklearn(found, same, pairs.astype(np.float32))


def test_pairs_of_several_splits_are_pooled() -> None:
    shown, rows = street(np.random.default_rng(3), 30, 10)
    once, twice = (verify_splits(rows, [shown] * count, samples=50).figures for count in (1, 2))
    assert (twice.genuine, twice.impostor) == (2 * once.genuine, 2 * once.impostor)
    assert twice.at(0.1).threshold == once.at(0.1).threshold
    assert twice.at(0.1).threshold_interval == pytest.approx(once.at(0.1).threshold_interval, abs=0.01)


@dataclass(frozen=True)
class World:
    """People who are alike by what they wear: scores are sums of what both bring, and of their own.

    Attributes:
        person: standard deviation of what each person brings to every pair.
        pair: of what two people bring to each of their pairs.
        image: of what each pair of images has alone.
    """

    person: float
    pair: float
    image: float

    def scores(self, rng: np.random.Generator, people: int) -> np.ndarray:
        own, both = rng.normal(0, self.person, people), rng.normal(0, self.pair, (people, people))
        both = np.triu(both, 1)
        scores = np.add.outer(own, own) + both + both.T + rng.normal(0, self.image, (people, people))
        np.fill_diagonal(scores, 2.5 + rng.normal(size=people) + own / 2)
        return 0.1 * scores

    def truth(self, far: float) -> tuple[float, float, float]:
        """The threshold and TAR of a FAR, and the equal error rate, of all people there could be."""
        others = NormalDist(0, (2 * self.person**2 + self.pair**2 + self.image**2) ** 0.5)
        same = NormalDist(2.5, (1 + self.person**2 / 4) ** 0.5)
        threshold = others.inv_cdf(1 - far)
        # Both errors are equal as many standard deviations from either mean.
        equal = 2.5 / (others.stdev + same.stdev) * others.stdev
        return 0.1 * threshold, 1 - same.cdf(threshold), 1 - others.cdf(equal)


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(World(0.4, 0.4, 0.8), id="people, pairs of people and images all matter"),
        pytest.param(World(0, 0.7, 0.7), id="a pair owes nothing to its people"),
    ],
)
def test_intervals_cover_at_their_rate(world: World) -> None:
    people, far, sets = 80, 0.01, 120
    truths, rng, who = world.truth(far), np.random.default_rng(0), np.arange(80)
    covered = np.zeros(3)
    for _ in range(sets):
        labels = who, who, np.zeros(people, int), np.ones(people, int)
        found = verify_scores(world.scores(rng, people), *labels, samples=300).figures
        point = found.at(far)
        intervals = point.threshold_interval, point.tar_interval, found.equal_error.rate_interval
        covered += [
            ends is not None and ends[0] <= truth <= ends[1]
            for ends, truth in zip(intervals, truths, strict=True)
        ]
    # Of 120 tries at 0.95, fewer than 107 come in 1 of 300 cases.
    assert (covered >= 107).all(), covered


def of_world(shift: float = 0.0, noise: float = 0.0, people: int = 100) -> Verified:
    scores = World(0.4, 0.4, 0.8).scores(np.random.default_rng(5), people)
    scores = scores + shift + noise * np.random.default_rng(6).normal(size=scores.shape)
    who = np.arange(1, people + 1)
    return verify_scores(scores, who, who, np.zeros(people, int), np.ones(people, int), samples=400)


@pytest.mark.parametrize(
    ("shift", "noise", "moved"),
    [
        pytest.param(0.0, 0.0, False, id="the same engine needs no other threshold"),
        pytest.param(0.0, 0.001, False, id="one that rounds a little cannot be told apart"),
        pytest.param(0.03, 0.001, True, id="one whose cosines are all higher needs a higher one"),
    ],
)
def test_the_threshold_of_an_engine_less_that_of_another(shift: float, noise: float, moved: bool) -> None:
    reference, engine = of_world(), of_world(shift, noise)
    changes = {change.far: change for change in engine.changes_from(reference)}
    assert list(changes) == [0.1, 0.01]
    low, high = changes[0.01].interval
    assert low - 1e-3 <= shift <= high + 1e-3
    assert (low > 0 or high < 0) is moved
    own = reference.figures.at(0.01).threshold_interval
    # The people are the same, so that most of what is unsure of each threshold cancels.
    assert own is not None
    assert high - low < (own[1] - own[0]) / 4


def test_a_rate_that_accepts_too_few_is_not_resolved() -> None:
    found = of_world(people=40).figures
    # 1,560 pairs: 15 at 0.01, and 1 at 0.001.
    assert found.at(0.01).threshold is not None
    for far in (0.001, 0.0001):
        assert found.at(far) == OperatingPoint(far)


@pytest.mark.parametrize(
    ("identities", "cameras", "fars", "message"),
    [
        ([1, 1, 1], [0, 1, 1], (), "found 6 and 0"),
        ([1, 2, 3], [0, 0, 0], (), "found 0 and 0"),
        ([1, 1, 2], [0, 1, 1], (1.5,), "between 0 and 1"),
    ],
)
def test_what_has_no_threshold_is_told(
    identities: list[int], cameras: list[int], fars: tuple[float, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        verify_scores(np.zeros((3, 3)), [1] * 3, identities, [0] * 3, cameras, fars=fars)
    with pytest.raises(InputError, match="a cosine never leaves that range"):
        verify_scores(np.full((3, 3), 7.0), [1] * 3, identities, [0] * 3, cameras)


@pytest.mark.parametrize(
    ("same", "others", "rate"),
    [
        pytest.param(1.0, 1.0, 0.5, id="a ruined engine, for which all are alike"),
        pytest.param(0.9, 0.1, 0.0, id="an engine that tells everybody apart"),
        pytest.param(-1.0, 1.0, 1.0, id="one that is always wrong"),
    ],
)
def test_engines_at_the_extremes(same: float, others: float, rate: float) -> None:
    who = np.arange(30)
    scores = np.where(np.eye(30, dtype=bool), same, others)
    equal = verify_scores(scores, who, who, 0 * who, 0 * who + 1, samples=50).figures.equal_error
    assert equal.rate == rate
    assert equal.rate_interval in (None, (rate, rate))


@pytest.fixture(scope="module")
def compared() -> BenchResult:
    """A result whose second engine has a threshold of its own."""
    reference, engine = of_world(), of_world(0.03, 0.001)
    result = examples.result()
    first, second, *others = result.engines
    changed = (
        replace(first, verification=reference.figures),
        replace(second, verification=engine.figures, threshold_changes=engine.changes_from(reference)),
    )
    return replace(result, engines=(*changed, *others))


def test_a_result_with_thresholds_comes_back_whole(compared: BenchResult) -> None:
    assert from_json(to_json(compared)) == compared
    assert '"threshold": null' in to_json(compared)


def test_tables_and_page_show_them(compared: BenchResult) -> None:
    text = text_table(compared)
    row = next(
        line for line in text.splitlines() if line.startswith(compared.engines[1].name) and "+0.0" in line
    )
    assert " 10 " in row
    assert "not resolved" in text
    assert "EER " in text
    page = html_report([compared])
    assert page.count("<h3>Pairs of one person accepted</h3>") == 1
    for engine in compared.engines[:2]:
        assert f"<h3>Cosines of pairs: {engine.name}</h3>" in page
    assert "Thresholds hold for these cameras" in page


def test_the_page_of_networks_on_sets_names_their_pairs() -> None:
    verifiers = [
        Verifier(name, place, of_world(people=people).figures)
        for place, (name, people) in enumerate({"one on gate": 40, "one on street": 60}.items())
    ]
    figures = RetrievalScores(*[0.5] * 4, 9, 0, 9, 0.5, 0.5)
    scores = DomainScores("one", "osnet_x0_25", "gate", "market1501", 1, (256, 128), "cosine", False, figures)
    page = cross_domain_page([scores], command="osnet-edge eval", verifiers=verifiers)
    for name, people, pairs in (("one on gate", 40, "1,560"), ("one on street", 60, "3,540")):
        assert f"{name}: {people} of one person, {pairs} of two, {people} people" in page
        assert f"<h3>Cosines of pairs: {name}</h3>" in page
    assert 'aria-label="Markers of the networks"' in page
