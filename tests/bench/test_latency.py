"""Latency: rounds as `osnet-edge bench`, `build` and `tune` take them."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import bench_engines as engines
import pytest

from osnet_edge.bench import BenchResult
from osnet_edge.bench.measure.engine_process import BenchTarget
from osnet_edge.bench.measure.latency import (
    Rounds,
    interleave,
    measure_rounds,
    median_times,
    rounds_within,
    time_calls,
)
from osnet_edge.bench.measure.plan import Plan
from osnet_edge.bench.measure.run import run_bench

MS = 1_000_000


def bench_scripted(log: Path, plan: Plan, *slow_calls: dict[str, float]) -> BenchResult:
    """Measure engines a, b, ... that note each of their calls in a file, by a batch and nothing more."""
    scripted = [
        BenchTarget(name, partial(engines.Scripted, name, str(log), **slow), role=role)
        for name, role, slow in zip("ab", ("reference", "package"), slow_calls, strict=False)
    ]

    def end_at_energy(what: str, share: float) -> None:
        if what.startswith("energy"):
            raise KeyboardInterrupt

    return run_bench(scripted, plan, command="bench", progress=end_at_energy)


def test_rounds_alternate_and_their_first_call_is_not_kept(tmp_path: Path) -> None:
    # A call takes 200 ms where another engine was called before, whose leftovers slow it, and else 10 ms.
    slow = {"seconds": 0.01, "after_another_s": 0.2}
    plan = Plan(batches=(1,), duration_s=0.25, warmup_s=0.0, min_iterations=1)
    result = bench_scripted(tmp_path / "calls", plan, slow, slow)
    calls = (tmp_path / "calls").read_text()
    # A call of each to warm up, and then round after round.
    assert calls[:2] == "ab"
    rounds = calls[2:].replace("ba", "b a").split()
    for engine in result.engines:
        (measured,) = engine.batches
        assert len(measured.turns_ms) == len(rounds) >= 3
        assert measured.latency.max_ms < 200
        # All were kept but one of each round.
        assert measured.latency.iterations == calls[2:].count(engine.name) - len(rounds)
    for each in rounds:
        assert each == "a" * each.count("a") + "b" * each.count("b")
        assert min(each.count("a"), each.count("b")) >= 2


def test_the_warm_up_is_not_kept(tmp_path: Path) -> None:
    # The first 4 calls take 200 ms each, and fill the warm-up.
    slow = {"seconds": 0.005, "first_calls": 4, "first_calls_s": 0.2}
    plan = Plan(batches=(1,), duration_s=0.05, warmup_s=0.7, min_iterations=1)
    result = bench_scripted(tmp_path / "calls", plan, slow)
    (measured,) = result.engines[0].batches
    assert measured.latency.max_ms < 200
    calls = (tmp_path / "calls").read_text()
    # The warm-up (a call less where the machine is busy), and the first call of each round.
    assert len(calls) - len(measured.turns_ms) - measured.latency.iterations in (3, 4)


def test_slow_calls_are_still_made_often_enough(tmp_path: Path) -> None:
    plan = Plan(batches=(1,), duration_s=0.02, warmup_s=0.0, min_iterations=7)
    result = bench_scripted(tmp_path / "calls", plan, {"seconds": 0.02})
    assert result.engines[0].batches[0].latency.iterations == 7


def script(*durations_ms: int) -> Callable[[], list[int] | None]:
    """A round of calls after another, the last for ever; None ends it."""

    def timed() -> Iterator[list[int] | None]:
        for each in durations_ms:
            yield [each * MS]
        while True:
            yield [durations_ms[-1] * MS]

    rounds = timed()
    return lambda: next(rounds)


def test_every_engine_takes_part_until_the_last_is_done() -> None:
    kept: dict[str, Rounds] = {}
    shares: list[float] = []
    timers = {"quick": script(1), "slow": script(50), "fails": lambda: None}
    measure_rounds(timers, kept, duration_s=0.1, min_iterations=4, progress=shares.append)
    assert {name: rounds.count for name, rounds in kept.items()} == {"quick": 100, "slow": 100, "fails": 0}
    assert kept["slow"].medians_ms == (50,) * 100
    assert kept["fails"].stats is None
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    assert len(shares) > 5


def test_calls_of_this_process_are_timed_in_rounds() -> None:
    calls: list[str] = []
    timers = {name: partial(time_calls, partial(calls.append, name)) for name in "ab"}
    rounds = list(interleave(timers, rounds_within(0, least=4)))
    assert [name for name, _ in rounds] == ["a", "b"] * 4
    assert all(len(times) == 1 and times[0] >= 0 for _, times in rounds)
    # In each round a call that is not kept, and one that is.
    assert "".join(calls) == "aabb" * 4


def test_medians_are_of_calls_in_rounds() -> None:
    medians = median_times({"a": partial(time.sleep, 0.002), "b": int}, rounds=4)
    assert list(medians) == ["a", "b"]
    assert 0 <= medians["b"] < 2 <= medians["a"] < 500
    assert median_times({}) == {}


def test_rounds_go_on_while_there_is_time_and_no_further_than_the_most() -> None:
    timers = {"a": partial(time_calls, partial(time.sleep, 0.01))}
    assert len(list(interleave(timers, rounds_within(60, least=2, most=5)))) == 5
    assert 1 <= len(list(interleave(timers, rounds_within(0.1, least=1)))) <= 6


def test_each_round_has_an_order_of_its_own() -> None:
    timers = dict.fromkeys("abcdef", partial(time_calls, int))
    names = [name for name, _ in interleave(timers, rounds_within(0, least=9), random.Random(0))]
    rounds = ["".join(names[start : start + 6]) for start in range(0, len(names), 6)]
    assert all(sorted(each) == list("abcdef") for each in rounds)
    assert len(set(rounds)) > 5


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_off_inside_and_as_before_after(enabled: bool) -> None:
    def run() -> None:
        assert not gc.isenabled()
        raise RuntimeError("engine lost")

    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(RuntimeError, match="engine lost"):
            time_calls(run)
        assert gc.isenabled() is enabled
    finally:
        gc.enable()
