"""Two results of the same engines: what counts as worse."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import bench_examples as examples
import pytest

from osnet_edge.bench import BenchResult, to_json
from osnet_edge.bench.report.diff import changes
from osnet_edge.cli.main import main
from osnet_edge.runtime.errors import InputError


def slower(result: BenchResult, by: float) -> BenchResult:
    """The second engine's times at batch 1, and the turns they are from, grown."""
    engine = result.engines[1]
    first = engine.batches[0]
    latency = replace(
        first.latency,
        **{name: getattr(first.latency, name) * by for name in vars(first.latency) if name.endswith("_ms")},
    )
    turns = tuple(turn * by for turn in first.turns_ms)
    batch = type(first).of(first.batch, latency, turns)
    others = (result.engines[0], replace(engine, batches=(batch, *engine.batches[1:])), *result.engines[2:])
    return replace(result, engines=others)


def less_accurate(result: BenchResult, by: float) -> BenchResult:
    engine = result.engines[1]
    scores = replace(engine.accuracy.scores, mean_ap=engine.accuracy.scores.mean_ap * by)
    scored = replace(engine, accuracy=replace(engine.accuracy, scores=scores))
    return replace(result, engines=(result.engines[0], scored, *result.engines[2:]))


def without(result: BenchResult) -> BenchResult:
    return replace(result, engines=(result.engines[0], *result.engines[2:]))


def broken(result: BenchResult) -> BenchResult:
    gone = replace(result.engines[1], problem="its process died of SIGSEGV")
    return replace(result, engines=(result.engines[0], gone, *result.engines[2:]))


@pytest.mark.parametrize(
    ("change", "worse"),
    [
        # Nothing changed.
        (lambda result: result, []),
        # A tenth slower, by turns that vary by less.
        (lambda result: slower(result, 1.1), ["p50 ms at batch 1"]),
        # Quicker is never worse.
        (lambda result: slower(result, 0.5), []),
        # Within what is allowed.
        (lambda result: slower(result, 1.04), []),
        # Slower than allowed, and within the noise of both runs.
        (lambda result: slower(result, 1.06), []),
        # Four and six points in a hundred of its mAP.
        (lambda result: less_accurate(result, 0.96), []),
        (lambda result: less_accurate(result, 0.94), ["mAP %"]),
        # Gone, or dead.
        (without, ["engine"]),
        (broken, ["engine"]),
    ],
)
def test_what_counts_as_worse(change: object, worse: list[str]) -> None:
    before = examples.everything()
    found = changes(before, change(before), 0.05)  # type: ignore[operator]
    assert [each.what for each in found if each.worse] == worse


def unscored(result: BenchResult) -> BenchResult:
    return replace(
        result, engines=tuple(replace(e, accuracy=None, change_intervals=None) for e in result.engines)
    )


def of_fewer_batches(result: BenchResult) -> BenchResult:
    return replace(result, engines=tuple(replace(each, batches=each.batches[:1]) for each in result.engines))


@pytest.mark.parametrize("other_way", [False, True], ids=["gone", "new"])
@pytest.mark.parametrize(
    ("change", "figure"),
    [
        pytest.param(unscored, "mAP %", id="accuracy was not measured"),
        pytest.param(of_fewer_batches, "p50 ms at batch 8", id="a batch was not measured"),
    ],
)
def test_what_was_not_measured_is_neither_good_nor_bad_and_is_said(
    change: Callable[[BenchResult], BenchResult], figure: str, other_way: bool
) -> None:
    old, new = examples.everything(), change(examples.everything())
    found = changes(new, old, 0.05) if other_way else changes(old, new, 0.05)
    assert not any(each.worse for each in found)
    said = {each.text for each in found if each.what == figure and each.engine == "x0_25-int8"}
    assert said == {f"not measured in the {'old' if other_way else 'new'} result"}


def test_another_set_is_neither_good_nor_bad() -> None:
    engines = [examples.engine("a", {1: 1.0}, 0.9, reference=True)]
    other = [examples.engine("a", {1: 1.0}, 0.1, reference=True, data_set="hard")]
    found = changes(examples.result(*engines), examples.result(*other), 0.05)
    assert [(each.worse, each.text) for each in found if "mAP" in each.what] == [(False, "on another set")]


@pytest.mark.parametrize(
    ("sentence", "idf1", "threshold", "worse", "said"),
    [
        ("by six points in a hundred", 56.4, 0.6, True, "60.0 to 56.4, -6.0 %"),
        ("by less than is allowed", 57.6, 0.6, False, ""),
        (
            "by another threshold",
            30.0,
            0.5,
            False,
            "in other sequences, or by another rule",
        ),
        ("not measured", None, 0.6, False, "not measured in the new result"),
    ],
)
def test_identities_lost_are_judged_like_map(
    sentence: str, idf1: float | None, threshold: float, worse: bool, said: str
) -> None:
    before = examples.tracked(examples.result(), 62.0, 60.0)
    after = examples.tracked(examples.result(), 62.0, idf1, threshold=threshold)
    found = [each for each in changes(before, after, 0.05) if each.what == "IDF1 %"]
    assert [(each.worse, each.text) for each in found if each.engine == "x0_25-int8"] == [(worse, said)]


def other_input(result: BenchResult) -> BenchResult:
    return replace(result, engines=tuple(replace(each, input_size=(160, 64)) for each in result.engines))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(
            lambda r: replace(r, settings=replace(r.settings, threads=2)),
            "threads: 1 in the old result, 2 in the new",
            id="threads",
        ),
        pytest.param(
            lambda r: replace(r, machine=replace(r.machine, cpu="Other")),
            "processor: Some CPU in the old result, Other in the new",
            id="processor",
        ),
        pytest.param(
            lambda r: replace(r, machine=replace(r.machine, logical_cores=8)),
            "cores allowed: 2 in the old result, 8 in the new",
            id="cores",
        ),
        pytest.param(
            other_input, "input of x0_25-int8: 256x128 in the old result, 160x64 in the new", id="input size"
        ),
    ],
)
def test_times_under_unlike_conditions_are_not_judged(
    change: Callable[[BenchResult], BenchResult],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = examples.everything()
    base = replace(base, engines=tuple(replace(each, input_size=(256, 128)) for each in base.engines))
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(to_json(base))
    new.write_text(to_json(change(slower(base, 3.0))))
    # A gate that let this pass would be open from the day on which its machine is replaced.
    assert main(["bench", "diff", str(old), str(new)]) == 2
    assert "expected two results of like conditions" in capsys.readouterr().err.splitlines()[-1]
    assert main(["bench", "diff", str(old), str(new), "--allow-unlike"]) == 0
    shown = capsys.readouterr()
    assert f"unlike {said}" in shown.err
    assert "not judged, unlike" in shown.out


def test_what_got_worse_under_unlike_conditions_is_worse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Accuracy goes by no machine."""
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(to_json(examples.everything()))
    other = less_accurate(examples.everything(), 0.5)
    new.write_text(to_json(replace(other, settings=replace(other.settings, threads=2))))
    assert main(["bench", "diff", str(old), str(new), "--allow-unlike"]) == 1
    assert main(["bench", "diff", str(old), str(new)]) == 1
    assert "worse: x0_25-int8, mAP %" in capsys.readouterr().err


def test_results_of_other_engines_do_not_compare() -> None:
    other = examples.result(examples.engine("else", {1: 1.0}, reference=True))
    with pytest.raises(InputError, match="two results of the same engines"):
        changes(examples.result(), other, 0.05)


def test_diff_fails_a_users_ci(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(to_json(examples.everything()))
    new.write_text(to_json(slower(examples.everything(), 1.3)))
    assert main(["bench", "diff", str(old), str(new), "--fail-over", "5%"]) == 1
    shown = capsys.readouterr()
    assert "worse: x0_25-int8, p50 ms at batch 1: 0.850 to 1.10, +30.0 %" in shown.err
    assert main(["bench", "diff", str(old), str(new), "--fail-over", "31%"]) == 0
    capsys.readouterr()
    assert main(["bench", "diff", str(new), str(old), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fail_over"] == 0.05
