"""The result in a sentence."""

from __future__ import annotations

import re

import bench_examples as examples
import pytest

from osnet_edge.bench import BenchResult, caution, fastest, summary

FP32 = examples.engine("fp32", {1: 2.0, 8: 9.0}, 0.5, reference=True)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        # The usual case: something beats the reference and loses a little.
        (
            examples.result(FP32, examples.engine("int8", {1: 1.0, 8: 10.0}, 0.49)),
            "At batch 1, int8 takes 1.00 ms a call (p50), 2.00 times as fast as fp32; "
            "it keeps 98.0 % of its mAP (49.00 % against 50.00 % on synthetic).",
        ),
        # So near that the same engine twice may show it.
        (
            examples.result(FP32, examples.engine("again", {1: 2.05}, None)),
            "At batch 1, again takes 2.05 ms a call (p50), about as fast as fp32; "
            "its accuracy was not measured.",
        ),
        # Several to choose from: the reference is not one of them, and that nothing beats it shows.
        (
            examples.result(FP32, examples.engine("a", {1: 3.0}, 0.4), examples.engine("b", {1: 2.5}, 0.49)),
            "At batch 1, b is the fastest of 2 engines: 2.50 ms a call (p50), 0.80 times as fast as fp32; "
            "it keeps 98.0 % of its mAP (49.00 % against 50.00 % on synthetic).",
        ),
        # Fast, but nobody looked at what it says.
        (
            examples.result(FP32, examples.engine("int8", {1: 1.0}, None)),
            "At batch 1, int8 takes 1.00 ms a call (p50), 2.00 times as fast as fp32; "
            "its accuracy was not measured.",
        ),
        # Scored on other images: no share of the reference's mAP is claimed.
        (
            examples.result(FP32, examples.engine("int8", {1: 1.0}, 0.9, data_set="easy")),
            "At batch 1, int8 takes 1.00 ms a call (p50), 2.00 times as fast as fp32; "
            "its mAP is 90.00 % and its Rank-1 80.00 % on easy.",
        ),
        # The smallest batch that all share is not 1.
        (
            examples.result(FP32, examples.engine("b8", {8: 4.5}, None)),
            "At batch 8, b8 takes 4.50 ms a call (p50), 2.00 times as fast as fp32; "
            "its accuracy was not measured.",
        ),
        # A single engine.
        (
            examples.result(FP32),
            "fp32 takes 2.00 ms a call (p50) at batch 1; "
            "its mAP is 50.00 % and its Rank-1 40.00 % on synthetic.",
        ),
        # An engine too quick for the clock: no ratio is claimed.
        (
            examples.result(FP32, examples.engine("stub", {1: 0.0}, None)),
            "At batch 1, stub takes 0.000 ms a call (p50); its accuracy was not measured.",
        ),
        # Nothing in common.
        (
            examples.result(FP32, examples.engine("b4", {4: 4.5}, None)),
            "No batch size was measured for every engine, so they cannot be ranked by speed.",
        ),
    ],
)
def test_the_summary(result: BenchResult, expected: str) -> None:
    assert summary(result) == expected


def test_the_fastest_is_none_where_nothing_compares() -> None:
    assert fastest(examples.result(FP32, examples.engine("b4", {4: 4.5}))) is None


def test_a_noisy_machine_is_said_to_be_one() -> None:
    assert caution(examples.result()) is None
    noisy = caution(examples.result(examples.engine("a", {1: 1.0}, reference=True, spread=0.5)))
    assert noisy is not None
    assert re.search(r"reaches \d+ % of their mean", noisy)
