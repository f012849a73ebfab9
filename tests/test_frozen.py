"""What users see, as it was: a change inside the house changes none of it.

Where a change of a text is meant, write it anew with `.venv/bin/python tests/test_frozen.py` and read the
diff.
`frozen/before/` is what the version before processors were written down made of drawn people; it stays.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import numpy as np
import pytest

import osnet_edge.runtime
from osnet_edge.bench import BenchResult, csv_table, from_json, html_report, markdown_table, text_table
from osnet_edge.cli.main import cli, main
from osnet_edge.engines.calibration import load_pictures, read_calibration_set
from osnet_edge.engines.tuning.candidate import Candidate
from osnet_edge.engines.tuning.halving import Plan
from osnet_edge.engines.tuning.measure import choose
from osnet_edge.engines.tuning.quick import LIBRARY, PRECISION
from osnet_edge.engines.tuning.race import Race
from osnet_edge.runtime import Embedder, read_manifest

FROZEN = Path(__file__).parent / "frozen"
BEFORE = FROZEN / "before"


def said(arguments: Sequence[str]) -> str:
    """Standard output of a command."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        assert main(arguments) == 0
    return output.getvalue()


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, and of its group before it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        yield (*path, name)
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def help_of_all() -> str:
    """The help of every command, one after the other."""
    return "\n".join(said([*words, "--help"]) for words in ((), *commands(cli)))


def stored_result() -> BenchResult:
    return from_json((BEFORE / "result.json").read_text())


TEXTS: dict[str, Callable[[], str]] = {
    "help.txt": help_of_all,
    "runtime_names.txt": lambda: "\n".join(sorted(osnet_edge.runtime.__all__)) + "\n",
    "result.csv": lambda: csv_table(stored_result()),
    "result.md": lambda: markdown_table(stored_result()),
    "result.txt": lambda: text_table(stored_result()),
}


@pytest.mark.parametrize("name", TEXTS)
def test_what_users_read_is_as_it_was(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert TEXTS[name]() == (FROZEN / name).read_text(encoding="utf-8")


def test_every_name_of_the_runtime_is_there() -> None:
    for name in (FROZEN / "runtime_names.txt").read_text().split():
        assert getattr(osnet_edge.runtime, name).__name__ == name


@pytest.mark.parametrize(("name", "size"), [("float32", 8), ("int8", 512)])
def test_a_package_of_before_is_loaded_proven_and_shown(name: str, size: int) -> None:
    embedder = Embedder.load(BEFORE / name)
    assert embedder.prove() <= read_manifest(BEFORE / name).golden.max_centred_distance
    assert embedder([np.zeros((90, 40, 3), np.uint8)]).shape == (1, size)
    assert "golden pairs   hold" in said(["inspect", str(BEFORE / name), "--prove"])


def test_a_calibration_set_of_before_is_read() -> None:
    found = read_calibration_set(BEFORE / "calib.json")
    assert len(list(load_pictures(found.pictures))) == 8


def test_a_result_of_before_becomes_a_page() -> None:
    assert "<h1>" in html_report([stored_result()])


@pytest.mark.parametrize(
    ("onnxruntime_ms", "openvino_ms", "chosen"),
    [
        (10.0, 9.4, "openvino"),
        (10.0, 9.6, "onnxruntime"),
        (74.5, 14.4, "openvino"),
        (2.0, 3.9, "onnxruntime"),
    ],
)
def test_cpu_fastest_chooses_by_recorded_times_as_it_did(
    onnxruntime_ms: float, openvino_ms: float, chosen: str
) -> None:
    times = {Candidate("onnxruntime", "fp32"): onnxruntime_ms, Candidate("openvino", "fp32"): openvino_ms}
    assert chosen_by(times, LIBRARY).backend == chosen


def chosen_by(
    milliseconds: dict[Candidate, float], plan: Plan, refused: tuple[Candidate, ...] = ()
) -> Candidate:
    """What is chosen by recorded medians, as if every round had measured them."""
    rounds = [{str(each): (ms,) for each, ms in milliseconds.items()}] * plan.last
    candidates, race = tuple(milliseconds), Race(str(next(iter(milliseconds))))
    race.add(rounds)
    return choose(
        candidates, race, rounds, lambda each: "loses too much" if each in refused else None, plan.gain
    )[0]


ORT, OV, BF16, INT8 = (
    Candidate("onnxruntime", "fp32"),
    Candidate("openvino", "fp32"),
    Candidate("openvino", "bf16"),
    Candidate("openvino", "int8"),
)


@pytest.mark.parametrize(
    ("sentence", "milliseconds", "refused", "chosen"),
    [
        ("x1.0 on Zen 4", {ORT: 84.3, OV: 89.3, BF16: 48.1, INT8: 36.1}, (), INT8),
        ("INT8 loses too much", {ORT: 84.3, OV: 89.3, BF16: 48.1, INT8: 36.1}, (INT8,), BF16),
        ("both do", {ORT: 84.3, OV: 89.3, BF16: 48.1, INT8: 36.1}, (INT8, BF16), ORT),
        ("INT8 gains too little", {ORT: 84.3, OV: 89.3, BF16: 36.5, INT8: 36.1}, (), BF16),
        ("it does beside what is refused", {ORT: 84.3, OV: 89.3, BF16: 36.5, INT8: 36.1}, (BF16,), INT8),
        ("x0.25 on AVX2", {ORT: 26.1, OV: 26.9, INT8: 31.0}, (), ORT),
    ],
)
def test_auto_chooses_by_recorded_times_as_it_did(
    sentence: str,
    milliseconds: dict[Candidate, float],
    refused: tuple[Candidate, ...],
    chosen: Candidate,
) -> None:
    assert chosen_by(milliseconds, PRECISION, refused) == chosen


if __name__ == "__main__":
    import os

    os.environ["COLUMNS"] = "80"
    for file, text in TEXTS.items():
        (FROZEN / file).write_text(text(), encoding="utf-8")
