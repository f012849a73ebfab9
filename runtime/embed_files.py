"""Picture files to embeddings: the next images are read while these are embedded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.preprocessing import Picture

#: Batches read ahead; one is enough to keep the network busy, the second evens out large images.
_AHEAD = 2


def embed_files(
    embed: Callable[[list[Picture]], Any],
    paths: Sequence[Path | str],
    *,
    batch: int = 32,
    read: Callable[[Path | str], Picture] = read_picture,
    progress: Callable[[int], None] = lambda count: None,
) -> NDArray[np.float32]:
    """Embed images a batch at a time, in the order of their paths.

    Memory holds three batches of images and all embeddings.

    Args:
        embed: takes a list of at most `batch` (H, W, 3) uint8 RGB crops and returns one (D,) row for each, as
            an `Embedder` does.
        paths: the images, one or more.
        batch: how many images to embed at once.
        read: makes a crop of a path, in a thread of its own.
        progress: called with how many images were just done.

    Returns:
        (N, D) float32.

    Raises:
        InputError: there is no image, one cannot be read, `batch` is below 1, or `embed` returns something
            else than one row per image.
    """
    if not paths:
        raise InputError("expected one image or more to embed, but got none")
    if batch < 1:
        raise InputError(f"expected a batch of 1 image or more, but got {batch}")
    rows = []
    for crops in _read_ahead(paths, batch, read):
        rows.append(_checked_rows(embed(crops), len(crops)))
        progress(len(crops))
    return np.concatenate(rows)


def _read_ahead(
    paths: Sequence[Path | str], size: int, read: Callable[[Path | str], Picture]
) -> Iterator[list[Picture]]:
    def load(start: int) -> list[Picture]:
        return [read(path) for path in paths[start : start + size]]

    with ThreadPoolExecutor(1) as reader:
        starts = iter(range(0, len(paths), size))
        pending: deque[Future[list[Picture]]] = deque()
        pending.extend(reader.submit(load, start) for start in islice(starts, _AHEAD))
        while pending:
            crops = pending.popleft().result()
            pending.extend(reader.submit(load, start) for start in islice(starts, 1))
            yield crops


def _checked_rows(rows: Any, count: int) -> NDArray[np.float32]:
    # A copy, because an engine may hand out its own output buffer and overwrite it in the next call.
    copied = np.array(rows, dtype=np.float32)
    if copied.ndim != 2 or len(copied) != count:
        raise InputError(
            f"expected the engine to return {count} rows, one per image, but it returned an array of "
            f"shape {copied.shape}"
        )
    return copied
