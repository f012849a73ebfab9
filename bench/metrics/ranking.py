"""Where the right answers stand: the Market-1501 protocol reduced to a short list of ranks.

Every retrieval metric is a function of the ranks of the matches alone, and there are few of them (about 20 a
query in Market-1501, of 15,913 images). So the large matrix is read once, here, and the metrics are short.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from osnet_edge.bench.metrics.distances import FloatArray, IntArray
from osnet_edge.runtime.errors import InputError

#: Matches of one query up to which counting is quicker than sorting, whatever the size of the gallery.
_MOST_COUNTED = 300


def checked_labels(labels: Any, count: int, name: str) -> IntArray:
    """Return `labels` as (count,) int64, or raise an `InputError` naming it; None is refused by name."""
    if labels is None:
        raise InputError(
            f"expected {count} {name}, but got None; the Market-1501 protocol needs the identity and "
            "the camera of every image"
        )
    array = np.asarray(labels)
    if array.dtype.kind not in "iu" and array.size:
        raise InputError(
            f"expected {name} to be whole numbers, but their dtype is {array.dtype}; number them first"
        )
    if array.shape != (count,):
        raise InputError(
            f"expected {count} {name}, one per image, but they have shape {array.shape}; "
            "list them in the order of the images"
        )
    return array.astype(np.int64, copy=False)


@dataclass(frozen=True, eq=False)
class Labels:
    """Who is in each image and which camera took it, of both sides.

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


@dataclass(frozen=True, eq=False)
class MatchRanks:
    """The ranks of all matches of all queries.

    Attributes:
        query: (M,) which query each match belongs to, ascending.
        rank: (M,) place of the match among the gallery entries that count for its query, from 1, ascending
            within a query.
        queries: how many queries were given.
        gallery: how many gallery entries were given.
    """

    query: IntArray
    rank: IntArray
    queries: int
    gallery: int

    @property
    def answerable(self) -> IntArray:
        """(A,) the queries that have a match; metrics are means over these."""
        return np.unique(self.query)

    @property
    def skipped(self) -> int:
        """How many queries have no match in the gallery and take no part in any metric."""
        return self.queries - len(self.answerable)

    def first_of_each(self) -> IntArray:
        """(A,) index into `query` and `rank` of the nearest match of each answerable query."""
        return np.unique(self.query, return_index=True)[1]

    @classmethod
    def joined(cls, parts: Iterable[MatchRanks]) -> MatchRanks:
        """Join the ranks of consecutive chunks of queries against one gallery."""
        parts = list(parts)
        starts = np.cumsum([0, *(part.queries for part in parts)])
        return cls(
            query=np.concatenate([part.query + start for part, start in zip(parts, starts, strict=False)]),
            rank=np.concatenate([part.rank for part in parts]),
            queries=int(starts[-1]),
            gallery=parts[0].gallery,
        )


def match_ranks(
    distances: Any, query_ids: Any, gallery_ids: Any, query_cameras: Any, gallery_cameras: Any
) -> MatchRanks:
    """Rank every match of every query by the Market-1501 protocol.

    For each query, gallery entries of the same identity *and* the same camera are dropped: a tracker already
    knows them. The rest are ordered by distance, and equal distances keep the order of the gallery. Entries
    of the same identity in another camera are the matches.

    Args:
        distances: (Q, G) smaller is more alike.
        query_ids: (Q,) integers.
        gallery_ids: (G,) integers; identities that no query has are distractors.
        query_cameras: (Q,) integers.
        gallery_cameras: (G,) integers.

    Returns:
        The ranks; queries without a match have none.

    Raises:
        InputError: an array is empty, not finite or of the wrong shape.

    Example:
        The nearest entry is the query's own camera and drops out; the match is then second.

        >>> ranks = match_ranks([[0.1, 0.4, 0.3]], [7], [7, 7, 8], [0], [0, 1, 1])
        >>> ranks.rank.tolist()
        [2]
    """
    distances = checked_distances(distances)
    labels = Labels.checked(query_ids, gallery_ids, query_cameras, gallery_cameras, distances.shape)
    return ranks_of(distances, labels)


def ranks_of(distances: FloatArray, labels: Labels) -> MatchRanks:
    """Do the work of `match_ranks` on arrays that were checked."""
    query, column = labels.same_identity()
    place = _places(distances, query, column)
    order = np.lexsort((place, query))
    query, column, place = query[order], column[order], place[order]
    dropped = labels.query_cameras[query] == labels.gallery_cameras[column]
    # The matrix stays as it is: what is dropped in front of a match is taken off its place instead.
    before = np.concatenate([[0], np.cumsum(dropped)])
    rank = place - (before[:-1] - before[np.searchsorted(query, query)])
    return MatchRanks(query[~dropped], rank[~dropped], *distances.shape)


def _places(distances: FloatArray, rows: IntArray, columns: IntArray) -> IntArray:
    """Return the place, from 1, that a stable sort of its row would give each (row, column); rows ascend.

    A pass over the row that counts what is nearer takes a tenth of the time of sorting it in Market-1501, and
    there are few matches; where there are many, sorting once is cheaper.
    """
    places = np.empty_like(rows)
    bounds = np.searchsorted(rows, np.arange(len(distances) + 1))
    for row, (start, end) in zip(distances, pairwise(bounds.tolist()), strict=True):
        wanted = columns[start:end]
        if len(wanted) > _MOST_COUNTED:
            order = np.argsort(row, kind="stable")
            by_column = np.empty_like(order)
            by_column[order] = np.arange(1, len(row) + 1)
            places[start:end] = by_column[wanted]
        else:
            places[start:end] = [_place(row, column) for column in wanted.tolist()]
    return places


def _place(row: FloatArray, column: int) -> int:
    """Count the entries up to and including one; equal distances keep the order of the gallery."""
    value = row[column]
    return int(np.count_nonzero(row[: column + 1] <= value) + np.count_nonzero(row[column + 1 :] < value))


def checked_distances(distances: Any) -> FloatArray:
    """Return `distances` as a finite (queries, gallery) array of floats, or raise an `InputError`."""
    array = np.asarray(distances)
    if array.ndim != 2 or array.size == 0:
        raise InputError(
            f"expected distances of shape (queries, gallery) with at least one of each, "
            f"but they have shape {array.shape}"
        )
    if array.dtype.kind != "f":
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise InputError(
            "expected finite distances, but some are NaN or infinite; check the features they came from"
        )
    return array


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
