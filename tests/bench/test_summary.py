"""The result in a sentence."""

from __future__ import annotations

import re
from dataclasses import replace

import bench_examples as examples
import pytest

from osnet_edge.bench import (
    BatchLatency,
    BenchResult,
    caution,
    fastest,
    html_report,
    markdown_table,
    summary,
    text_table,
)

FP32 = examples.engine("fp32", {1: 2.0, 8: 9.0}, 0.5, reference=True)


def turned(result: BenchResult, *turns_ms: float) -> BenchResult:
    """Give the second engine these turns in ms, again and again, where the reference has 2 ms each time."""
    engines = []
    for engine, turns in zip(result.engines, ((2.0,) * 12, turns_ms * (12 // len(turns_ms))), strict=True):
        batch = engine.batches[0]
        engines.append(replace(engine, batches=(BatchLatency.of(batch.batch, batch.latency, turns),)))
    return examples.result(*engines)


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
        # Several to choose from, and the reference is faster than each: it says so, and by how much.
        (
            examples.result(FP32, examples.engine("a", {1: 3.0}, 0.4), examples.engine("b", {1: 2.5}, 0.49)),
            "At batch 1, fp32 is faster than both engines: 1.25 times as fast as b, the fastest of them, "
            "which takes 2.50 ms a call (p50); it keeps 98.0 % of its mAP "
            "(49.00 % against 50.00 % on synthetic).",
        ),
        # One engine, and the reference is faster.
        (
            examples.result(FP32, examples.engine("int8", {1: 4.0}, None)),
            "At batch 1, fp32 is faster, 2.00 times as fast as int8, which takes 4.00 ms a call (p50); "
            "its accuracy was not measured.",
        ),
        # Rounds that say both: neither is called faster.
        (
            turned(examples.result(FP32, examples.engine("int8", {1: 1.0}, None)), 1.0, 4.0),
            "At batch 1, int8 takes 1.00 ms a call (p50), not significantly different from fp32 "
            "(1.25 times as fast, 0.50 to 2.00); its accuracy was not measured.",
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


def test_the_warning_stands_beside_each_ratio_that_it_touches() -> None:
    quiet, busy = (
        examples.engine("quiet", {1: 1.0, 8: 8.0}),
        examples.engine("busy", {1: 1.0, 8: 8.0}, spread=0.5),
    )
    result = examples.result(FP32, quiet, busy)
    for text in (text_table(result), markdown_table(result)):
        marked = [line for line in text.splitlines() if re.search(r"\dx busy", line)]
        assert len(marked) == 2
        assert all("busy  " in line or "| busy" in line for line in marked)
    # Once in the engines' table, and at both batches.
    assert html_report([result]).count("<small>busy</small>") == 3


def test_inputs_of_unlike_sizes_are_said() -> None:
    large = replace(FP32, input_size=(256, 128))
    small = replace(examples.engine("small", {1: 1.0}), input_size=(160, 64))
    assert caution(examples.result(large, replace(small, input_size=(256, 128)))) is None
    said = caution(examples.result(large, small))
    assert said is not None
    assert "(256x128: fp32; 160x64: small)" in said


def test_the_cards_say_what_the_table_says() -> None:
    """The reference is the quickest of the table, so that the card names it too."""
    page = html_report([examples.result(FP32, examples.engine("slow", {1: 4.0}, 0.4))])
    cards = re.findall(r'class="value">([^<]*)</div>\s*<div class="soft">([^<]*)<', page)
    assert ("2.00 ms", "fp32, batch 1, p50") in cards
    assert [where.split(",")[0] for _, where in cards] == ["fp32"] * 3
