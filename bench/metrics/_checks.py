"""What the metrics ask of their arrays, said once, with messages a person can act on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from osnet_edge.runtime.errors import InputError

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


def checked_features(features: Any, name: str) -> FloatArray:
    """Return `features` as a finite float32 (rows, width) array, or raise an `InputError` naming it."""
    array = np.asarray(features)
    if array.ndim != 2 or array.size == 0:
        raise InputError(
            f"expected {name} features of shape (pictures, width) with at least one of each, "
            f"but they have shape {array.shape}; pass one row per picture"
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


def checked_labels(labels: Any, count: int, name: str) -> IntArray:
    """Return `labels` as (count,) int64, or raise an `InputError` naming it; None is refused by name."""
    if labels is None:
        raise InputError(
            f"expected {count} {name}, but got None; the Market-1501 protocol needs the identity and "
            "the camera of every picture"
        )
    array = np.asarray(labels)
    if array.dtype.kind not in "iu" and array.size:
        raise InputError(
            f"expected {name} to be whole numbers, but their dtype is {array.dtype}; number them first"
        )
    if array.shape != (count,):
        raise InputError(
            f"expected {count} {name}, one per picture, but they have shape {array.shape}; "
            "list them in the order of the pictures"
        )
    return array.astype(np.int64, copy=False)


@dataclass(frozen=True, eq=False)
class Labels:
    """Who is in each picture and which camera took it, of both sides.

    Attributes:
        query_ids: (Q,).
        gallery_ids: (G,).
        query_cameras: (Q,).
        gallery_cameras: (G,).
    """

    query_ids: IntArray
    gallery_ids: IntArray
    query_cameras: IntArray
    gallery_cameras: IntArray

    @classmethod
    def checked(
        cls,
        query_ids: Any,
        gallery_ids: Any,
        query_cameras: Any,
        gallery_cameras: Any,
        shape: tuple[int, int],
    ) -> Labels:
        """Return the labels of (Q, G) distances, or raise an `InputError` that names the wrong one."""
        queries, gallery = shape
        return cls(
            checked_labels(query_ids, queries, "query identities"),
            checked_labels(gallery_ids, gallery, "gallery identities"),
            checked_labels(query_cameras, queries, "query cameras"),
            checked_labels(gallery_cameras, gallery, "gallery cameras"),
        )

    def of_queries(self, part: slice) -> Labels:
        """Return the labels of some queries, and of the whole gallery."""
        return Labels(self.query_ids[part], self.gallery_ids, self.query_cameras[part], self.gallery_cameras)

    def same_identity(self) -> tuple[IntArray, IntArray]:
        """Return the pairs (query, gallery place) of one identity, queries ascending.

        They are a thousandth of the matrix, and are found without looking at the rest of it.
        """
        order = np.argsort(self.gallery_ids, kind="stable")
        ordered = self.gallery_ids[order]
        starts = np.searchsorted(ordered, self.query_ids, side="left")
        counts = np.searchsorted(ordered, self.query_ids, side="right") - starts
        query = np.repeat(np.arange(len(self.query_ids)), counts)
        nth = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
        return query, order[np.repeat(starts, counts) + nth]
