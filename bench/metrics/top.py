"""The first few gallery entries of each query, to be looked at."""

from __future__ import annotations

from typing import Any

import numpy as np

from osnet_edge.bench.metrics._checks import IntArray, checked_labels
from osnet_edge.runtime.errors import InputError


def top_ranked(
    distances: Any,
    query_ids: Any,
    gallery_ids: Any,
    query_cameras: Any,
    gallery_cameras: Any,
    *,
    count: int = 5,
) -> list[IntArray]:
    """Return the gallery indices of the nearest `count` entries of each query, nearest first.

    Entries of the query's own identity and camera are left out, as in `match_ranks`, so what is shown is what
    was scored. A query with fewer entries left has a shorter list.

    Args:
        distances: (Q, G).
        query_ids: (Q,) integers.
        gallery_ids: (G,) integers.
        query_cameras: (Q,) integers.
        gallery_cameras: (G,) integers.
        count: how many to return, at least 1.

    Raises:
        InputError: shapes do not fit or `count` is below 1.

    Example:
        >>> [row.tolist() for row in top_ranked([[0.1, 0.4, 0.3]], [7], [7, 7, 8], [0], [0, 1, 1], count=2)]
        [[2, 1]]
    """
    array = np.asarray(distances)
    if array.ndim != 2:
        raise InputError(f"expected distances of shape (queries, gallery), but they have {array.shape}")
    if count < 1:
        raise InputError(f"expected to show 1 entry or more, but got {count}")
    ids = checked_labels(query_ids, array.shape[0], "query identities")
    cameras = checked_labels(query_cameras, array.shape[0], "query cameras")
    others = checked_labels(gallery_ids, array.shape[1], "gallery identities")
    other_cameras = checked_labels(gallery_cameras, array.shape[1], "gallery cameras")
    shown = []
    for row, identity, camera in zip(array, ids, cameras, strict=True):
        counts = ~((others == identity) & (other_cameras == camera))
        order = np.argsort(row, kind="stable")
        shown.append(order[counts[order]][:count])
    return shown
