"""What an engine keeps of the reference's embeddings and rankings, on the same pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.metrics._checks import FloatArray, IntArray, Labels
from osnet_edge.bench.metrics._chunks import in_chunks
from osnet_edge.bench.metrics.cmc import first_hits
from osnet_edge.bench.metrics.distances import measure
from osnet_edge.bench.metrics.ranking import MatchRanks
from osnet_edge.bench.metrics.retrieval import feature_ranks
from osnet_edge.bench.metrics.splits import Split
from osnet_edge.bench.metrics.top import top_ranked
from osnet_edge.bench.result.measurements import Retention

TOP_K = 10

Features = tuple[FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class Ranked:
    """What an engine makes of a test set.

    Attributes:
        features: embeddings of queries (Q, D) and gallery (G, D).
        ranks: of every query's matches.
        tops: the first gallery places of every query.
    """

    features: Features
    ranks: MatchRanks
    tops: list[IntArray]

    @classmethod
    def of(cls, features: Features, labels: Labels) -> Ranked:
        """Rank the gallery for every query, by cosine."""
        ids, cameras = (labels.query_ids, labels.gallery_ids), (labels.query_cameras, labels.gallery_cameras)
        return cls(features, feature_ranks(*features, *ids, *cameras), _tops(features, labels))


def retention(reference: Ranked, other: Ranked, test_set: Split) -> Retention:
    """Compare two engines' embeddings of the same queries and gallery."""
    cosines = centred_cosines(np.concatenate(reference.features), np.concatenate(other.features))
    tops = zip(reference.tops, other.tops, strict=True)
    shared = [len(np.intersect1d(one, two)) / max(1, len(one)) for one, two in tops]
    hits = [first_hits(each.ranks) > 0 for each in (reference, other)]
    asked = [Path(test_set.query[place].path).name for place in reference.ranks.answerable]
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


def _tops(features: Features, labels: Labels) -> list[IntArray]:
    """Return the first places of every query's ranking, a chunk of queries at a time."""
    rows = measure(*features, "cosine").rows

    def chunk(part: slice) -> list[IntArray]:
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
