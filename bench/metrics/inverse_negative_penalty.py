"""Inverse negative penalty: what it costs to find the last right answer, which average precision forgives."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.metrics.cmc import require_answerable
from osnet_edge.bench.metrics.ranking import MatchRanks


def inverse_negative_penalties(ranks: MatchRanks) -> npt.NDArray[np.float64]:
    """Return the inverse negative penalty of each answerable query.

    `INP = number of its matches / rank of its last match`: the share of right answers among all that a person
    must look at to have seen every one (Ye et al., "Deep Learning for Person Re-Identification: A Survey and
    Outlook", TPAMI 2021, section 4.1, where `INP = 1 - NP = |G| / R_hard`).

    Args:
        ranks: from `match_ranks`.

    Returns:
        (A,) float64 in (0, 1], in the order of `ranks.answerable`.

    Raises:
        InputError: no query has a match.

    Example:
        Matches at ranks 1 and 4: two right answers among four.

        >>> from osnet_edge.bench.metrics.ranking import match_ranks
        >>> ranks = match_ranks([[0.1, 0.2, 0.3, 0.4]], [7], [7, 8, 9, 7], [0], [1, 1, 1, 1])
        >>> inverse_negative_penalties(ranks).tolist()
        [0.5]
    """
    require_answerable(ranks)
    starts = ranks.first_of_each()
    counts = np.diff([*starts, len(ranks.rank)])
    last = ranks.rank[starts + counts - 1]
    penalties: npt.NDArray[np.float64] = counts / last
    return penalties


def mean_inverse_negative_penalty(ranks: MatchRanks) -> float:
    """Return mINP, the mean of `inverse_negative_penalties` over the answerable queries, in (0, 1].

    Args:
        ranks: from `match_ranks`.

    Raises:
        InputError: no query has a match.

    Example:
        >>> from osnet_edge.bench.metrics.ranking import match_ranks
        >>> mean_inverse_negative_penalty(match_ranks([[0.2, 0.1]], [7], [7, 8], [0], [1, 1]))
        0.5
    """
    return float(inverse_negative_penalties(ranks).mean())
