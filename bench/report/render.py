"""Tables whose columns are described once, as cells of a page, aligned text, Markdown and records for CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile
from typing import Any, Generic, TypeVar

from osnet_edge.bench.report import numbers

Row = TypeVar("Row")


@dataclass(frozen=True)
class Cell:
    """A cell of a page: its text, smaller lines below it, and whether it holds words, not a number."""

    text: str
    below: Sequence[str] = ()
    words: bool = False


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column of a table. A rendering for which it has no heading does not show it.

    Attributes:
        value: of a row; None where there is none.
        shown: the value as people read it.
        page: heading on the page.
        unit: on the page, below the heading.
        text: heading in aligned text and Markdown.
        csv: heading in CSV, which has the value itself.
        words: whether it holds words, to the left, and no numbers, to the right.
        below: smaller lines below the value on the page, such as its interval.
        in_text: the cell in text, where that says more or less than `shown`.
        priority: on the page the columns of a lower one come first, since a phone shows only the first ones.
    """

    value: Callable[[Row], Any]
    shown: Callable[[Any], str] = str
    page: str = ""
    unit: str = ""
    text: str = ""
    csv: str = ""
    words: bool = False
    below: Callable[[Row], Sequence[str]] = lambda _: ()
    in_text: Callable[[Row], str] | None = None
    priority: int = 0

    def read(self, row: Row) -> str:
        """Return the value of a row as people read it."""
        value = self.value(row)
        return numbers.MISSING if value is None else self.shown(value)


@dataclass(frozen=True)
class Table(Generic[Row]):
    """Rows under described columns.

    Attributes:
        columns: in the order of text.
        rows: what the columns take their values from.
        title: heading on the page.
        note: what the columns mean.
        missing: what the page says where there are no rows; "" leaves the section out.
        group: name of what a row is of, where the page heads rows of the same with it.
    """

    columns: Sequence[Column[Row]]
    rows: Sequence[Row]
    title: str = ""
    note: str = ""
    missing: str = ""
    group: Callable[[Row], str] = lambda _: ""

    @property
    def page_columns(self) -> list[Column[Row]]:
        """The columns of the page."""
        return sorted((each for each in self.columns if each.page), key=lambda each: each.priority)

    def groups(self) -> Iterator[tuple[str, list[tuple[Row, list[Cell]]]]]:
        """Yield the name of each group, and its rows with their cells on the page."""
        for name, rows in groupby(self.rows, self.group):
            yield name, [(row, [*map(self._cell(row), self.page_columns)]) for row in rows]

    def as_text(self) -> TextTable:
        """Return the cells of text."""
        columns = [each for each in self.columns if each.text]
        rows = [
            [numbers.printable(each.in_text(row) if each.in_text else each.read(row)) for each in columns]
            for row in self.rows
        ]
        headers = tuple(numbers.printable(each.text) for each in columns)
        return TextTable(headers, rows, sum(1 for _ in takewhile(lambda each: each.words, columns)))

    def records(self) -> list[dict[str, Any]]:
        """Return the values of each row by the names of CSV."""
        return [{each.csv: each.value(row) for each in self.columns if each.csv} for row in self.rows]

    @staticmethod
    def _cell(row: Row) -> Callable[[Column[Row]], Cell]:
        return lambda column: Cell(column.read(row), column.below(row), column.words)


@dataclass(frozen=True)
class TextTable:
    """Cells of text under headers.

    Attributes:
        headers: of the columns.
        rows: a cell for each header.
        words: how many columns, from the left, hold words; the others hold numbers, and align to the right.
    """

    headers: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    words: int = 1


def aligned(table: TextTable) -> str:
    """Return the table with columns two spaces apart.

    Example:
        >>> print(aligned(TextTable(("set", "mAP %"), [["viper", "45.79"], ["a", "5.00"]])), end="")
        set    mAP %
        -----  -----
        viper  45.79
        a       5.00
    """
    widths = [max(map(len, column)) for column in zip(table.headers, *table.rows, strict=True)]
    rows = [table.headers, ["-" * width for width in widths], *table.rows]
    lines = (
        "  ".join(
            cell.ljust(width) if column < table.words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
    return "\n".join(lines) + "\n"


def markdown(table: TextTable) -> str:
    """Return the table in Markdown (GitHub flavour).

    Example:
        >>> print(markdown(TextTable(("set", "mAP %"), [["viper", "45.79"]])), end="")
        | set | mAP % |
        | --- | ---: |
        | viper | 45.79 |
    """
    rules = ["---" if column < table.words else "---:" for column in range(len(table.headers))]
    cells = [[cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row] for row in table.rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in (table.headers, rules, *cells))
