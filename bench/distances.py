"""Distances between every query and every gallery embedding."""

from __future__ import annotations

from typing import Any

import numpy as np

from osnet_edge.bench._checks import FloatArray, checked_feature_pair


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
    query, gallery = checked_feature_pair(query, gallery)
    distances: FloatArray = 1 - _unit(query) @ _unit(gallery).T
    return distances


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
    query, gallery = checked_feature_pair(query, gallery)
    distances: FloatArray = query @ gallery.T
    distances *= -2
    distances += np.square(query).sum(axis=1, keepdims=True)
    distances += np.square(gallery).sum(axis=1)
    return distances


def _unit(rows: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: FloatArray = rows / np.maximum(lengths, np.float32(1e-12))
    return unit
