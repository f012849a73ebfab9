"""The paired bootstrap: what any interval must do, the normal's closed form, and how often it is right."""

from __future__ import annotations

import importlib
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osnet_edge.bench import (
    ChangeIntervals,
    MatchRanks,
    PairedDifference,
    average_precisions,
    first_hits,
    match_ranks,
    paired_bootstrap,
)
from osnet_edge.runtime.errors import InputError

pairs = st.lists(st.tuples(*[st.floats(0, 1)] * 2), min_size=1, max_size=30).map(
    lambda rows: np.array(rows).T
)


def figures(found: PairedDifference) -> list[float]:
    return [found.mean, found.low, found.high]


def quick(reference: Any, other: Any) -> list[float]:
    return figures(paired_bootstrap(reference, other, samples=200))


@given(pairs, st.floats(-1, 1))
def test_an_engine_better_by_a_constant_moves_the_interval_by_it(values: np.ndarray, shift: float) -> None:
    reference, other = values
    moved = [figure + shift for figure in quick(reference, other)]
    assert quick(reference, other + shift) == pytest.approx(moved, abs=1e-12)


@given(pairs)
def test_an_engine_against_itself_differs_by_nothing(values: np.ndarray) -> None:
    assert quick(values[0], values[0]) == [0, 0, 0]


@given(pairs)
def test_the_two_sides_swapped_negate_it(values: np.ndarray) -> None:
    mean, low, high = quick(*values)
    assert quick(*values[::-1]) == pytest.approx([-mean, -high, -low], abs=1e-12)


@given(pairs)
def test_no_end_lies_beyond_the_queries(values: np.ndarray) -> None:
    differences = values[1] - values[0]
    mean, low, high = quick(*values)
    assert mean == pytest.approx(differences.mean())
    assert differences.min() - 1e-12 <= low <= high <= differences.max() + 1e-12


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
def test_normal_differences_give_the_normal_interval(confidence: float, rng: np.random.Generator) -> None:
    """The mean of 500 draws is normal, so the ends are the mean plus and minus z standard errors."""
    # What both engines find hard is ten times what they differ by, and falls out of the pairs.
    reference = rng.normal(0, 10, 500)
    differences = rng.normal(-0.3, 1, 500)
    found = paired_bootstrap(reference, reference + differences, samples=20_000, confidence=confidence)
    half = NormalDist().inv_cdf((1 + confidence) / 2) * differences.std() / np.sqrt(500)
    mean = differences.mean()
    assert figures(found) == pytest.approx([mean, mean - half, mean + half], abs=0.03 * half)


def test_it_covers_the_truth_as_often_as_it_says() -> None:
    """Simulated rankings: most places stay, some matches lose or gain a few; 600 sets of 150 queries each."""
    rng = np.random.default_rng(0)
    before = rng.geometric(0.3, 400_000)
    moved = np.maximum(1, before + rng.integers(-2, 4, len(before)) * (rng.random(len(before)) < 0.3))
    everyone = 1 / before, 1 / moved
    truth = (everyone[1] - everyone[0]).mean()
    held = 0
    for _ in range(600):
        queries = rng.integers(0, len(before), 150)
        found = paired_bootstrap(everyone[0][queries], everyone[1][queries], samples=500)
        held += found.low <= truth <= found.high
    # Three standard errors of a share of 600 are 2.7 points.
    assert held / 600 == pytest.approx(0.95, abs=0.027)


def test_memory_is_bounded_by_chunks_that_change_nothing(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    values = rng.random((2, 37))
    whole = paired_bootstrap(*values)
    # By its module: the package's attribute of this name is the function.
    monkeypatch.setattr(importlib.import_module("osnet_edge.bench.metrics.statistics"), "_CHUNK_DRAWS", 100)
    assert paired_bootstrap(*values) == whole


def test_queries_pair_up_in_both_metrics() -> None:
    """Of three queries the second has no match; both metrics leave it out and keep the order of the rest."""
    distances = [[0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [0.1, 0.2, 0.3]]
    ranks = match_ranks(distances, [1, 9, 3], [1, 2, 3], [0, 0, 0], [1, 1, 1])
    assert ranks.answerable.tolist() == [0, 2]
    assert average_precisions(ranks).tolist() == pytest.approx([1, 1 / 3])
    assert first_hits(ranks).tolist() == [1, 0]


def ranks_with_the_match_at(places: list[int]) -> MatchRanks:
    """A query of person 0 for each place, in a gallery of four where person 0 stands there."""
    # Three others stand at 1.5, 2.5 and 3.5.
    distances = [[place, 1.5, 2.5, 3.5] for place in places]
    same = [0] * len(places)
    return match_ranks(distances, same, range(4), same, [1] * 4)


def test_intervals_of_a_change_are_of_rank1_and_of_map() -> None:
    right, second = ranks_with_the_match_at([1] * 5), ranks_with_the_match_at([2] * 5)
    found = ChangeIntervals.between(right, second, confidence=0.9, samples=50)
    # Every query loses the same, and so does every resample.
    halved = (-0.5, -0.5)
    assert found == ChangeIntervals((-1, -1), halved, confidence=0.9, samples=50, mean_inp=halved)
    mixed = ChangeIntervals.between(right, ranks_with_the_match_at([1, 1, 1, 2, 4]))
    assert mixed.rank1[0] < -0.4 < mixed.rank1[1] == 0
    with pytest.raises(InputError, match="answer 5 and 4"):
        ChangeIntervals.between(right, ranks_with_the_match_at([1] * 4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # Engines scored on different queries.
        ({"other": [0.5]}, "2 of the reference and 1 of the other"),
        # No query, no number, or a table of them.
        ({"reference": [], "other": []}, r"number for each query of the reference.*\(0,\)"),
        ({"other": [[0.5, 0.5]]}, r"of the other.*\(1, 2\)"),
        ({"other": ["a", "b"]}, "number for each query of the other"),
        ({"other": 0.5}, r"shape \(\)"),
        # A query whose value is unknown.
        ({"other": [0.5, float("nan")]}, "query 1 has NaN or infinity"),
        ({"reference": [float("inf"), 0.5]}, "reference, but query 0"),
        # Percent where a share is meant, and the ends.
        ({"confidence": 95}, "between 0 and 1, such as 0.95, but got 95"),
        ({"confidence": 0.0}, "between 0 and 1"),
        ({"confidence": 1.0}, "between 0 and 1"),
        ({"confidence": float("nan")}, "between 0 and 1"),
        ({"samples": 0}, "1 sample or more"),
    ],
)
def test_what_cannot_be_compared_is_refused(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"reference": [0.5, 1.0], "other": [0.5, 0.5]}
    with pytest.raises(InputError, match=message):
        paired_bootstrap(**{**good, **change})
