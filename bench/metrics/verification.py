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

A FAR that accepts fewer than `LEAST_PAIRS` impostor pairs, or fewer than `LEAST_PEOPLE` people, has no
threshold here: it would tell of these people. Figures are exact whatever the size of the set, see
`osnet_edge.bench.metrics.pairs`, and intervals are by `osnet_edge.bench.metrics.person_bootstrap`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from osnet_edge.bench._require import require
from osnet_edge.bench.metrics.distances import checked_feature_pair
from osnet_edge.bench.metrics.evaluate import PictureRows, Split, split_labels
from osnet_edge.bench.metrics.pairs import Compared, Counted, Distribution, Exact, Pairs
from osnet_edge.bench.metrics.person_bootstrap import Estimate, Interval, People, Replicas
from osnet_edge.bench.metrics.ranking import Labels
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.golden import normalize_rows

#: False accept rates of every set; others are asked for.
USUAL_FARS = (1e-1, 1e-2, 1e-3, 1e-4)
#: Accepted impostor pairs below which a FAR is not resolved.
LEAST_PAIRS = 10
#: People on them below which it is not.
LEAST_PEOPLE = 10


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold chosen by a false accept rate; what is not resolved is None.

    Attributes:
        far: the false accept rate asked for.
        threshold: the cosine from which on a pair is accepted.
        tar: share of genuine pairs accepted.
        threshold_interval: its ends.
        tar_interval: of the true accept rate at this FAR, the threshold being found anew in each draw.
        effective_people: how many people who all matter as much would leave this FAR as unsure: the degrees
            of freedom of its variance.
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
    thresholds: dict[float, Estimate]

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
        compared.append(Compared.of_features(query, gallery, split_labels(split)))
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
    whole = Compared(labels, lambda some: array[some], lambda some: array.T[some])
    return _verify([whole], checked_fars(fars), samples, confidence)


def _verify(compared: Sequence[Compared], fars: Sequence[float], samples: int, confidence: float) -> Verified:
    pairs = Pairs(compared)
    counted = Counted.of(pairs)
    # Not below what the FAR allows where the product is a hair under a whole number.
    allowed = {far: math.floor(far * counted.impostor * (1 + 1e-12)) for far in fars}
    exact = Exact.of(pairs, counted, allowed.values())
    people = People.of(pairs, counted)
    drawn, without = Replicas.drawn(people, samples), Replicas.without_one(people)
    points, thresholds = [], {}
    for far, most in allowed.items():
        threshold, accepted = exact.threshold(most)
        if accepted < LEAST_PAIRS or people.accepted_for_others(threshold) < LEAST_PEOPLE:
            points.append(OperatingPoint(far))
            continue
        effective, tar = people.effective(threshold), counted.accepted(threshold)
        (cosines, shares), (left, left_shares) = drawn.at(far), without.at(far)
        thresholds[far] = estimate = Estimate(threshold, cosines, left, effective)
        ends = estimate.interval(confidence)
        tar_ends = Estimate(tar, shares, left_shares, effective).interval(confidence)
        points.append(OperatingPoint(far, threshold, tar, ends, tar_ends, effective))
    rate, crossing = exact.equal_error()
    error = Estimate(rate, drawn.equal_errors(), without.equal_errors(), people.effective(crossing))
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
