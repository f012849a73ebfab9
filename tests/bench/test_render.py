"""A table's columns, described once, in each rendering."""

from __future__ import annotations

from osnet_edge.bench.report import numbers
from osnet_edge.bench.report.render import Cell, Column, Table, aligned, markdown

ROWS = [("a|b\x1b", 0.5, (0.4, 0.6)), ("c", None, None)]
COLUMNS: list[Column[tuple[str, float | None, tuple[float, float] | None]]] = [
    Column(lambda row: row[0], page="Set", text="set", csv="set", words=True),
    Column(
        lambda row: row[1],
        numbers.percent,
        page="mAP",
        unit="%",
        text="mAP %",
        csv="mean_ap",
        below=lambda row: [numbers.between(row[2])] if row[2] else [],
        priority=2,
    ),
    Column(lambda row: row[2], csv="interval"),
    Column(lambda _: 1, page="Rank", priority=1),
]


def test_a_column_is_in_each_rendering_that_it_has_a_heading_for() -> None:
    table = Table(COLUMNS, ROWS, group=lambda row: row[0])
    assert aligned(table.as_text()) == "set   mAP %\n----  -----\na|b?  50.00\nc         -\n"
    assert markdown(table.as_text()).splitlines()[1:3] == ["| --- | ---: |", "| a\\|b? | 50.00 |"]
    assert table.records() == [
        {"set": "a|b\x1b", "mean_ap": 0.5, "interval": (0.4, 0.6)},
        {"set": "c", "mean_ap": None, "interval": None},
    ]
    assert [each.page for each in table.page_columns] == ["Set", "Rank", "mAP"]
    (name, rows), second = table.groups()
    assert (name, second[0]) == ("a|b\x1b", "c")
    assert rows == [(ROWS[0], [Cell("a|b\x1b", (), True), Cell("1"), Cell("50.00", ["0.400 to 0.600"])])]
