"""Average precision: how near the front all right answers stand, not just the first."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.metrics.cmc import require_answerable
from osnet_edge.bench.metrics.ranking import MatchRanks


def average_precisions(ranks: MatchRanks) -> npt.NDArray[np.float64]:
    """Return the average precision of each answerable query.

    `AP = mean over its matches of (number of matches up to and including it) / (its rank)`: precision at each
    hit, without interpolation, as torchreid and the Market-1501 evaluation in Python compute it.

    Args:
        ranks: from `match_ranks`.

    Returns:
        (A,) float64 in (0, 1], in the order of `ranks.answerable`.

    Raises:
        InputError: no query has a match.

    Example:
        Matches at ranks 1 and 3: (1/1 + 2/3) / 2.

        >>> from osnet_edge.bench.metrics.ranking import match_ranks
        >>> ranks = match_ranks([[0.1, 0.2, 0.3]], [7], [7, 8, 7], [0], [1, 1, 1])
        >>> average_precisions(ranks).round(4).tolist()
        [0.8333]
    """
    require_answerable(ranks)
    starts = ranks.first_of_each()
    counts = np.diff([*starts, len(ranks.rank)])
    nth_match = np.arange(len(ranks.rank)) - np.repeat(starts, counts) + 1
    precisions: npt.NDArray[np.float64] = np.add.reduceat(nth_match / ranks.rank, starts) / counts
    return precisions


def mean_average_precision(ranks: MatchRanks) -> float:
    """Return mAP, the mean of `average_precisions` over the answerable queries, in (0, 1].

    Args:
        ranks: from `match_ranks`.

    Raises:
        InputError: no query has a match.

    Example:
        >>> from osnet_edge.bench.metrics.ranking import match_ranks
        >>> mean_average_precision(match_ranks([[0.2, 0.1]], [7], [7, 8], [0], [1, 1]))
        0.5
    """
    return float(average_precisions(ranks).mean())
