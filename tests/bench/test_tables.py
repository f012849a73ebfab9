"""A result's tables in text, Markdown and CSV."""

from __future__ import annotations

import csv
import io
import re

import bench_examples as examples
import pytest

from osnet_edge.bench import csv_table, markdown_table, text_table

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


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_a_name_that_a_spreadsheet_would_compute_is_quoted_in_the_csv(begin: str) -> None:
    name = f'{begin}HYPERLINK("http://x","y")'
    result = examples.result(examples.engine("a", {}, reference=True), examples.engine(name, {1: 1.0}))
    rows = list(csv.DictReader(io.StringIO(csv_table(result), newline="")))
    assert [row["engine"] for row in rows] == ["a", f"'{name}"]


def test_the_csv_has_a_row_for_each_job() -> None:
    rows = csv_table(examples.everything()).splitlines()
    assert len(rows) == 1 + (3 + 1) + (3 + 1) + (1 + 1) + 1 + 1
    assert ",False,True,0.613,0.0317,0.6283,0.0113,0.7417," in rows[-2]
    assert rows[0].startswith("engine,role,variant,precision")
    assert rows[-1].endswith("no NVIDIA driver is installed")
