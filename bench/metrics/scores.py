"""The figures quoted of a ranking: Rank-k (CMC), mAP and mINP, each of one query and over all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.metrics.distances import FloatArray, IntArray
from osnet_edge.bench.metrics.ranking import Labels, MatchRanks
from osnet_edge.runtime.errors import InputError

MAX_RANK = 20


@dataclass(frozen=True)
class RetrievalScores:
    """Accuracy of a set of embeddings; fractions in [0, 1].

    Attributes:
        rank1: share of answerable queries whose nearest gallery entry is a match.
        rank5: the same with a match among the first five.
        rank10: the same with a match among the first ten.
        mean_ap: mean average precision.
        queries: how many queries were given.
        skipped: how many of them have no match in the gallery and count nowhere.
        gallery: how many gallery entries were given.
        rank20: as `rank1`, with a match among the first twenty; None in results of before it was measured.
        mean_inp: mean inverse negative penalty; None as above.
    """

    rank1: float
    rank5: float
    rank10: float
    mean_ap: float
    queries: int
    skipped: int
    gallery: int
    rank20: float | None = None
    mean_inp: float | None = None

    @classmethod
    def from_ranks(cls, ranks: MatchRanks, curve: npt.NDArray[np.float64] | None = None) -> RetrievalScores:
        """Compute the scores from the ranks of the matches.

        Args:
            ranks: from `match_ranks` or `feature_ranks`.
            curve: CMC of a protocol of its own; None takes that of the ranks.

        Raises:
            InputError: no query has a match.
        """
        curve = cumulative_matches(ranks, MAX_RANK) if curve is None else curve
        rank1, rank5, rank10, rank20 = (float(curve[min(k, len(curve)) - 1]) for k in (1, 5, 10, 20))
        return cls(
            rank1=rank1,
            rank5=rank5,
            rank10=rank10,
            rank20=rank20,
            mean_ap=mean_average_precision(ranks),
            mean_inp=mean_inverse_negative_penalty(ranks),
            queries=ranks.queries,
            skipped=ranks.skipped,
            gallery=ranks.gallery,
        )

    @classmethod
    def mean(cls, scores: Sequence[RetrievalScores]) -> RetrievalScores:
        """Return the mean over the test splits of one set; every split counts the same.

        Counts are of all splits together. The figures of none of them may be None.

        Example:
            >>> one, other = (RetrievalScores(r, 1, 1, 1, 9, 0, 9, 1, 1) for r in (0.5, 1.0))
            >>> RetrievalScores.mean([one, other]).rank1
            0.75
        """

        def mean(name: str) -> float:
            return float(np.mean([getattr(each, name) for each in scores]))

        return cls(
            rank1=mean("rank1"),
            rank5=mean("rank5"),
            rank10=mean("rank10"),
            rank20=mean("rank20"),
            mean_ap=mean("mean_ap"),
            mean_inp=mean("mean_inp"),
            queries=sum(each.queries for each in scores),
            skipped=sum(each.skipped for each in scores),
            gallery=sum(each.gallery for each in scores),
        )


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
    starts, counts = _matches_of_each(ranks)
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
    starts, counts = _matches_of_each(ranks)
    penalties: npt.NDArray[np.float64] = counts / ranks.rank[starts + counts - 1]
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


def _matches_of_each(ranks: MatchRanks) -> tuple[IntArray, IntArray]:
    """Return where in `ranks` the matches of each answerable query start, and how many it has."""
    require_answerable(ranks)
    starts = ranks.first_of_each()
    return starts, np.diff([*starts, len(ranks.rank)])


def single_shot_matches(distances: FloatArray, labels: Labels, max_rank: int = 50) -> npt.NDArray[np.float64]:
    """Return, for each answerable query and each k, the chance that its match is among the first k.

    CUHK03's old protocol. The public evaluations draw ten or a hundred galleries and average the curves. The
    mean over all galleries has a closed form, so nothing is drawn here: no seed, and no noise of a few tenths
    of a point.

    The gallery is one image of each identity, every image as likely as another, without those of the
    query's own identity and camera. With the match m drawn, identity p stands in front of it with chance
    `c_p / n_p`: of its n_p images, c_p are nearer than m. Identities are drawn independently, so how many
    stand in front is Poisson-binomial, and `CMC(k) = P(fewer than k stand in front)`, averaged over m.

    Source: Li et al., "DeepReID" (CVPR 2014) for the protocol.

    Args:
        distances: (Q, G), checked; equal distances keep the order of the gallery.
        labels: of both sides, checked.
        max_rank: length of the curves; a gallery of fewer identities ends them.

    Returns:
        (A, min(max_rank, identities)) float64 in [0, 1], rows in the order of the answerable queries.

    Example:
        One match. Of person 8's two images one is nearer, so in half of the galleries it comes first.

        >>> labels = Labels(*map(np.array, ([7], [7, 8, 8], [0], [1, 1, 1])))
        >>> single_shot_matches(np.array([[0.2, 0.1, 0.3]]), labels).tolist()
        [[0.5, 1.0]]
    """
    query, column = labels.same_identity()
    match = labels.query_cameras[query] != labels.gallery_cameras[column]
    query, column = query[match], column[match]
    in_front, own = _chances_in_front(distances, labels.gallery_ids, query, column)
    fewer = np.cumsum(_poisson_binomial(in_front, min(max_rank, len(own))), axis=1)
    answerable, starts, counts = np.unique(query, return_index=True, return_counts=True)
    if not len(answerable):
        return fewer
    curves: npt.NDArray[np.float64] = np.add.reduceat(fewer, starts, axis=0) / counts[:, None]
    return curves


def _chances_in_front(
    distances: FloatArray, gallery_ids: IntArray, query: IntArray, column: IntArray
) -> tuple[npt.NDArray[np.float64], IntArray]:
    """Return the chance (M, P) of each other identity to stand in front of each match, and the identities."""
    order = np.argsort(gallery_ids, kind="stable")
    identities, starts, counts = np.unique(gallery_ids[order], return_index=True, return_counts=True)
    chances = np.empty((len(query), len(identities)))
    for match, (row, place) in enumerate(zip(query.tolist(), column.tolist(), strict=True)):
        entries, value = distances[row], distances[row, place]
        nearer = entries < value
        nearer[:place] |= entries[:place] == value
        chances[match] = np.add.reduceat(nearer[order], starts, dtype=np.int64) / counts
    # The match stands for its identity.
    chances[np.arange(len(query)), np.searchsorted(identities, gallery_ids[column])] = 0
    return chances, identities


def _poisson_binomial(chances: npt.NDArray[np.float64], length: int) -> npt.NDArray[np.float64]:
    """Return (M, length): the chances that 0, 1, ... of the independent events (M, P) happen."""
    happened = np.zeros((len(chances), length))
    happened[:, 0] = 1
    for chance in chances.T:
        with_it = happened * chance[:, None]
        happened -= with_it
        happened[:, 1:] += with_it[:, :-1]
    return happened
