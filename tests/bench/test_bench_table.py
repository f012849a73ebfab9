"""Tables and the summary: what a person reads of a result."""

from __future__ import annotations

import re

import bench_examples as examples
import pytest

from osnet_edge.bench import BenchResult, caution, fastest, markdown_table, summary, text_table

TABLE = """\
engine      precision  size MB  load s  Rank-1 %  Rank-5 %  Rank-10 %  mAP %
----------  ---------  -------  ------  --------  --------  ---------  -----
x0_25-fp32  fp32          1.23   0.321     35.79     45.79      55.79  45.79
x0_25-int8  int8          1.23   0.321     34.75     44.75      54.75  44.75

engine      batch  p50 ms  p90 ms  p95 ms  p99 ms  images/s      speed
----------  -----  ------  ------  ------  ------  --------  ---------
x0_25-fp32      1    1.70    1.77    1.84    1.84       582  reference
x0_25-fp32      8    9.76    10.2    10.5    10.5       811  reference
x0_25-fp32     32    41.9    43.6    45.3    45.3       755  reference
x0_25-int8      1   0.850   0.884   0.918   0.918      1164      2.00x
x0_25-int8      8    7.04    7.32    7.60    7.60      1124      1.39x
x0_25-int8     32    28.2    29.3    30.5    30.5      1123      1.49x
"""


def test_the_terminal_table() -> None:
    assert text_table(examples.result()) == TABLE


CHANGES = """\
engine      mAP points   95 % interval  Rank-1 points   95 % interval
----------  ----------  --------------  -------------  --------------
x0_25-int8       -1.04  -1.62 to -0.48          -1.04  -2.21 to +0.11
"""


def test_what_an_engine_costs_has_a_table_of_its_own_where_it_is_known() -> None:
    engines, latencies = TABLE.split("\n\n")
    assert text_table(examples.compared()) == f"{engines}\n\n{CHANGES}\n{latencies}"
    assert "| x0_25-int8 | -1.04 | -1.62 to -0.48 |" in markdown_table(examples.compared())


def test_the_markdown_tables_have_a_cell_for_every_column() -> None:
    engines, latencies = markdown_table(examples.result()).split("\n\n")
    assert len(engines.splitlines()) == 2 + 2
    assert len(latencies.splitlines()) == 2 + 6
    assert {line.count("|") for line in f"{engines}\n{latencies}".splitlines()} == {9}
    assert engines.splitlines()[1].startswith("| --- | --- | ---: |")
    assert latencies.splitlines()[1].startswith("| --- | ---: |")


def test_names_cannot_break_a_table() -> None:
    result = examples.result(examples.engine("a|b\n\x1b[31m\\", {1: 1.0}, reference=True))
    assert "a\\|b??[31m\\\\" in markdown_table(result)
    assert "\x1b" not in text_table(result)
    assert len(text_table(result).splitlines()) == 3 + 1 + 3


def test_an_engine_without_times_still_has_a_line() -> None:
    result = examples.result(examples.engine("a", {}, reference=True), examples.engine("b", {1: 1.0}, None))
    lines = text_table(result).splitlines()
    assert re.search(r"^a .* 45.00$", lines[2])
    assert re.search(r"^b .* - +- +- +-$", lines[3])
    assert re.search(r"^b +1 +1.00 .* -$", lines[7])
    assert len(lines) == 8


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
        # Scored on other pictures: no share of the reference's mAP is claimed.
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
