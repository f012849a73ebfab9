"""Tables of text: aligned for a terminal, and in Markdown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Cells under headers.

    Attributes:
        headers: of the columns.
        rows: a cell for each header.
        words: how many columns, from the left, hold words; the others hold numbers, and align to the right.
    """

    headers: tuple[str, ...]
    rows: list[list[str]]
    words: int = 1


def aligned(table: Table) -> str:
    """Return the table with columns two spaces apart.

    Example:
        >>> print(aligned(Table(("set", "mAP %"), [["viper", "45.79"], ["a", "5.00"]])), end="")
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


def markdown(table: Table) -> str:
    """Return the table in Markdown (GitHub flavour).

    Example:
        >>> print(markdown(Table(("set", "mAP %"), [["viper", "45.79"]])), end="")
        | set | mAP % |
        | --- | ---: |
        | viper | 45.79 |
    """
    rules = ["---" if column < table.words else "---:" for column in range(len(table.headers))]
    cells = [[cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row] for row in table.rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in (table.headers, rules, *cells))
