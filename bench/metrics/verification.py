"""Which similarity means the same person: error rates of a threshold on the cosine, and how sure they are.

A pair is a query and a gallery image of different cameras: *genuine* where both show one person, *impostor*
where they do not. As in the Market-1501 protocol, images of the query's own identity and camera count
nowhere, junk is not in the set, and gallery images of people whom no query shows (distractors) are impostors
to every query. Unlike there, images of other people by the query's own camera are left out as well: a
threshold is asked across cameras. Of several splits, the pairs are pooled.

A pair is accepted where its cosine is the threshold or more. FAR is the share of impostor pairs that are
accepted, TAR that of genuine pairs. The threshold of a FAR is the lowest with which no more are accepted, so
that FAR and TAR are a point of scikit-learn's `roc_curve`; the equal error rate is where its polyline crosses
FAR = 1 - TAR.

Large sets have more pairs than memory: Market-1501 has 62 million. They are counted a block at a time in bins
of 2**-15, and then only the scores in bins where a threshold lies are collected and sorted. So the figures
are exact, and memory is that of a block and those bins.

**Intervals** are by a bootstrap over people, since pairs that share a person depend on each other: somebody
in a black coat is accepted for many. A person drawn w times brings w times their genuine pairs, and an
impostor pair counts w times w', as if its people had been drawn on both sides (Owen, "The pigeonhole
bootstrap", Annals of Applied Statistics 1(2), 2007). For each draw that takes a product over all pairs; here
it is done in its leading terms, with b_p the accepted impostor pairs that person p is on:

    accepted = (sum of w_p b_p)**2 / (2 sum of b_p)

Such draws vary too much where pairs owe little to their people, since a pair's own noise is counted with both
of them. The excess in the variance is the sum over pairs of people of their squared residuals (Aronow, Samii
and Assenova, "Cluster-robust variance estimation for dyadic data", Political Analysis 23(4), 2015). So the
logarithm of a drawn FAR is pulled towards that of the measured one, by the ratio of the standard deviations.
Intervals are BCa ones (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 14), widened
as by Student's t for the effective number of people who are accepted for others (Hesterberg, "What teachers
should know about the bootstrap", The American Statistician 69(4), 2015). Distractors are not drawn: nobody
knows who is on them.

In simulations (`tests/bench/test_verification.py`) intervals of 95 % hold the truth in 93 to 98 of 100 sets,
but those of a threshold in only 88 to 90 where half of the variance of impostors is their people's and so
few people decide a FAR that their effective number is below 20: it is stated with each. A FAR that accepts
fewer than `LEAST_PAIRS` impostor pairs, or fewer than `LEAST_PEOPLE` people, has no threshold here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from osnet_edge.bench._require import require
from osnet_edge.bench.metrics.distances import FloatArray, IntArray, checked_feature_pair
from osnet_edge.bench.metrics.evaluate import PictureRows, Split, split_labels
from osnet_edge.bench.metrics.ranking import Labels
from osnet_edge.bench.metrics.statistics import Values
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.golden import normalize_rows

#: False accept rates of every set; others are asked for.
USUAL_FARS = (1e-1, 1e-2, 1e-3, 1e-4)
#: Accepted impostor pairs below which a FAR is not resolved.
LEAST_PAIRS = 10
#: People on them below which it is not.
LEAST_PEOPLE = 10

Interval = tuple[float, float]
Flags = npt.NDArray[np.bool_]

#: Bins of the first count, for each unit of cosine; a power of two, so that scaling rounds nothing.
_BINS = 2**15
_LAST = 2 * _BINS
#: Of those in a bin of the distributions shown.
_SHOWN = 2**10
#: Thresholds at which the draws are followed, each of an equal share of accepted pairs more than the last.
_GRID = 160
#: Numbers in a block, 16 MB of float32; several arrays of this size are at work.
_BLOCK = 4_000_000


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold chosen by a false accept rate; what is not resolved is None.

    Attributes:
        far: the false accept rate asked for.
        threshold: the cosine from which on a pair is accepted.
        tar: share of genuine pairs accepted.
        threshold_interval: its ends.
        tar_interval: of the true accept rate at this FAR, the threshold being found anew in each draw.
        effective_people: how many people, each accepted for as many others, would tell as little of this FAR.
    """

    far: float
    threshold: float | None = None
    tar: float | None = None
    threshold_interval: Interval | None = None
    tar_interval: Interval | None = None
    effective_people: float | None = None

    def __post_init__(self) -> None:
        require(0 < self.far < 1, "a false accept rate between 0 and 1", self.far)
        require(self.tar is None or 0 <= self.tar <= 1, "a true accept rate in [0, 1]", self.tar)
        for ends in (self.threshold_interval, self.tar_interval):
            require(ends is None or ends[0] <= ends[1], "rising ends of an interval", ends)


@dataclass(frozen=True)
class EqualError:
    """Where as many impostors are accepted as genuine pairs are refused, as shares.

    Attributes:
        rate: of both.
        threshold: the cosine there.
        rate_interval: of the rate; None where it is not resolved.
    """

    rate: float
    threshold: float
    rate_interval: Interval | None = None

    def __post_init__(self) -> None:
        require(0 <= self.rate <= 1, "an equal error rate in [0, 1]", self.rate)


@dataclass(frozen=True)
class Distribution:
    """How many pairs have which cosine, in bins of equal width.

    Attributes:
        low: lower end of the first bin.
        width: of a bin.
        genuine: pairs of one person, by bin.
        impostor: pairs of two people.
    """

    low: float
    width: float
    genuine: tuple[int, ...]
    impostor: tuple[int, ...]

    def __post_init__(self) -> None:
        require(len(self.genuine) == len(self.impostor) > 0, "as many bins of both", len(self.genuine))
        require(self.width > 0, "bins wider than 0", self.width)


@dataclass(frozen=True)
class Verification:
    """How well a threshold on the cosine tells the same person from another, across cameras.

    Attributes:
        people: who the queries show; those who are drawn.
        genuine: pairs of one person.
        impostor: pairs of two.
        points: thresholds by FAR, the largest first.
        equal_error: the equal error rate.
        distribution: of the cosines.
        roc: (threshold, FAR, TAR), thresholds rising.
        confidence: of the intervals.
        samples: draws of people.
    """

    people: int
    genuine: int
    impostor: int
    points: tuple[OperatingPoint, ...]
    equal_error: EqualError
    distribution: Distribution
    roc: tuple[tuple[float, float, float], ...]
    confidence: float
    samples: int

    def __post_init__(self) -> None:
        require(min(self.people, self.genuine, self.impostor) >= 1, "pairs of both kinds", self.genuine)
        require(0 < self.confidence < 1, "a confidence between 0 and 1", self.confidence)

    def at(self, far: float) -> OperatingPoint:
        """Return the point of a FAR that was asked for."""
        return next(point for point in self.points if math.isclose(point.far, far))


@dataclass(frozen=True)
class ThresholdChange:
    """An engine's threshold less the reference's, at one FAR, by the same draws of people.

    Attributes:
        far: the false accept rate.
        difference: of the thresholds.
        interval: its ends; one that holds 0 leaves open whether the engine needs a threshold of its own.
    """

    far: float
    difference: float
    interval: Interval


@dataclass(frozen=True, eq=False)
class Verified:
    """What was measured, with the draws, so that two engines can be compared by the same people.

    Attributes:
        figures: the result.
        thresholds: at each FAR that is resolved.
    """

    figures: Verification
    thresholds: dict[float, _Estimate]

    def changes_from(self, reference: Verified) -> tuple[ThresholdChange, ...]:
        """Return how the thresholds differ from another engine's on the same images, where both have one."""
        found = []
        for far, here in self.thresholds.items():
            if there := reference.thresholds.get(far):
                change = here.less(there)
                interval = change.interval(self.figures.confidence)
                found.append(ThresholdChange(far, change.value, interval))
        return tuple(found)


def checked_fars(fars: Sequence[float]) -> tuple[float, ...]:
    """Return the usual false accept rates and those that are asked for, the largest first.

    Raises:
        InputError: one is not between 0 and 1.
    """
    for far in fars:
        if not 0 < far < 1:
            raise InputError(f"expected a false accept rate between 0 and 1, such as 0.001, got {far:g}")
    return tuple(sorted({*USUAL_FARS, *fars}, reverse=True))


def verify_splits(
    embedded: PictureRows,
    splits: Sequence[Split],
    *,
    fars: Sequence[float] = (),
    samples: int = 2000,
    confidence: float = 0.95,
) -> Verified:
    """Measure the pairs of a set's test splits by the cosine of their embeddings.

    Args:
        embedded: the images of all splits.
        splits: one or more.
        fars: false accept rates to find the threshold of, besides the usual ones.
        samples: draws of people.
        confidence: of the intervals.

    Raises:
        InputError: no pair of different cameras shows one person, or none two; or a FAR is out of range.
    """
    compared = []
    for split in splits:
        query, gallery = checked_feature_pair(embedded.of(split.query), embedded.of(split.gallery))
        query, gallery = normalize_rows(query), normalize_rows(gallery)
        compared.append(_Compared.of_features(query, gallery, split_labels(split)))
    return _verify(compared, checked_fars(fars), samples, confidence)


def verify_scores(
    similarities: Any,
    query_ids: Any,
    gallery_ids: Any,
    query_cameras: Any,
    gallery_cameras: Any,
    *,
    fars: Sequence[float] = (),
    samples: int = 2000,
    confidence: float = 0.95,
) -> Verified:
    """Do what `verify_splits` does, from a matrix of similarities.

    Args:
        similarities: (Q, G) in [-1, 1]; larger is more alike.
        query_ids: (Q,) integers.
        gallery_ids: (G,) integers; identities that no query has are distractors.
        query_cameras: (Q,) integers.
        gallery_cameras: (G,) integers.
        fars: see `verify_splits`, as for the rest.
        samples: see there.
        confidence: see there.

    Raises:
        InputError: as there; or the arrays do not fit.

    Example:
        >>> found = verify_scores([[0.9, 0.2], [0.4, 0.3]], [1, 2], [1, 2], [0, 0], [1, 1]).figures
        >>> found.genuine, found.impostor, found.equal_error.rate, found.at(0.1).threshold
        (2, 2, 0.5, None)
    """
    array = np.asarray(similarities, np.float32)
    if array.ndim != 2 or not array.size or not (np.abs(array) <= 1.001).all():
        raise InputError(
            f"expected similarities (queries, gallery) from -1 to 1, but they have shape {array.shape} or "
            "others; a cosine never leaves that range"
        )
    labels = Labels.checked(query_ids, gallery_ids, query_cameras, gallery_cameras, array.shape)
    whole = _Compared(labels, lambda some: array[some], lambda some: array.T[some])
    return _verify([whole], checked_fars(fars), samples, confidence)


@dataclass(frozen=True, eq=False)
class _Compared:
    """One split: labels of both sides, and scores of some images of one side with all of the other."""

    labels: Labels
    of_queries: Callable[[IntArray], FloatArray]
    of_gallery: Callable[[IntArray], FloatArray]

    @classmethod
    def of_features(cls, query: FloatArray, gallery: FloatArray, labels: Labels) -> _Compared:
        """Make one from rows of length 1."""
        return cls(labels, lambda some: query[some] @ gallery.T, lambda some: gallery[some] @ query.T)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Scores (N, M) of some images with all of the other side, and what is known about both.

    Attributes:
        scores: (N, M).
        own: (N,) who is on each image, as a place among the people.
        others: (M,) the same of the other side; the number of people for a distractor.
        across: (N, M) whether the cameras differ.
    """

    scores: FloatArray
    own: IntArray
    others: IntArray
    across: Flags

    @property
    def impostor(self) -> Flags:
        """(N, M) whether a pair shows two people, by two cameras."""
        flags: Flags = self.across & (self.own[:, None] != self.others)
        return flags


class _Pairs:
    """The pairs of some splits, by the people of the queries, a few people at a time."""

    def __init__(self, compared: Sequence[_Compared]) -> None:
        self.people = np.unique(np.concatenate([each.labels.query_ids for each in compared]))
        self._splits = []
        rows = np.zeros(len(self.people), np.int64)
        for each in compared:
            query, gallery = self._places(each.labels.query_ids), self._places(each.labels.gallery_ids)
            self._splits.append((each, query, gallery))
            counts = (np.bincount(side, minlength=len(rows) + 1)[:-1] for side in (query, gallery))
            rows = np.maximum(rows, np.max([*counts], axis=0))
        widest = max(max(len(query), len(gallery)) for _, query, gallery in self._splits)
        # The same people together each time, so that the same product rounds in the same way.
        self._groups = np.cumsum(rows) * widest // _BLOCK

    def _places(self, ids: IntArray) -> IntArray:
        found = np.searchsorted(self.people, ids)
        known = self.people[np.minimum(found, len(self.people) - 1)] == ids
        return np.where(known, found, len(self.people))

    def from_queries(self) -> Iterator[_Rows]:
        """Yield every pair once."""
        for members in self._some_people():
            yield from (self._of_queries(split, members) for split in self._splits)

    def by_person(self) -> Iterator[tuple[int, list[_Rows]]]:
        """Yield each person's place, and the pairs of their images on either side."""
        for members in self._some_people():
            blocks = [self._of_queries(split, members) for split in self._splits]
            blocks += [self._of_gallery(split, members) for split in self._splits]
            for person in members.tolist():
                yield person, [_narrowed(block, block.own == person) for block in blocks]

    def _some_people(self) -> Iterator[IntArray]:
        for group in np.unique(self._groups):
            yield np.flatnonzero(self._groups == group)

    def _of_queries(self, split: tuple[_Compared, IntArray, IntArray], members: IntArray) -> _Rows:
        each, query, gallery = split
        some = np.flatnonzero((query >= members[0]) & (query <= members[-1]))
        across = each.labels.query_cameras[some, None] != each.labels.gallery_cameras
        return _Rows(each.of_queries(some), query[some], gallery, across)

    def _of_gallery(self, split: tuple[_Compared, IntArray, IntArray], members: IntArray) -> _Rows:
        each, query, gallery = split
        some = np.flatnonzero((gallery >= members[0]) & (gallery <= members[-1]))
        across = each.labels.gallery_cameras[some, None] != each.labels.query_cameras
        return _Rows(each.of_gallery(some), gallery[some], query, across)


def _narrowed(rows: _Rows, chosen: Flags) -> _Rows:
    return _Rows(rows.scores[chosen], rows.own[chosen], rows.others, rows.across[chosen])


def _bins(scores: FloatArray) -> npt.NDArray[np.int32]:
    """Return the bin of each score; bin i begins at (i - _BINS) / _BINS, and no score is rounded."""
    places: npt.NDArray[np.int32] = np.floor(scores * np.float32(_BINS)).astype(np.int32)
    places += _BINS
    return np.clip(places, 0, _LAST, out=places)


@dataclass(frozen=True, eq=False)
class _Counted:
    """All pairs, counted.

    Attributes:
        genuine: (M,) scores, rising.
        owners: (M,) whose they are, as places among the people.
        histogram: (_LAST + 1,) impostor pairs by bin.
        tail: (_LAST + 2,) impostor pairs in a bin or above.
    """

    genuine: FloatArray
    owners: IntArray
    histogram: IntArray
    tail: IntArray

    @classmethod
    def of(cls, pairs: _Pairs) -> _Counted:
        """Count them.

        Raises:
            InputError: there are none of one kind.
        """
        histogram = np.zeros(_LAST + 1, np.int64)
        scores, owners = [np.empty(0, np.float32)], [np.empty(0, np.int64)]
        for rows in pairs.from_queries():
            histogram += np.bincount(_bins(rows.scores[rows.impostor]), minlength=_LAST + 1)
            row, column = np.nonzero(rows.across & (rows.own[:, None] == rows.others))
            scores.append(rows.scores[row, column])
            owners.append(rows.own[row])
        genuine, owner = np.concatenate(scores), np.concatenate(owners)
        if not len(genuine) or not histogram.any():
            raise InputError(
                f"expected pairs of one person and of two by different cameras, found {len(genuine)} and "
                f"{histogram.sum()}; a threshold needs a set with both"
            )
        order = np.argsort(genuine, kind="stable")
        tail = np.concatenate([np.cumsum(histogram[::-1])[::-1], [0]])
        return cls(genuine[order], owner[order], histogram, tail)

    @property
    def impostor(self) -> int:
        """Impostor pairs."""
        return int(self.tail[0])

    def accepted(self, threshold: float) -> float:
        """Return the share of genuine pairs at or above a threshold."""
        refused = int(np.searchsorted(self.genuine, np.float32(threshold)))
        return (len(self.genuine) - refused) / len(self.genuine)

    def bin_of_allowed(self, allowed: int) -> int:
        """Return the bin of the best impostor pair that must be refused."""
        return int(np.flatnonzero(self.tail > allowed)[-1])

    def bin_of_equal_error(self) -> int:
        """Return the bin in which FAR comes to be no less than the share of genuine pairs refused."""
        edges = (np.arange(_LAST + 2) - _BINS) / _BINS
        refused = np.searchsorted(self.genuine, edges.astype(np.float32)) / len(self.genuine)
        return int(np.flatnonzero(self.tail / self.impostor >= refused)[-1])

    def distribution(self) -> Distribution:
        """Return both distributions, from the first bin with a pair to the last."""
        both = [
            np.add.reduceat(counts, np.arange(0, _LAST, _SHOWN))
            for counts in (np.bincount(_bins(self.genuine), minlength=_LAST + 1), self.histogram)
        ]
        used = np.flatnonzero(both[0] + both[1])
        first, last = int(used[0]), int(used[-1]) + 1
        genuine, impostor = (tuple(counts[first:last].tolist()) for counts in both)
        return Distribution((first * _SHOWN - _BINS) / _BINS, _SHOWN / _BINS, genuine, impostor)


def _verify(
    compared: Sequence[_Compared], fars: Sequence[float], samples: int, confidence: float
) -> Verified:
    pairs = _Pairs(compared)
    counted = _Counted.of(pairs)
    # Not below what the FAR allows where the product is a hair under a whole number.
    allowed = {far: math.floor(far * counted.impostor * (1 + 1e-12)) for far in fars}
    sought = {counted.bin_of_allowed(most) for most in allowed.values()} | {counted.bin_of_equal_error()}
    within = _scores_within(pairs, sought)
    people = _People.of(pairs, counted)
    drawn, without = _Replicas.drawn(people, samples), _Replicas.without_one(people)
    points, thresholds = [], {}
    for far, most in allowed.items():
        threshold, accepted = _threshold(counted, within, most)
        if accepted < LEAST_PAIRS or people.accepted_for_others(threshold) < LEAST_PEOPLE:
            points.append(OperatingPoint(far))
            continue
        effective, tar = people.effective(threshold), counted.accepted(threshold)
        (cosines, shares), (left, left_shares) = drawn.at(far), without.at(far)
        thresholds[far] = estimate = _Estimate(threshold, cosines, left, effective)
        ends = estimate.interval(confidence)
        tar_ends = _Estimate(tar, shares, left_shares, effective).interval(confidence)
        points.append(OperatingPoint(far, threshold, tar, ends, tar_ends, effective))
    rate, crossing = _equal_error(counted, within)
    error = _Estimate(rate, drawn.equal_errors(), without.equal_errors(), people.effective(crossing))
    known = people.accepted_for_others(crossing) >= LEAST_PEOPLE
    figures = Verification(
        people=len(pairs.people),
        genuine=len(counted.genuine),
        impostor=counted.impostor,
        points=tuple(points),
        equal_error=EqualError(rate, crossing, error.interval(confidence) if known else None),
        distribution=counted.distribution(),
        roc=people.roc(),
        confidence=confidence,
        samples=samples,
    )
    return Verified(figures, thresholds)


def _scores_within(pairs: _Pairs, bins: set[int]) -> dict[int, FloatArray]:
    """Return the scores of impostor pairs in some bins, each falling."""
    wanted = np.zeros(_LAST + 1, np.bool_)
    wanted[[*bins]] = True
    parts = []
    for rows in pairs.from_queries():
        scores = rows.scores[rows.impostor]
        parts.append(scores[wanted[_bins(scores)]])
    scores = np.sort(np.concatenate(parts))[::-1]
    places = _bins(scores)
    return {each: scores[places == each] for each in bins}


def _threshold(counted: _Counted, within: dict[int, FloatArray], allowed: int) -> tuple[float, int]:
    """Return the lowest threshold that accepts no more than so many impostor pairs, and how many it does."""
    place = counted.bin_of_allowed(allowed)
    above = int(counted.tail[place + 1])
    refused = within[place][allowed - above]
    accepted = above + int(np.count_nonzero(within[place] > refused))
    return float(np.nextafter(refused, np.float32(2))), accepted


def _equal_error(counted: _Counted, within: dict[int, FloatArray]) -> tuple[float, float]:
    """Return where the polyline of the ROC crosses FAR = 1 - TAR, and the threshold there."""
    place = counted.bin_of_equal_error()
    impostor, total = within[place], len(counted.genuine)
    genuine = counted.genuine[_bins(counted.genuine) == place]
    thresholds = np.unique(np.concatenate([genuine, impostor]))[::-1]
    above = counted.tail[place + 1] + np.searchsorted(-impostor, -thresholds, side="right")
    false = np.concatenate([[counted.tail[place + 1]], above]) / counted.impostor
    below = np.searchsorted(counted.genuine, thresholds)
    # Before the first of them, what lies above the bin is accepted.
    refused = np.concatenate([[below[0] + np.count_nonzero(genuine == thresholds[0])], below]) / total
    first = int(np.argmax(false >= refused))
    gaps = refused[first - 1] - false[first - 1], false[first] - refused[first]
    share = gaps[0] / (gaps[0] + gaps[1]) if first and sum(gaps) else 0.0
    rate = false[first - 1] + share * (false[first] - false[first - 1]) if first else false[0]
    return float(rate), float(thresholds[max(first - 1, 0)])


@dataclass(frozen=True, eq=False)
class _People:
    """What each person adds to the pairs accepted, at the thresholds of a grid.

    Attributes:
        edges: (K,) the thresholds, rising; the first accepts all.
        mutual: (P, K) impostor pairs of a person and any other that are accepted.
        distractors: (P, K) of a person and distractors.
        genuine: (P, K) genuine pairs accepted.
        pull: (K,) how far to follow a drawn FAR, as a share of its way on a logarithmic scale.
    """

    edges: Values
    mutual: Values
    distractors: Values
    genuine: Values
    pull: Values

    @classmethod
    def of(cls, pairs: _Pairs, counted: _Counted) -> _People:
        """Count once more, by people."""
        people, places = len(pairs.people), _grid(counted)
        size, which = len(places), np.searchsorted(places, np.arange(_LAST + 1), side="right") - 1
        mutual, distractors = np.zeros((people, size)), np.zeros((people, size))
        squares, products, totals = np.zeros(size), np.zeros(size), 0.0
        for person, blocks in pairs.by_person():
            found = np.zeros((people + 1) * size, np.int64)
            for rows in blocks:
                cells = rows.others * size + which[_bins(rows.scores)]
                found += np.bincount(cells[rows.impostor], minlength=len(found))
            counts = _at_or_above(found.reshape(people + 1, size))
            mutual[person], distractors[person] = counts[:-1].sum(axis=0), counts[-1]
            squares += np.square(counts[:-1]).sum(axis=0)
            products += counts[:-1].T @ counts[:-1, 0]
            totals += float(np.square(counts[:-1, 0]).sum())
        far = counted.tail[places] / counted.impostor
        # Every two people were met twice.
        noise = (squares - 2 * far * products + far * far * totals) / 2
        cells = counted.owners * size + which[_bins(counted.genuine)]
        genuine = np.bincount(cells, minlength=people * size).reshape(people, size)
        own = mutual + distractors
        drawn = np.square(own - far * own[:, :1]).sum(axis=0)
        variance = np.maximum(drawn - noise, noise)
        pull = np.sqrt(np.minimum(variance / np.maximum(drawn, 1e-9), 1))
        return cls((places - _BINS) / _BINS, mutual, distractors, _at_or_above(genuine), pull)

    @cached_property
    def far(self) -> Values:
        """(K,) FAR at each threshold."""
        accepted = self.mutual.sum(axis=0) / 2 + self.distractors.sum(axis=0)
        share: Values = accepted / accepted[0]
        return share

    @cached_property
    def tar(self) -> Values:
        """(K,) TAR at each threshold."""
        accepted = self.genuine.sum(axis=0)
        share: Values = accepted / accepted[0]
        return share

    def roc(self) -> tuple[tuple[float, float, float], ...]:
        """Return the curve at the thresholds of the grid."""
        columns = (values.tolist() for values in (self.edges, self.far, self.tar))
        return tuple(zip(*columns, strict=True))

    def _accepted(self, threshold: float) -> Values:
        """Return for how many each person is accepted who is somebody else, (P,)."""
        place = max(int(np.searchsorted(self.edges, threshold, side="right")) - 1, 0)
        own: Values = self.mutual[:, place] + self.distractors[:, place]
        return own

    def accepted_for_others(self, threshold: float) -> int:
        """Return how many people are on impostor pairs that a threshold accepts."""
        return int(np.count_nonzero(self._accepted(threshold)))

    def effective(self, threshold: float) -> float:
        """Return how many people, each on as many of them, would tell as little (Kish's effective number)."""
        own = self._accepted(threshold)
        squares = float(np.square(own).sum())
        return float(own.sum()) ** 2 / squares if squares else 0.0


def _at_or_above(counts: npt.NDArray[np.int64]) -> Values:
    """Turn counts by bin, along the last axis, into counts of that bin and all above."""
    totals: Values = np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1].astype(np.float64)
    return totals


def _grid(counted: _Counted) -> IntArray:
    """Return bins, rising, from the first; each accepts some percent fewer impostor pairs than the last."""
    levels = np.geomspace(1, counted.impostor, _GRID)
    # Of a falling tail, the last bin that has so many or more.
    places = np.searchsorted(-counted.tail, -levels, side="right") - 1
    return np.unique(np.concatenate([[0], places]))


@dataclass(frozen=True, eq=False)
class _Replicas:
    """The FAR and TAR of other people, at the thresholds of the grid.

    Attributes:
        edges: (K,) the thresholds, rising.
        fars: (N, K), falling along a row.
        tars: (N, K), as above.
    """

    edges: Values
    fars: Values
    tars: Values

    @classmethod
    def drawn(cls, people: _People, samples: int, seed: int = 0) -> _Replicas:
        """Draw people, as many as there are; the same ones of every engine."""
        count = len(people.mutual)
        rng, step = np.random.default_rng(seed), max(1, _BLOCK // count)
        parts = []
        for start in range(0, samples, step):
            size = min(step, samples - start)
            weights = rng.multinomial(count, np.full(count, 1 / count), size).astype(np.float64)
            sums = (weights @ each for each in (people.mutual, people.distractors, people.genuine))
            parts.append(cls._of_sums(people, *sums))
        fars, tars = (np.concatenate([getattr(part, name) for part in parts]) for name in ("fars", "tars"))
        return cls(people.edges, fars, tars)

    @classmethod
    def without_one(cls, people: _People) -> _Replicas:
        """Leave out each person in turn."""
        sums = (each.sum(axis=0) - each for each in (people.mutual, people.distractors, people.genuine))
        return cls._of_sums(people, *sums)

    @classmethod
    def _of_sums(cls, people: _People, mutual: Values, distractors: Values, genuine: Values) -> _Replicas:
        """Make them from what the people of each add up to, (N, K)."""
        accepted = np.square(mutual) / np.maximum(2 * people.mutual.sum(axis=0), 1) + distractors
        share = np.maximum(accepted / np.maximum(accepted[:, :1], 1), 1e-300)
        fars = people.far * (share / people.far) ** people.pull
        # People who have no genuine pair say nothing of TAR.
        tars = np.where(genuine[:, :1] > 0, genuine / np.maximum(genuine[:, :1], 1), people.tar)
        return cls(people.edges, np.minimum.accumulate(fars, axis=1), tars)

    def at(self, far: float) -> tuple[Values, Values]:
        """Return the threshold (N,) of a FAR, and the TAR (N,) there."""
        goal, edges = math.log(far), self.edges[::-1]
        thresholds = np.array([np.interp(goal, row, edges) for row in np.log(self.fars)[:, ::-1]])
        rows = zip(thresholds, self.tars, strict=True)
        return thresholds, np.array([np.interp(threshold, self.edges, row) for threshold, row in rows])

    def equal_errors(self) -> Values:
        """Return the equal error rates (N,)."""
        gaps = np.minimum.accumulate(self.fars + self.tars - 1, axis=1)[:, ::-1]
        rows = zip(gaps, self.fars[:, ::-1], strict=True)
        return np.array([np.interp(0.0, gap, fars) for gap, fars in rows])


@dataclass(frozen=True, eq=False)
class _Estimate:
    """A figure, with what it is of other people.

    Attributes:
        value: of all.
        drawn: (N,) of each draw.
        without_one: (P,) with each person left out.
        people: effective number of people that it depends on.
    """

    value: float
    drawn: Values
    without_one: Values
    people: float

    def less(self, other: _Estimate) -> _Estimate:
        """Return the difference from the same figure of another engine, by the same people."""
        return _Estimate(
            self.value - other.value,
            self.drawn - other.drawn,
            self.without_one - other.without_one,
            min(self.people, other.people),
        )

    def interval(self, confidence: float) -> Interval:
        """Return the BCa interval (Efron and Tibshirani, 1993, section 14.3), widened as the module says."""
        normal, count = NormalDist(), len(self.drawn)
        below = np.count_nonzero(self.drawn < self.value) + np.count_nonzero(self.drawn == self.value) / 2
        bias = normal.inv_cdf(min(max(below, 0.5), count - 0.5) / count)
        pulls = self.without_one.mean() - self.without_one
        skew = float(np.power(pulls, 3).sum() / max(6 * float(np.square(pulls).sum()) ** 1.5, 1e-300))
        reach = _reach(confidence, self.people)
        places = (bias + (bias + z) / max(1 - skew * (bias + z), 1e-3) for z in (-reach, reach))
        low, high = np.quantile(self.drawn, [normal.cdf(place) for place in places])
        return float(low), float(high)


def _reach(confidence: float, people: float) -> float:
    """Return how many standard deviations an interval reaches: more than the normal 1.96 for few people."""
    free = max(people - 1, 2.0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    # Student's quantile, by the first terms of its expansion around the normal one.
    t = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    return t * math.sqrt((free + 1) / free)
