"""Work on a matrix a few rows at a time, in threads, so that memory is bounded by the chunks in work."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from osnet_edge.runtime.errors import InputError

#: Numbers in a chunk's largest array, 64 MB of float32: a matrix product of much fewer rows is slower.
CHUNK_ENTRIES = 16_000_000

T = TypeVar("T")


def in_chunks(
    work: Callable[[slice], T], rows: int, row_entries: int, threads: int, *, entries: int | None = None
) -> list[T]:
    """Return what `work` makes of each chunk of rows, in their order.

    Args:
        work: called with the rows of a chunk; from several threads, since NumPy lets go of the interpreter in
            products, sorts and passes over arrays.
        rows: how many there are.
        row_entries: numbers that a row takes.
        threads: chunks worked on at once.
        entries: numbers in a chunk; None takes `CHUNK_ENTRIES`.

    Raises:
        InputError: `threads` is below 1.
    """
    if threads < 1:
        raise InputError(f"expected 1 thread or more, got {threads}")
    step = max(1, (entries or CHUNK_ENTRIES) // max(1, row_entries))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, (slice(start, start + step) for start in range(0, rows, step))))
