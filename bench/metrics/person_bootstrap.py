"""How sure a threshold and its error rates are: a bootstrap over people, of whom each is on many pairs.

Pairs that share a person depend on each other: somebody in a black coat is accepted for many. So people are
drawn, not pairs. A person drawn w times brings w times their genuine pairs, and an impostor pair counts
w times w', as if its people had been drawn on both sides (Owen, "The pigeonhole bootstrap", Annals of Applied
Statistics 1(2), 2007). For each draw that takes a product over all pairs; here it is done in its leading
terms, with b_p the accepted impostor pairs that person p is on:

    accepted = (sum of w_p b_p)**2 / (2 sum of b_p)

Distractors are not drawn: nobody knows who is on them.

Such draws vary too much where pairs owe little to their people, since a pair's own noise is counted with both
of them. The excess in the variance is the sum over pairs of people of their squared residuals (Aronow, Samii
and Assenova, "Cluster-robust variance estimation for dyadic data", Political Analysis 23(4), 2015). So the
logarithm of a drawn FAR is pulled towards that of the measured one, by the ratio of the standard deviations.

Intervals are BCa ones (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 14), widened
as by Student's t (Hesterberg, "What teachers should know about the bootstrap", The American Statistician
69(4), 2015) for the degrees of freedom of that variance, since few people may decide it.

In simulated sets of 60 to 300 people, intervals of 95 % hold the true threshold in 91 to 98 of 100, TAR in 93
to 98 and the equal error rate in 92 to 96, and a threshold's difference between two engines in 95 to 99. The
least is 90, where two thirds of the variance of impostors are their people's, so that a dozen of 60 decide a
FAR. `tests/bench/test_verification.py` repeats the smaller ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.metrics.distances import IntArray
from osnet_edge.bench.metrics.pairs import BINS, BLOCK, LAST_BIN, Counted, Pairs, bins_of
from osnet_edge.bench.metrics.statistics import Values

#: Thresholds at which the draws are followed, each of an equal share of accepted pairs more than the last.
_GRID = 160

#: A FAR of which the logarithm can be taken, where nothing is accepted.
_NONE = 1e-300

Interval = tuple[float, float]


@dataclass(frozen=True, eq=False)
class People:
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
    def of(cls, pairs: Pairs, counted: Counted) -> People:
        """Count once more, by people."""
        people, places = len(pairs.people), _grid(counted)
        size, which = len(places), np.searchsorted(places, np.arange(LAST_BIN + 1), side="right") - 1
        mutual, distractors = np.zeros((people, size)), np.zeros((people, size))
        squares, products, totals = np.zeros(size), np.zeros(size), 0.0
        for person, blocks in pairs.by_person():
            found = np.zeros((people + 1) * size, np.int64)
            for rows in blocks:
                cells = rows.others * size + which[bins_of(rows.scores)]
                found += np.bincount(cells[rows.impostor], minlength=len(found))
            counts = _at_or_above(found.reshape(people + 1, size))
            mutual[person], distractors[person] = counts[:-1].sum(axis=0), counts[-1]
            squares += np.square(counts[:-1]).sum(axis=0)
            products += counts[:-1].T @ counts[:-1, 0]
            totals += float(np.square(counts[:-1, 0]).sum())
        far = counted.tail[places] / counted.impostor
        # Every two people were met twice.
        noise = (squares - 2 * far * products + far * far * totals) / 2
        cells = counted.owners * size + which[bins_of(counted.genuine)]
        genuine = np.bincount(cells, minlength=people * size).reshape(people, size)
        own = mutual + distractors
        drawn = np.square(own - far * own[:, :1]).sum(axis=0)
        variance = np.maximum(drawn - noise, noise)
        pull = np.sqrt(np.minimum(variance / np.maximum(drawn, 1e-9), 1))
        return cls((places - BINS) / BINS, mutual, distractors, _at_or_above(genuine), pull)

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

    def _place(self, threshold: float) -> int:
        return max(int(np.searchsorted(self.edges, threshold, side="right")) - 1, 0)

    def _accepted(self, threshold: float) -> Values:
        """Return for how many each person is accepted who is somebody else, (P,)."""
        place = self._place(threshold)
        own: Values = self.mutual[:, place] + self.distractors[:, place]
        return own

    def accepted_for_others(self, threshold: float) -> int:
        """Return how many people are on impostor pairs that a threshold accepts."""
        return int(np.count_nonzero(self._accepted(threshold)))

    def effective(self, threshold: float) -> float:
        """Return how many people, each with as much to say of the FAR there, would leave it as unsure.

        The degrees of freedom of its variance by Satterthwaite: those of so many normal ones.
        """
        place = self._place(threshold)
        own = self.mutual + self.distractors
        squares = np.square(own[:, place] - self.far[place] * own[:, 0])
        total = float(squares.sum())
        excess = float(np.square(squares).sum()) / max(total * total, 1e-300) - 1 / len(own)
        # What the noise of pairs was taken off is as unsure as before, and smaller.
        return 2 / max(excess, 2 / len(own)) * float(self.pull[place]) ** 4


def _at_or_above(counts: npt.NDArray[np.int64]) -> Values:
    """Turn counts by bin, along the last axis, into counts of that bin and all above."""
    totals: Values = np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1].astype(np.float64)
    return totals


def _grid(counted: Counted) -> IntArray:
    """Return bins, rising: from all impostor pairs accepted, by some percent fewer each, to none."""
    levels = np.geomspace(1, counted.impostor, _GRID)
    # Of a falling tail, the last bin that has so many or more.
    places = np.searchsorted(-counted.tail, -levels, side="right") - 1
    return np.unique(np.concatenate([[0], places, [places[0] + 1]]))


@dataclass(frozen=True, eq=False)
class Replicas:
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
    def drawn(cls, people: People, samples: int, seed: int = 0) -> Replicas:
        """Draw people, as many as there are; the same ones of every engine."""
        count = len(people.mutual)
        rng, step = np.random.default_rng(seed), max(1, BLOCK // count)
        parts = []
        for start in range(0, samples, step):
            size = min(step, samples - start)
            weights = rng.multinomial(count, np.full(count, 1 / count), size).astype(np.float64)
            sums = (weights @ each for each in (people.mutual, people.distractors, people.genuine))
            parts.append(cls._of_sums(people, *sums))
        fars, tars = (np.concatenate([getattr(part, name) for part in parts]) for name in ("fars", "tars"))
        return cls(people.edges, fars, tars)

    @classmethod
    def without_one(cls, people: People) -> Replicas:
        """Leave out each person in turn."""
        sums = (each.sum(axis=0) - each for each in (people.mutual, people.distractors, people.genuine))
        return cls._of_sums(people, *sums)

    @classmethod
    def _of_sums(cls, people: People, mutual: Values, distractors: Values, genuine: Values) -> Replicas:
        """Make them from what the people of each add up to, (N, K)."""
        accepted = np.square(mutual) / np.maximum(2 * people.mutual.sum(axis=0), 1) + distractors
        share = np.maximum(accepted / np.maximum(accepted[:, :1], 1), _NONE)
        far = np.maximum(people.far, _NONE)
        fars = far * (share / far) ** people.pull
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
class Estimate:
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

    def less(self, other: Estimate) -> Estimate:
        """Return the difference from the same figure of another engine, by the same people."""
        return Estimate(
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
