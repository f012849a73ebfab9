"""Embeddings checked, and the distances between two sets of them, all at once or a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.golden import normalize_rows

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

#: Numbers in a chunk's largest array, 64 MB of float32: a matrix product of much fewer rows is slower.
CHUNK_ENTRIES = 16_000_000

T = TypeVar("T")


def checked_features(features: Any, name: str) -> FloatArray:
    """Return `features` as a finite float32 (rows, width) array, or raise an `InputError` naming it."""
    array = np.asarray(features)
    if array.ndim != 2 or array.size == 0:
        raise InputError(
            f"expected {name} features of shape (images, width) with at least one of each, "
            f"but they have shape {array.shape}; pass one row per image"
        )
    if array.dtype.kind not in "fiu":
        raise InputError(f"expected {name} features to be numbers, but their dtype is {array.dtype}")
    array = array.astype(np.float32, copy=False)
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        raise InputError(
            f"expected finite {name} features, but row {int(np.argmin(finite))} ({int((~finite).sum())} rows "
            "in all) holds NaN or infinity; check the engine that made them against its golden pairs"
        )
    return array


def checked_feature_pair(query: Any, gallery: Any) -> tuple[FloatArray, FloatArray]:
    """Return both sides checked, and of one width."""
    query, gallery = checked_features(query, "query"), checked_features(gallery, "gallery")
    if query.shape[1] != gallery.shape[1]:
        raise InputError(
            f"expected query and gallery features of one width, but they have {query.shape[1]} and "
            f"{gallery.shape[1]} columns; embed both with the same engine"
        )
    return query, gallery


@dataclass(frozen=True, eq=False)
class Distances:
    """What every distance here is: `query_terms + gallery_terms + query . gallery`, worked out on demand.

    Scales and signs are folded into `query` once, so that a chunk of the matrix costs one product and one or
    two additions in place, and memory is the chunk's.

    Attributes:
        query: (Q, D), scaled.
        gallery: (G, D).
        query_terms: (Q,) added to a query's distances.
        gallery_terms: (G,) added to a gallery entry's distances, or None where they are all zero.
    """

    query: FloatArray
    gallery: FloatArray
    query_terms: FloatArray
    gallery_terms: FloatArray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Queries and gallery entries."""
        return len(self.query), len(self.gallery)

    def rows(self, part: slice = slice(None)) -> FloatArray:
        """Return the distances of some queries to the whole gallery, as an array of its own."""
        distances: FloatArray = self.query[part] @ self.gallery.T
        distances += self.query_terms[part, None]
        if self.gallery_terms is not None:
            distances += self.gallery_terms
        return distances

    def pairs(self, query: IntArray, gallery: IntArray) -> FloatArray:
        """Return the distances (N,) of N pairs, given by their places on either side."""
        distances: FloatArray = np.einsum("nd,nd->n", self.query[query], self.gallery[gallery])
        distances += self.query_terms[query]
        return distances if self.gallery_terms is None else distances + self.gallery_terms[gallery]


def measure(query: Any, gallery: Any, distance: str) -> Distances:
    """Prepare the distances of one kind between two sets of embeddings.

    Args:
        query: (Q, D) embeddings.
        gallery: (G, D) embeddings.
        distance: "cosine" or "euclidean", see `cosine_distances` and `euclidean_distances`.

    Raises:
        InputError: an array is empty, not finite, the widths differ, or the distance has another name.
    """
    if distance not in DISTANCES:
        raise InputError(f"expected a distance of {', '.join(DISTANCES)}, but got {distance!r}")
    return DISTANCES[distance](*checked_feature_pair(query, gallery))


def cosine_distances(query: Any, gallery: Any) -> FloatArray:
    """Return one minus the cosine of the angle between every query and every gallery row.

    `1 - q.g / (|q| |g|)`, computed in float32 as torchreid's `cosine_distance` does. A row of zeros has no
    direction; it comes out at distance 1 from everything.

    Args:
        query: (Q, D) embeddings, any scale.
        gallery: (G, D) embeddings, any scale.

    Returns:
        (Q, G) float32 in [0, 2], up to rounding (a value may come out as -1e-7).

    Raises:
        InputError: an array is empty, not finite, or the widths differ.

    Example:
        >>> cosine_distances([[1.0, 0.0]], [[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]]).tolist()
        [[0.0, 1.0, 2.0]]
    """
    return measure(query, gallery, "cosine").rows()


def euclidean_distances(query: Any, gallery: Any) -> FloatArray:
    """Return the squared Euclidean distance between every query and every gallery row.

    `|q|^2 + |g|^2 - 2 q.g`, computed in float32. Squared, like torchreid's `euclidean_squared_distance`: the
    root would not change the order.

    Args:
        query: (Q, D) embeddings.
        gallery: (G, D) embeddings.

    Returns:
        (Q, G) float32, not negative up to rounding.

    Raises:
        InputError: an array is empty, not finite, so large that a square overflows, or the widths differ.

    Example:
        >>> euclidean_distances([[0.0, 0.0]], [[3.0, 4.0], [0.0, 1.0]]).tolist()
        [[25.0, 1.0]]
    """
    return measure(query, gallery, "euclidean").rows()


def _cosine(query: FloatArray, gallery: FloatArray) -> Distances:
    ones = np.ones(len(query), np.float32)
    return Distances(-normalize_rows(query), normalize_rows(gallery), ones)


def _euclidean(query: FloatArray, gallery: FloatArray) -> Distances:
    return Distances(query * np.float32(-2), gallery, _squares(query), _squares(gallery))


def _squares(rows: FloatArray) -> FloatArray:
    """Return the squared length (N,) of each row."""
    squares: FloatArray = np.square(rows).sum(axis=1)
    return squares


DISTANCES: dict[str, Callable[[FloatArray, FloatArray], Distances]] = {
    "cosine": _cosine,
    "euclidean": _euclidean,
}


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
