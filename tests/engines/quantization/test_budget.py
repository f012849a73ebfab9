"""The budget: which groups are chosen, and what may be lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osnet_edge.engines.quantization.decide import Budget, choose_groups
from osnet_edge.engines.tuning.candidate import Candidate
from osnet_edge.engines.tuning.choice import pick
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.decisions import AccuracyLoss, TracksLoss
from osnet_edge.runtime.precisions import Precision

losses = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(-0.2, 2.0), min_size=1)


@given(costs=losses, budget=st.floats(0, 3))
@settings(max_examples=100)
def test_a_choice_is_within_the_budget_as_measured_and_all_if_all_is(
    costs: dict[str, float], budget: float
) -> None:
    measured: dict[frozenset[str], AccuracyLoss] = {}

    def measure(groups: Sequence[str]) -> AccuracyLoss:
        loss = sum(costs[name] for name in groups)
        measured[frozenset(groups)] = AccuracyLoss(loss, loss + 0.1, 0, 0)
        return measured[frozenset(groups)]

    found = choose_groups(tuple(costs), lambda: dict.fromkeys(costs, 1.0), measure, Budget(budget))
    allowed = {name for name, cost in costs.items() if cost + 0.1 <= budget}
    if sum(costs.values()) + 0.1 <= budget:
        assert found is not None
        assert set(found.groups) == set(costs)
    elif found is None:
        # With equal gains the cheapest is tried first: nothing fits only if that does not, alone.
        assert not allowed or min(costs.values()) + 0.1 > budget
    else:
        assert found.loss == measured[frozenset(found.groups)]
        assert found.loss.mean_ap_most <= budget
        assert set(found.alone) == set(costs)


def test_groups_that_slow_the_engine_down_stay_out_once_groups_are_chosen() -> None:
    def measure(groups: Sequence[str]) -> AccuracyLoss:
        return AccuracyLoss(0.3 * len(groups), 0.3 * len(groups), 0, 0)

    found = choose_groups("abc", lambda: {"a": 1.0, "b": -0.5, "c": 2.0}, measure, Budget(0.7))
    assert found is not None
    assert sorted(found.groups) == ["a", "c"]


@pytest.mark.parametrize("points", [-0.1, 101, float("nan")])
def test_a_budget_that_is_none_is_refused(points: float) -> None:
    with pytest.raises(InputError, match="of 0 to 100 points"):
        Budget(points)


def test_rank1_can_be_held_to_as_well() -> None:
    loss = AccuracyLoss(0.0, 0.1, 0.5, 1.5)
    assert Budget(0.5).allows(loss)
    assert not Budget(0.5, 1.0).allows(loss)
    assert Budget(None, 2.0).allows(loss)


@pytest.mark.parametrize(
    ("sentence", "plain", "changed", "allowed"),
    [
        ("both within", (0.4, 1.0), (0.4, 1.0), True),
        ("other cameras lose too much mAP", (0.4, 1.0), (0.6, 1.0), False),
        ("other cameras lose too much Rank-1", (0.4, 1.0), (0.3, 2.1), False),
        ("the same cameras lose too much", (0.6, 1.0), (0.4, 1.0), False),
        ("measured before there were changed cameras", (0.4, 1.0), None, True),
    ],
)
def test_a_budget_is_held_to_the_worse_of_the_same_and_changed_cameras(
    sentence: str, plain: tuple[float, float], changed: tuple[float, float] | None, allowed: bool
) -> None:
    loss = AccuracyLoss(
        0.0, plain[0], 0.0, plain[1], changed and AccuracyLoss(0.0, changed[0], 0.0, changed[1])
    )
    assert Budget(0.5, 2.0).allows(loss) == allowed
    assert loss.worse.mean_ap_most == max(each[0] for each in (plain, changed) if each)


@pytest.mark.parametrize(
    ("sentence", "mean_ap", "tracks", "allowed"),
    [
        ("within both", 0.4, 0.5, True),
        ("within both, though more may be lost in other sequences", 0.4, 0.0, True),
        ("too many identities are lost", 0.4, 0.51, False),
        ("too much mAP is lost", 0.6, 0.1, False),
        ("nobody measured identities", 0.4, None, False),
    ],
)
def test_identities_in_sequences_can_be_held_to_as_well(
    sentence: str, mean_ap: float, tracks: float | None, allowed: bool
) -> None:
    lost = None if tracks is None else TracksLoss(tracks, (tracks - 3, tracks + 3), "16 windows", ("a",), 0.6)
    loss = AccuracyLoss(0.0, mean_ap, 0.0, 0.0, tracks=lost)
    assert Budget(0.5, idf1=0.5).allows(loss) == allowed
    assert Budget(None, idf1=0.5).allows(replace(loss, mean_ap_most=9.0)) == (tracks in (0.5, 0.0, 0.1))


@pytest.mark.parametrize(
    ("sentence", "times", "refused", "chosen"),
    [
        ("the fastest, within the budget", {"int8": 10, "bf16": 15, "fp32": 20}, set(), "int8"),
        ("INT8 gains next to nothing over bf16", {"int8": 10, "bf16": 10.1, "fp32": 20}, set(), "bf16"),
        (
            "of what it gains nothing over, bf16, too much is lost",
            {"int8": 10, "bf16": 10.1, "fp32": 20},
            {"bf16"},
            "int8",
        ),
        ("float32 is all but as fast", {"int8": 10, "bf16": 15, "fp32": 10.1}, set(), "fp32"),
        ("nothing that rounds is allowed", {"int8": 10, "bf16": 15, "fp32": 20}, {"int8", "bf16"}, "fp32"),
        ("float32 is the fastest", {"int8": 30, "bf16": 25, "fp32": 20}, set(), "fp32"),
    ],
)
def test_the_fastest_within_the_budget_is_taken_and_int8_only_where_it_gains(
    sentence: str, times: dict[Precision, float], refused: set[str], chosen: str
) -> None:
    candidates = [Candidate("openvino", precision) for precision in times]
    candidates.sort(key=lambda each: each.rounds)
    order = sorted(candidates, key=lambda each: times[each.precision])
    winner, dropped = pick(
        order,
        candidates,
        lambda one, other: 1.02 * times[one.precision] <= times[other.precision],
        lambda each: "too much" if each.precision in refused else None,
    )
    assert winner.precision == chosen
    assert list(dropped) == order[: order.index(winner)]
