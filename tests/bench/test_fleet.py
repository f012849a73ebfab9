"""Results of many machines: the engine to choose for each, and their page."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import bench_examples as examples
import pytest

from osnet_edge.bench import BenchResult, to_json
from osnet_edge.bench.report.fleet import choices
from osnet_edge.bench.report.page import fleet_page
from osnet_edge.cli.main import main


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
            # Accuracy that nobody measured is not within a budget.
            on("nano", base, lossy, blind, fine, dead),
            # Nothing is left but what loses too much, or may.
            on("tiny", base, lossy, blind),
        ],
        budget=0.005,
    )
    assert [each.engine for each in found] == ["fine", "fine", None]
    assert found[0].milliseconds == 1.0
    assert found[0].mean_ap_change == pytest.approx(-0.001)
    assert found[0].passed_over == "lossy: -1.00 points"
    assert "blind: mAP not measured" in found[1].passed_over
    assert found[2].passed_over == "lossy: -1.00 points; blind: mAP not measured"
    assert choices([on("tiny", base, blind)], 0.005, unmeasured=True)[0].engine == "blind"
    assert "dead: its process died of SIGSEGV" in found[1].passed_over
    assert choices([on("tiny", base, lossy)], budget=0.02)[0].engine == "lossy"


@pytest.mark.parametrize(
    ("sentence", "budgets", "chosen", "passed_over"),
    [
        ("of mAP alone", (0.01, None), "lost", ""),
        ("of IDF1 alone", (None, 0.01), "kept", "lost: -2.00 points of IDF1"),
        ("of both", (0.0001, 0.01), None, "lost: -0.50 points, -2.00 points of IDF1; kept: -0.50 points; "
         "blind: -0.50 points, IDF1 not measured"),
        ("of IDF1, more than anybody loses", (None, 0.03), "lost", ""),
    ],
)  # fmt: skip
def test_a_camera_s_engine_can_be_chosen_by_the_identities_it_keeps(
    sentence: str, budgets: tuple[float | None, float | None], chosen: str | None, passed_over: str
) -> None:
    base = examples.engine("ref", {1: 9.0}, 0.45, reference=True)
    names = {"lost": 1.0, "kept": 2.0, "blind": 3.0}
    engines = [examples.engine(name, {1: ms}, 0.445) for name, ms in names.items()]
    result = examples.tracked(on("nuc", base, *engines), 60.0, 58.0, 59.5, None)
    found = choices([result], budgets[0], budget_idf1=budgets[1])[0]
    assert (found.engine, found.passed_over) == (chosen, passed_over)
    if chosen:
        assert found.idf1_change == pytest.approx({"lost": -0.02, "kept": -0.005}[chosen])
    blind = choices([result], 0.005, budget_idf1=0.001, unmeasured=True)[0]
    assert (blind.engine, blind.idf1_change) == ("blind", None)


def test_merge_takes_a_budget_of_identities(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, page = tmp_path / "a.json", tmp_path / "fleet.html"
    file.write_text(to_json(examples.tracked(examples.result(), 62.0, 60.0)))
    merge = ["bench", "merge", str(file), "-o", str(page), "--force"]
    assert main([*merge, "--budget-idf1", "1"]) == 0
    assert "x0_25-int8: -2.00 points of IDF1" in capsys.readouterr().out
    assert "loses no more than 1 points of IDF1" in page.read_text()
    assert main([*merge, "--budget-idf1", "2"]) == 0
    assert re.search(r"x0_25-int8 .*-2\.00", capsys.readouterr().out)
    assert main([*merge, "--budget-idf1", "101"]) == 2
    assert "expected --budget-idf1 in points of IDF1, 0 to 100; got 101" in capsys.readouterr().err


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
    assert re.search(r"one, 1 thread\b", out)
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
