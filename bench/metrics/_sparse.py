"""Rows that are mostly zero, as the few numbers that are not; what re-ranking needs of them and no more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.metrics._checks import FloatArray, IntArray

Columns = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class SparseRows:
    """A matrix in compressed sparse rows.

    Attributes:
        starts: (rows + 1,) where each row begins in the other two, and the end.
        columns: (entries,) the column of each entry, row after row.
        values: (entries,) its value.
    """

    starts: IntArray
    columns: Columns
    values: FloatArray

    @classmethod
    def of(cls, lengths: IntArray, columns: Columns, values: FloatArray) -> SparseRows:
        """Make one from the length of each row."""
        return cls(np.concatenate([[0], np.cumsum(lengths)]), columns, values)

    @classmethod
    def stacked(cls, parts: list[SparseRows]) -> SparseRows:
        """Put matrices one below another."""
        return cls.of(
            np.concatenate([np.diff(part.starts) for part in parts]),
            np.concatenate([part.columns for part in parts]),
            np.concatenate([part.values for part in parts]),
        )

    def part(self, start: int, end: int) -> SparseRows:
        """Return the rows from `start` up to `end`, without copying their entries."""
        first, last = self.starts[start], self.starts[end]
        return SparseRows(
            self.starts[start : end + 1] - first, self.columns[first:last], self.values[first:last]
        )

    def rows(self, chosen: IntArray) -> tuple[Columns, FloatArray, IntArray]:
        """Return the entries of some rows, in their order: columns, values, and how many each row has."""
        starts = self.starts[chosen]
        lengths = self.starts[chosen + 1] - starts
        nth = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        entries = np.repeat(starts, lengths) + nth
        return self.columns[entries], self.values[entries], lengths

    def mean_of(self, rows: IntArray, width: int) -> SparseRows:
        """Return, for each line of `rows` (N, k), the mean of the k rows that it names.

        Args:
            rows: (N, k) row numbers.
            width: columns of the matrix.
        """
        columns, values, lengths = self.rows(rows.ravel())
        line = np.repeat(np.arange(len(rows)), lengths.reshape(rows.shape).sum(axis=1))
        places, inverse = np.unique(line * width + columns, return_inverse=True)
        sums = np.bincount(inverse, values, minlength=len(places)) / rows.shape[1]
        counts = np.bincount(places // width, minlength=len(rows))
        return SparseRows.of(counts, (places % width).astype(np.int32), sums.astype(np.float32))

    def transposed(self, width: int) -> SparseRows:
        """Return columns as rows; `width` is how many columns there are."""
        order = np.argsort(self.columns, kind="stable")
        row = np.repeat(np.arange(len(self.starts) - 1, dtype=np.int32), np.diff(self.starts))
        counts = np.bincount(self.columns, minlength=width)
        return SparseRows.of(counts, row[order], self.values[order])
