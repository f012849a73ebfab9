"""Results set side by side: before and after a change, and machine by machine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import bench_examples as examples
import pytest

from osnet_edge.bench import BenchResult, to_json
from osnet_edge.bench.report.diff import changes
from osnet_edge.bench.report.fleet import choices
from osnet_edge.bench.report.page import fleet_page
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


def on(cpu: str, *engines: examples.EngineResult) -> BenchResult:
    return examples.result(*engines, cpu=cpu)


def test_a_fleet_gets_the_quickest_engine_that_keeps_its_accuracy() -> None:
    base = examples.engine("ref", {1: 2.0}, 0.45, reference=True)
    lossy, fine = examples.engine("lossy", {1: 0.5}, 0.44), examples.engine("fine", {1: 1.0}, 0.449)
    blind = examples.engine("blind", {1: 0.9}, None)
    dead = replace(examples.engine("dead", {}, None), problem="its process died of SIGSEGV")
    found = choices(
        [
            on("nuc", base, lossy, fine),
            # Accuracy that nobody measured cannot be lost.
            on("nano", base, lossy, blind, dead),
            # Nothing is left but what loses too much.
            on("tiny", base, lossy),
        ],
        budget=0.005,
    )
    assert [each.engine for each in found] == ["fine", "blind", None]
    assert found[0].milliseconds == 1.0
    assert found[0].mean_ap_change == pytest.approx(-0.001)
    assert found[0].passed_over == "lossy: -1.00 points"
    assert "dead: its process died of SIGSEGV" in found[1].passed_over
    assert choices([on("tiny", base, lossy)], budget=0.02)[0].engine == "lossy"


def test_results_of_many_machines_merge_into_one_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = []
    for name in ("one", "two"):
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(
            to_json(replace(examples.everything(), machine=examples.result(cpu=name).machine))
        )
    page = tmp_path / "fleet.html"
    assert main(["bench", "merge", *map(str, files), "-o", str(page), "--budget", "2"]) == 0
    out = capsys.readouterr().out
    assert "one, 1 threads" in out
    assert "a frame of 32 people" in out
    text = page.read_text()
    assert "Which engine for which camera" in text
    assert text.count("Repeat it") == 2
    assert main(["bench", "merge", *map(str, files), "-o", str(page), "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("| machine |")


def test_names_of_engines_cannot_write_into_the_fleets_page() -> None:
    hostile = examples.engine("<script>x</script>", {1: 1.0}, reference=True)
    page = fleet_page([on("<script>y</script>", hostile)], 0.005)
    assert "<script>" not in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["diff", "nothing.json", "nothing.json"], "found nothing at nothing.json"),
        (["diff", "R", "R", "--fail-over", "5"], "a share such as 5%"),
        (["diff", "R", "R", "--fail-over", "x%"], "a share such as 5%"),
        (["diff", "R"], "Missing argument 'NEW'"),
        (["merge"], "Missing argument 'RESULTS...'"),
        (["merge", "R", "--budget", "-1"], "points of mAP"),
        (["merge", "BAD", "-o", "x.html"], "BAD: expected a benchmark result in JSON"),
        (["merge", "BYTES", "-o", "x.html"], "is no text"),
        (["merge", "R", "-o", "none/x.html"], "none"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("R").write_text(to_json(examples.result()))
    Path("BAD").write_text("{")
    Path("BYTES").write_bytes(b"\xff\xfe\x00")
    assert main(["bench", *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert len(error.splitlines()) == 1
