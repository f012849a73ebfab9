"""What an engine keeps of the reference's embeddings and rankings, on the same pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osnet_edge.bench._checks import FloatArray, Labels
from osnet_edge.bench._chunks import in_chunks
from osnet_edge.bench.cmc import first_hits
from osnet_edge.bench.distances import measure
from osnet_edge.bench.measurements import Retention
from osnet_edge.bench.ranking import MatchRanks
from osnet_edge.bench.splits import Split, split_labels
from osnet_edge.bench.top import top_ranked

TOP_K = 10

Features = tuple[FloatArray, FloatArray]


def retention(
    reference: tuple[Features, MatchRanks], other: tuple[Features, MatchRanks], test_set: Split
) -> Retention:
    """Compare two engines' embeddings of the same queries and gallery.

    Args:
        reference: embeddings of queries (Q, D) and gallery (G, D), and their ranks.
        other: likewise.
        test_set: the pictures.
    """
    cosines = centred_cosines(np.concatenate(reference[0]), np.concatenate(other[0]))
    labels = split_labels(test_set)
    tops = [_tops(features, labels) for features, _ in (reference, other)]
    shared = [len(np.intersect1d(one, two)) / max(1, len(one)) for one, two in zip(*tops, strict=True)]
    hits = [first_hits(ranks) > 0 for _, ranks in (reference, other)]
    asked = [Path(test_set.query[place].path).name for place in reference[1].answerable]
    return Retention(
        top_k=TOP_K,
        top_k_agreement=float(np.mean(shared)),
        centred_cosine_mean=float(cosines.mean()),
        centred_cosine_min=float(cosines.min()),
        lost=_named(asked, hits[0] & ~hits[1]),
        gained=_named(asked, hits[1] & ~hits[0]),
    )


def centred_cosines(reference: FloatArray, other: FloatArray) -> npt.NDArray[np.float64]:
    """Return the cosine of each row of one with the same row of the other, once the reference's mean is off.

    Args:
        reference: (N, D).
        other: (N, D).

    Example:
        >>> same = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
        >>> [round(float(cosine), 6) for cosine in centred_cosines(same, same[::-1])]
        [-1.0, -1.0]
    """
    one, two = (_unit(rows.astype(np.float64)) for rows in (reference, other))
    middle = one.mean(axis=0)
    one, two = _unit(one - middle), _unit(two - middle)
    cosines: npt.NDArray[np.float64] = np.sum(one * two, axis=1)
    return cosines


def _unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float64] = rows / np.maximum(lengths, np.finfo(np.float64).tiny)
    return scaled


def _tops(features: Features, labels: Labels) -> list[npt.NDArray[np.int64]]:
    """Return the first places of every query's ranking, a chunk of queries at a time."""
    rows = measure(*features, "cosine").rows

    def chunk(part: slice) -> list[npt.NDArray[np.int64]]:
        some = labels.of_queries(part)
        return top_ranked(
            rows(part),
            some.query_ids,
            some.gallery_ids,
            some.query_cameras,
            some.gallery_cameras,
            count=TOP_K,
        )

    found = in_chunks(chunk, len(labels.query_ids), len(labels.gallery_ids), threads=1)
    return [row for part in found for row in part]


def _named(names: Sequence[str], chosen: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(name for name, flag in zip(names, chosen, strict=True) if flag)
