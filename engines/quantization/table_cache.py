"""Finding the calibration table of a graph and a set: made once, and kept beside the set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osnet_edge.engines.calibration import CalibrationPicture, CalibrationSet, load_pictures
from osnet_edge.engines.graph.reading import ExportedGraph
from osnet_edge.engines.graph.running import batches_of
from osnet_edge.engines.quantization.table import CalibrationTable, make_table, read_table, write_table
from osnet_edge.runtime.preprocessing import Preprocessing

#: Pictures at once: four of x1.0's keep 400 MB of activations.
_BATCH = 4


def find_table(
    graph: ExportedGraph,
    calibration: CalibrationSet,
    file: Path,
    progress: Callable[[str], None] = lambda step: None,
) -> CalibrationTable:
    """Read the table beside a calibration set, or make it.

    Args:
        graph: the float32 graph.
        calibration: the set.
        file: of the set; `calib.json` has its tables in `calib.GRAPH.table.json`, by the graph's hash.
        progress: told what is being done.

    Raises:
        InputError: a picture vanished or was changed, an activation is not finite, a tensor has no range, or
            the file in the table's place is none.
    """
    place = file.with_name(f"{file.stem}.{graph.sha256[:12]}.table.json")
    pictures = hash_pictures(calibration)
    if place.is_file():
        table = read_table(place)
        if (table.graph_sha256, table.pictures_sha256) == (graph.sha256, pictures):
            progress(f"ranges are known from {place.name}")
            return table
    total, done = len(calibration.pictures), 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        if done % 64 < count or done == total:
            progress(f"finding ranges: {done:,} of {total:,} pictures")

    table = make_table(
        graph.model,
        read_batches(calibration.pictures, graph.info.preprocessing, _BATCH),
        graph_sha256=graph.sha256,
        pictures_sha256=pictures,
        progress=tell,
    )
    write_table(table, place)
    return table


def hash_pictures(calibration: CalibrationSet) -> str:
    """Return a hash of what the pictures of a set are: their files' hashes and boxes, in order."""
    text = "\n".join(f"{each.sha256} {each.box}" for each in calibration.pictures)
    return hashlib.sha256(text.encode()).hexdigest()


def read_batches(
    pictures: tuple[CalibrationPicture, ...], preprocessing: Preprocessing, batch: int
) -> Iterator[npt.NDArray[np.generic]]:
    """Return pictures as the engine's input, `batch` at a time, each read when it is wanted.

    Raises:
        InputError: a picture vanished, was changed, or cannot be decoded.
    """
    return batches_of(load_pictures(pictures), preprocessing, batch)
