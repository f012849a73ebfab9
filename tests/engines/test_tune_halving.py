"""The tuner's race, on a simulated clock: candidates of known speed, noise as a busy machine makes it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osnet_edge.engines.tuning.candidate import Candidate, make_candidates, must_beat
from osnet_edge.engines.tuning.halving import Field, Plan, halve
from osnet_edge.engines.tuning.measure import choose, field_of
from osnet_edge.engines.tuning.race import Race, Round, surely_faster
from osnet_edge.runtime.backends.registry import CPU_BACKENDS

REWRITES = ((), ("gate",), ("gate", "sum"), ("streams", "gate", "sum"), ("streams", "dense"))
#: As `osnet-edge tune CHECKPOINT --target cpu:fastest` has them: 40.
CANDIDATES = make_candidates(CPU_BACKENDS, ("fp32", "bf16", "int8"), REWRITES, (1, 8, 32), timed=True)
REFERENCE = CANDIDATES[0]
SIZES = (1, 8, 32)


class Machine:
    """Takes turns like the stopwatch: its clock drifts, some rounds are slow, each call has its noise."""

    def __init__(self, medians: Sequence[float], seed: int) -> None:
        self.true = dict(zip(CANDIDATES, medians, strict=True))
        self._named = {str(each): each for each in CANDIDATES}
        self._rng, self._drift = random.Random(seed), 1.0
        self.spent, self.asked = 0.0, list[tuple[str, ...]]()

    def __call__(self, rung: int, names: tuple[str, ...], rounds: int) -> list[Round]:
        self.asked.append(names)
        return [self._round(names) for _ in range(rounds)]

    def _round(self, names: tuple[str, ...]) -> Round:
        self._drift *= self._rng.lognormvariate(0, 0.02)
        slow = self._drift * self._rng.choice((1, 1, 1, 1, 1.7))
        done = {name: tuple(self._call(name, size) * slow for size in SIZES) for name in names}
        self.spent += sum(map(sum, done.values()))
        return done

    def _call(self, name: str, size: int) -> float:
        interrupted = 3.0 if self._rng.random() < 0.02 else 1.0
        return self.true[self._named[name]] * size * interrupted * self._rng.lognormvariate(0, 0.06)


def find(machine: Machine, refuse: Callable[[Candidate], str | None] = lambda each: None) -> Candidate:
    """Halve and pick, as the tuner does with engines."""
    race, last = halve(field_of(CANDIDATES), machine)
    return choose(CANDIDATES, race, last, refuse)[0]


def drawn(seed: int) -> list[float]:
    """Draw milliseconds an image: far apart, or all but alike, as rewrites on a CPU are."""
    rng = random.Random(seed)
    return [rng.uniform(1, 4) if seed % 2 else rng.lognormvariate(0, 0.1) for _ in CANDIDATES]


@given(table=st.integers(0, 10_000))
@settings(max_examples=12, derandomize=True)
def test_in_nine_of_ten_runs_it_finds_the_best_or_one_within_5_percent_in_a_third_of_the_time(
    table: int,
) -> None:
    medians, good = drawn(table), 0
    rounds = sum(rounds for _, rounds in Plan().rungs(len(CANDIDATES)))
    for seed in range(10):
        machine, every = Machine(medians, seed), Machine(medians, seed)
        found = find(machine)
        good += machine.true[found] <= 1.05 * min(medians)
        every(0, tuple(map(str, CANDIDATES)), rounds)
        assert machine.spent < every.spent / 3
        # Whatever else it misses, no rewrite is taken that is slower than the graph as published.
        assert machine.true[found] <= machine.true[found.plain]
        assert machine.true[found] <= machine.true[REFERENCE]
    assert good >= 9


@given(table=st.integers(0, 10_000), seed=st.integers(0, 100))
@settings(max_examples=15, derandomize=True)
def test_a_kind_that_is_not_allowed_does_not_crowd_out_the_others(table: int, seed: int) -> None:
    """INT8 and bf16 take all the best places, and lose too much: what is left is still a good choice."""
    lossy = [each.precision != "fp32" for each in CANDIDATES]
    machine = Machine([ms / 4 if fast else ms for fast, ms in zip(lossy, drawn(table), strict=True)], seed)
    found = find(machine, lambda each: "loses too much" if each.precision != "fp32" else None)
    assert found.precision == "fp32"
    assert machine.true[found] <= machine.true[REFERENCE]
    best = min(ms for each, ms in machine.true.items() if each.precision == "fp32")
    assert machine.true[found] <= 1.25 * best


def test_the_reference_is_in_every_group_and_groups_are_no_larger_than_memory_allows() -> None:
    machine = Machine(drawn(1), 0)
    find(machine)
    assert all(str(REFERENCE) in names for names in machine.asked)
    first, last = machine.asked[: -(-39 // 8)], machine.asked[-1]
    assert {name for names in first for name in names} == set(map(str, CANDIDATES))
    assert all(len(names) <= Plan().slots for names in machine.asked[:-1])
    assert len(last) <= 12
    assert all(len(names) == len(set(names)) for names in machine.asked)


def test_of_two_that_are_alike_the_graph_as_published_is_taken() -> None:
    for seed in range(20):
        assert find(Machine([1.0] * len(CANDIDATES), seed)) == REFERENCE


def test_a_rewrite_must_beat_the_published_graph_in_its_own_library_too() -> None:
    rewritten = next(each for each in CANDIDATES if each.backend == "openvino" and each.rewrite == ("gate",))
    assert must_beat(rewritten, CANDIDATES) == (REFERENCE, rewritten.plain)
    assert must_beat(rewritten.plain, CANDIDATES) == (REFERENCE,)
    assert must_beat(REFERENCE, CANDIDATES) == ()


def test_who_cannot_be_run_is_left_out_and_does_not_stop_the_others() -> None:
    def time_group(rung: int, names: tuple[str, ...], rounds: int) -> list[Round]:
        return [{name: (float(len(name)),) for name in names if name != "broken"}] * rounds

    names = ("reference", "broken", *(f"{'x' * length}" for length in range(1, 20)))
    race, last = halve(Field(names, dict.fromkeys(names, "fp32"), {}), time_group)
    assert min(race.names(), key=race.score) == "x"
    assert {"reference", "x"} <= set(last[0])
    assert "broken" not in race.names()


@pytest.mark.parametrize(
    ("times", "sure", "why"),
    [
        ([(1.0, 1.1)] * 5, True, "five of five"),
        ([(1.0, 1.1)] * 4, False, "four of four are luck in one of sixteen"),
        ([(1.0, 1.1)] * 20 + [(9.0, 1.1)], True, "one interruption among many does not matter"),
        ([(1.0, 1.1), (1.1, 1.0)] * 20, False, "as often slower"),
        ([(1.0, 1.005)] * 40, False, "faster, but by less than the gain that is asked for"),
    ],
)
def test_faster_beyond_the_noise(times: list[tuple[float, float]], sure: bool, why: str) -> None:
    rounds = [{"one": (one,), "other": (other,)} for one, other in times]
    assert surely_faster(rounds, "one", "other", 1.01) == sure, why
    assert not surely_faster(rounds, "other", "one", 1.01), why


def test_a_machine_busy_for_half_of_the_rounds_moves_no_ratio() -> None:
    race = Race("reference")
    for slow in (1, 3, 1, 3, 3):
        race.add([{"reference": (2.0 * slow, 8.0 * slow), "other": (1.0 * slow, 4.0 * slow)}])
    # Timed in the busy half alone.
    race.add([{"reference": (6.0, 24.0), "late": (3.0, 12.0)}])
    assert race.ratios("late") == pytest.approx(race.ratios("other"))
    assert race.milliseconds("late") == pytest.approx(race.milliseconds("other"))
