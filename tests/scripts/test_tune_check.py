"""The check that the tuner tunes, small: that it runs, and says what was found in which part of the time."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from tune_check import main


def test_the_check_times_all_and_says_what_each_run_found(graph: Path) -> None:
    options = ["--target", "cpu", "--precision", "fp32", "--batch", "1", "--runs", "2"]
    ran = CliRunner().invoke(main, [str(graph), *options], catch_exceptions=False)
    assert ran.exit_code == 0
    assert ran.stdout.startswith("1 candidates; all timed in ")
    assert "run 2: onnxruntime fp32, 1.000 times the best" in ran.stdout
    assert "the best, or one within 5%, in 2 of 2 runs" in ran.stdout
    assert "a rewrite slower than the published graph in 0 of 2 runs" in ran.stdout
