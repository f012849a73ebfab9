"""Cumulative matching characteristic: how often a right answer stands among the first k."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.metrics.ranking import MatchRanks
from osnet_edge.runtime.errors import InputError


def cumulative_matches(ranks: MatchRanks, max_rank: int = 50) -> npt.NDArray[np.float64]:
    """Return, for every k up to `max_rank`, the share of queries with a match among their first k.

    `CMC(k) = |{q : rank of the nearest match of q <= k}| / |answerable queries|`, as in Market-1501
    (Zheng et al., ICCV 2015) for several matches a query.

    Args:
        ranks: from `match_ranks`.
        max_rank: length of the curve; a gallery shorter than that ends it.

    Returns:
        (min(max_rank, gallery),) float64 in [0, 1], never falling. Entry 0 is Rank-1.

    Raises:
        InputError: no query has a match, or `max_rank` is below 1.

    Example:
        Two queries; their nearest matches stand first and third.

        >>> from osnet_edge.bench.metrics.ranking import match_ranks
        >>> distances = [[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]]
        >>> ranks = match_ranks(distances, [1, 3], [1, 2, 3], [0, 0], [1, 1, 1])
        >>> cumulative_matches(ranks).tolist()
        [0.5, 0.5, 1.0]
    """
    if max_rank < 1:
        raise InputError(f"expected a maximum rank of 1 or more, but got {max_rank}")
    require_answerable(ranks)
    length = min(max_rank, ranks.gallery)
    nearest = ranks.rank[ranks.first_of_each()]
    hits = np.bincount(nearest[nearest <= length], minlength=length + 1)[1:]
    curve: npt.NDArray[np.float64] = np.cumsum(hits) / len(nearest)
    return curve


def first_hits(ranks: MatchRanks) -> npt.NDArray[np.float64]:
    """Return, for each answerable query, 1 where its nearest gallery entry is a match, else 0.

    Their mean is Rank-1.

    Args:
        ranks: from `match_ranks`.

    Returns:
        (A,) float64, in the order of `ranks.answerable`.

    Raises:
        InputError: no query has a match.

    Example:
        >>> from osnet_edge.bench.metrics.ranking import match_ranks
        >>> distances = [[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]]
        >>> first_hits(match_ranks(distances, [1, 3], [1, 2, 3], [0, 0], [1, 1, 1])).tolist()
        [1.0, 0.0]
    """
    require_answerable(ranks)
    hits: npt.NDArray[np.float64] = (ranks.rank[ranks.first_of_each()] == 1).astype(np.float64)
    return hits


def require_answerable(ranks: MatchRanks) -> None:
    """Raise an `InputError` unless some query has a match: a mean over nothing is no figure."""
    if not len(ranks.rank):
        raise InputError(
            f"expected some query to have its identity in the gallery under another camera, but none of "
            f"{ranks.queries} has; check that query and gallery come from one data set"
        )
