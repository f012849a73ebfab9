"""The check that the tuner tunes, small: that it runs, and says what was found in which part of the time."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner
from needs import needs_openvino
from tune_check import main


@needs_openvino
def test_the_check_times_all_and_says_what_each_run_found(graph: Path) -> None:
    options = ["--target", "cpu:fastest", "--precision", "fp32", "--batch", "1", "--runs", "2"]
    ran = CliRunner().invoke(main, [str(graph), *options], catch_exceptions=False)
    assert ran.exit_code == 0
    assert ran.stdout.startswith("2 candidates; all timed in ")
    found = re.findall(
        r"run \d: (?:onnxruntime fp32|openvino fp32 best=1), ([\d.]+) times the best", ran.stdout
    )
    ratios = [float(each) for each in found]
    assert len(ratios) == 2
    # Which of the two is the best is the machine's to say; the summary follows from the ratios.
    assert all(each >= 1 for each in ratios)
    near = sum(each <= 1.05 for each in ratios)
    assert f"the best, or one within 5%, in {near} of 2 runs" in ran.stdout
    assert "a rewrite slower than the published graph in 0 of 2 runs" in ran.stdout
