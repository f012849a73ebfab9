"""Every pair of a query and a gallery image by different cameras, a block at a time, counted and sorted.

Large sets have more pairs than memory: Market-1501 has 55 million. They are counted in bins of 2**-15, and
then only the scores in those bins in which a threshold lies are collected and sorted. So a threshold is
exact, and memory is that of a block and those bins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osnet_edge.bench._require import require
from osnet_edge.bench.metrics.distances import FloatArray, IntArray
from osnet_edge.bench.metrics.ranking import Labels
from osnet_edge.runtime.errors import InputError

Flags = npt.NDArray[np.bool_]

#: Bins of the count, for each unit of cosine; a power of two, so that scaling rounds nothing.
BINS = 2**15
LAST_BIN = 2 * BINS
#: Of those in a bin of the distributions shown.
_SHOWN = 2**10
#: Numbers in a block, 16 MB of float32; several arrays of this size are at work.
BLOCK = 4_000_000


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


@dataclass(frozen=True, eq=False)
class Compared:
    """One split: labels of both sides, and scores of some images of one side with all of the other."""

    labels: Labels
    of_queries: Callable[[IntArray], FloatArray]
    of_gallery: Callable[[IntArray], FloatArray]

    @classmethod
    def of_features(cls, query: FloatArray, gallery: FloatArray, labels: Labels) -> Compared:
        """Make one from rows of length 1."""
        return cls(labels, lambda some: query[some] @ gallery.T, lambda some: gallery[some] @ query.T)


@dataclass(frozen=True, eq=False)
class Rows:
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


@dataclass(frozen=True, eq=False)
class _Side:
    """The images of one side of a split, to be scored with all of the other.

    Attributes:
        own: (N,) who is on each, as a place among the people; the number of people for a distractor.
        cameras: (N,) which camera took each.
        others: (M,) as `own`, of the other side.
        other_cameras: (M,) as `cameras`.
        scores: of some of them with all of the others.
    """

    own: IntArray
    cameras: IntArray
    others: IntArray
    other_cameras: IntArray
    scores: Callable[[IntArray], FloatArray]

    def of(self, members: IntArray) -> Iterator[Rows]:
        """Yield the pairs of some people who follow each other, a block at a time."""
        some = np.flatnonzero((self.own >= members[0]) & (self.own <= members[-1]))
        step = max(1, BLOCK // len(self.others))
        for start in range(0, len(some), step):
            part = some[start : start + step]
            across = self.cameras[part, None] != self.other_cameras
            yield Rows(self.scores(part), self.own[part], self.others, across)


class Pairs:
    """The pairs of some splits, by the people of the queries, a few people at a time.

    Attributes:
        people: (P,) their identities, rising.
    """

    def __init__(self, compared: Sequence[Compared]) -> None:
        self.people = np.unique(np.concatenate([each.labels.query_ids for each in compared]))
        self._queries, self._galleries = list[_Side](), list[_Side]()
        numbers = np.zeros(len(self.people), np.int64)
        for each in compared:
            labels = each.labels
            query = self._places(labels.query_ids), labels.query_cameras
            gallery = self._places(labels.gallery_ids), labels.gallery_cameras
            self._queries.append(_Side(*query, *gallery, each.of_queries))
            self._galleries.append(_Side(*gallery, *query, each.of_gallery))
            for (own, _), (others, _) in ((query, gallery), (gallery, query)):
                numbers += np.bincount(own, minlength=len(numbers) + 1)[:-1] * len(others)
        # The same people together each time, so that the same product rounds in the same way.
        self._groups = np.cumsum(numbers) // BLOCK

    def _places(self, ids: IntArray) -> IntArray:
        found = np.searchsorted(self.people, ids)
        known = self.people[np.minimum(found, len(self.people) - 1)] == ids
        return np.where(known, found, len(self.people))

    def from_queries(self) -> Iterator[Rows]:
        """Yield every pair once."""
        for members in self._some_people():
            yield from (rows for side in self._queries for rows in side.of(members))

    def by_person(self) -> Iterator[tuple[int, Iterable[Rows]]]:
        """Yield each person's place, and the pairs of their images on either side."""
        for members in self._some_people():
            blocks = (rows for side in (*self._queries, *self._galleries) for rows in side.of(members))
            if len(members) == 1:
                # Not held together: one person may have more pairs than a block.
                yield int(members[0]), blocks
                continue
            held = [*blocks]
            for person in members.tolist():
                yield person, [_narrowed(rows, rows.own == person) for rows in held]

    def _some_people(self) -> Iterator[IntArray]:
        for group in np.unique(self._groups):
            yield np.flatnonzero(self._groups == group)


def _narrowed(rows: Rows, chosen: Flags) -> Rows:
    return Rows(rows.scores[chosen], rows.own[chosen], rows.others, rows.across[chosen])


def bins_of(scores: FloatArray) -> npt.NDArray[np.int32]:
    """Return the bin of each score; bin i begins at (i - BINS) / BINS, and no score is rounded."""
    places: npt.NDArray[np.int32] = np.floor(scores * np.float32(BINS)).astype(np.int32)
    places += BINS
    return np.clip(places, 0, LAST_BIN, out=places)


@dataclass(frozen=True, eq=False)
class Counted:
    """All pairs, counted.

    Attributes:
        genuine: (M,) scores, rising.
        owners: (M,) whose they are, as places among the people.
        histogram: (LAST_BIN + 1,) impostor pairs by bin.
        tail: (LAST_BIN + 2,) impostor pairs in a bin or above.
    """

    genuine: FloatArray
    owners: IntArray
    histogram: IntArray
    tail: IntArray

    @classmethod
    def of(cls, pairs: Pairs) -> Counted:
        """Count them.

        Raises:
            InputError: there are none of one kind.
        """
        histogram = np.zeros(LAST_BIN + 1, np.int64)
        scores, owners = [np.empty(0, np.float32)], [np.empty(0, np.int64)]
        for rows in pairs.from_queries():
            histogram += np.bincount(bins_of(rows.scores[rows.impostor]), minlength=LAST_BIN + 1)
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
        edges = (np.arange(LAST_BIN + 2) - BINS) / BINS
        refused = np.searchsorted(self.genuine, edges.astype(np.float32)) / len(self.genuine)
        return int(np.flatnonzero(self.tail / self.impostor >= refused)[-1])

    def distribution(self) -> Distribution:
        """Return both distributions, from the first bin with a pair to the last."""
        both = [
            np.add.reduceat(counts, np.arange(0, LAST_BIN, _SHOWN))
            for counts in (np.bincount(bins_of(self.genuine), minlength=LAST_BIN + 1), self.histogram)
        ]
        used = np.flatnonzero(both[0] + both[1])
        first, last = int(used[0]), int(used[-1]) + 1
        genuine, impostor = (tuple(counts[first:last].tolist()) for counts in both)
        return Distribution((first * _SHOWN - BINS) / BINS, _SHOWN / BINS, genuine, impostor)


@dataclass(frozen=True, eq=False)
class Exact:
    """The pairs, with the scores sorted of those bins in which a threshold lies.

    Attributes:
        counted: the pairs.
        within: scores of impostor pairs, falling, by bin.
    """

    counted: Counted
    within: dict[int, FloatArray]

    @classmethod
    def of(cls, pairs: Pairs, counted: Counted, allowed: Iterable[int]) -> Exact:
        """Collect what the thresholds need that accept so many impostor pairs, and the equal error rate."""
        bins = {*map(counted.bin_of_allowed, allowed), counted.bin_of_equal_error()}
        wanted = np.zeros(LAST_BIN + 1, np.bool_)
        wanted[[*bins]] = True
        parts = []
        for rows in pairs.from_queries():
            scores = rows.scores[rows.impostor]
            parts.append(scores[wanted[bins_of(scores)]])
        scores = np.sort(np.concatenate(parts))[::-1]
        places = bins_of(scores)
        return cls(counted, {each: scores[places == each] for each in bins})

    def threshold(self, allowed: int) -> tuple[float, int]:
        """Return the lowest threshold that accepts no more impostor pairs than that, and how many it does."""
        place = self.counted.bin_of_allowed(allowed)
        above = int(self.counted.tail[place + 1])
        refused = self.within[place][allowed - above]
        accepted = above + int(np.count_nonzero(self.within[place] > refused))
        return float(np.nextafter(refused, np.float32(2))), accepted

    def equal_error(self) -> tuple[float, float]:
        """Return where the polyline of the ROC crosses FAR = 1 - TAR, and the threshold there."""
        counted = self.counted
        place = counted.bin_of_equal_error()
        impostor, total = self.within[place], len(counted.genuine)
        genuine = counted.genuine[bins_of(counted.genuine) == place]
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
