"""The reference tracker: plain and fixed, so that only embeddings differ between two runs of it.

It is a reference and no product. It has the parts that trackers share: a Kalman filter of constant velocity
("Simple Online and Realtime Tracking", Bewley et al., 2016), assignment by overlap and appearance ("Simple
Online and Realtime Tracking with a Deep Association Metric", Wojke et al., 2017), and a gallery of those who
were seen, which cameras may share.

No library with a permissive licence does this with our embeddings: trackers 2.6 takes none, norfair 2.3 needs
NumPy before 2, and deep-sort-realtime 1.3 gates by motion, so that whoever comes back elsewhere is lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from filterpy.kalman import KalmanFilter
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from osnet_edge.track.sequence import Boxes, Detections, Ids

#: Embeddings, (N, D), each of length 1.
Rows = NDArray[np.float32]
#: One embedding, (D,).
Row = NDArray[np.float32]
#: Cost of what may not be.
_NEVER = 1e3
#: From this overlap on, a second box is on the same person.
_SAME = 0.7
#: Rows that a track is recognised by in the next frame.
_RECENT = 8
#: Seconds between rows of an identity in the gallery, which would be all alike otherwise.
_APART = 0.5


@dataclass(frozen=True)
class Rules:
    """What the tracker goes by, the same for every engine.

    Attributes:
        threshold: cosine from which two rows are of the same person, in the next frame and after minutes.
        score: boxes of a lower score are passed over.
        overlap: least IoU of a box with where somebody is expected.
        confirm: frames in which somebody is found before they get an identity.
        coast: seconds for which somebody who is not found is expected to walk on.
        memory: seconds for which somebody is remembered by appearance.
        bank: rows that the gallery keeps of each identity.
    """

    threshold: float = 0.8
    score: float = 0.3
    overlap: float = 0.15
    confirm: int = 3
    coast: float = 1.0
    memory: float = 120.0
    bank: int = 16


@dataclass
class _Seen:
    """Somebody in the gallery: how they looked, when a row was last kept, and when they were last seen."""

    rows: list[Row] = field(default_factory=list)
    kept: float = float("-inf")
    last: float = float("-inf")


class Gallery:
    """Everybody who was seen, and how they looked. Cameras that share one should not see the same spot.

    Args:
        rules: of the tracker.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._seen: dict[int, _Seen] = {}

    def add(self) -> int:
        """Return a new identity, counted from 1."""
        identity = len(self._seen) + 1
        self._seen[identity] = _Seen()
        return identity

    def see(self, identity: int, row: Row | None, seconds: float) -> None:
        """Remember that somebody was seen, and every half second how they looked."""
        somebody = self._seen[identity]
        somebody.last = seconds
        if row is not None and seconds - somebody.kept >= _APART:
            somebody.rows = [*somebody.rows, row][-self._rules.bank :]
            somebody.kept = seconds

    def alike(self, rows: Rows, seconds: float) -> tuple[list[int], NDArray[np.float64]]:
        """Return who may come back, and how alike to them rows are.

        Args:
            rows: (N, D).
            seconds: now; whoever is seen at this very time is somewhere, and cannot come back.

        Returns:
            Identities, and (identities, N) cosines to the most alike row that the gallery has of each.
        """
        absent = {
            identity: np.stack(somebody.rows)
            for identity, somebody in self._seen.items()
            if somebody.rows and somebody.last < seconds <= somebody.last + self._rules.memory
        }
        cosines = [(kept @ rows.T).max(axis=0) for kept in absent.values()]
        return list(absent), np.array(cosines, np.float64).reshape(-1, len(rows))


class _Track:
    """Somebody in view: the state is x, y of the middle, width, height, and their changes to a second."""

    def __init__(self, box: Boxes, row: Row | None, seconds: float) -> None:
        self.identity: int | None = None
        self.hits = 1
        self.missed = 0
        self.last = self._now = seconds
        self.rows = [] if row is None else [row]
        self._high = high = box[3] - box[1]
        self._filter = KalmanFilter(dim_x=8, dim_z=4)
        self._filter.H = np.eye(4, 8)
        self._filter.x[:4, 0] = _middle(box)
        # A box is off by a twentieth of its height; people walk up to a height a second.
        self._filter.R = np.diag([(0.05 * high) ** 2] * 4)
        self._filter.P = np.diag([(0.05 * high) ** 2] * 4 + [high**2] * 2 + [(0.1 * high) ** 2] * 2)

    @property
    def box(self) -> Boxes:
        """Where they are expected, (4,)."""
        x, y, wide, high = self._filter.x[:4, 0]
        return np.array([x - wide / 2, y - high / 2, x + wide / 2, y + high / 2])

    def expect(self, seconds: float) -> None:
        """Go on to the next frame."""
        gone, self._now = seconds - self._now, seconds
        # Within a second people turn: their speed changes by half a height a second, and their size hardly.
        place, speed, growth = (0.01 * self._high) ** 2, (0.5 * self._high) ** 2, (0.05 * self._high) ** 2
        self._filter.predict(
            F=np.eye(8) + np.diag([gone] * 4, 4),
            Q=np.diag([place] * 4 + [speed * gone] * 2 + [growth * gone] * 2),
        )
        self.missed += 1

    def hit(self, box: Boxes, row: Row | None) -> None:
        """Take a box for them."""
        self._filter.update(_middle(box))
        self.hits += 1
        self.missed = 0
        self.last = self._now
        if row is not None:
            self.rows = [*self.rows, row][-_RECENT:]


class Tracker:
    """Follows people through the frames of one camera.

    Args:
        gallery: who was seen; shared by cameras that share identities.
        rules: what it goes by.
    """

    def __init__(self, gallery: Gallery, rules: Rules) -> None:
        self._gallery, self._rules = gallery, rules
        self._tracks: list[_Track] = []

    def update(self, detections: Detections, rows: Rows | None, seconds: float) -> Ids:
        """Say who is in the next frame.

        Args:
            detections: N boxes.
            rows: (N, D), their embeddings; None goes by motion alone. A box without a pixel in the frame,
                whose row is NaN or zero, is passed over.
            seconds: time of the frame, later than that of the frame before.

        Returns:
            int64 (N,), identities from 1, and 0 for whoever is nobody yet.
        """
        for track in self._tracks:
            track.expect(seconds)
        usable = detections.scores >= self._rules.score
        if rows is not None:
            usable &= np.abs(rows).max(axis=1, initial=0) > 0
        sure = np.flatnonzero(usable)
        order = sure[np.argsort(-detections.scores[sure], kind="stable")]
        boxes = detections.boxes[order]
        looks: list[Row | None] = [None] * len(order) if rows is None else list(rows[order])
        hit = self._assign(boxes, None if rows is None else rows[order])
        for index, track in hit.items():
            track.hit(boxes[index], looks[index])
        found = list(hit.values())
        # Before others are named, so that nobody who is seen now comes back.
        self._remember((track for track in found if track.identity is not None), seconds)
        self._name(found, seconds)
        self._forget(seconds)
        self._begin(boxes, looks, hit, seconds)
        given = np.zeros(len(detections.boxes), np.int64)
        for index, track in hit.items():
            given[order[index]] = track.identity or 0
        return given

    def _assign(self, boxes: Boxes, rows: Rows | None) -> dict[int, _Track]:
        """Return the track of each box that has one, by the box's index."""
        if not self._tracks or not len(boxes):
            return {}
        overlap = _overlaps(np.stack([track.box for track in self._tracks]), boxes)
        cost, allowed = 1 - overlap, overlap >= self._rules.overlap
        if rows is not None:
            cosines = np.stack([(np.stack(track.rows) @ rows.T).max(axis=0) for track in self._tracks])
            cost += 1 - cosines
            allowed &= cosines >= self._rules.threshold
        pairs = zip(*linear_sum_assignment(np.where(allowed, cost, _NEVER)), strict=True)
        return {int(index): self._tracks[k] for k, index in pairs if allowed[k, index]}

    def _remember(self, named: Iterable[_Track], seconds: float) -> None:
        for track in named:
            assert track.identity is not None, "only the named are remembered"
            self._gallery.see(track.identity, track.rows[-1] if track.rows else None, seconds)

    def _name(self, hit: list[_Track], seconds: float) -> None:
        """Give those who are somebody by now the identity of somebody seen before, or a new one."""
        nameless = [each for each in hit if each.identity is None and each.hits >= self._rules.confirm]
        if nameless and nameless[0].rows:
            means = np.stack([np.mean(track.rows, axis=0) for track in nameless])
            means /= np.linalg.norm(means, axis=1, keepdims=True)
            known, cosines = self._gallery.alike(means, seconds)
            for k, index in zip(*linear_sum_assignment(-cosines), strict=True):
                if cosines[k, index] >= self._rules.threshold:
                    nameless[index].identity = known[k]
        for track in nameless:
            if track.identity is None:
                track.identity = self._gallery.add()
        self._remember(nameless, seconds)
        # Whoever was expected to walk on here may have been found elsewhere.
        found = {track.identity for track in hit}
        self._tracks = [each for each in self._tracks if not each.missed or each.identity not in found]

    def _forget(self, seconds: float) -> None:
        """Drop whoever was not found for long, and whoever is nobody yet after two frames."""
        self._tracks = [
            each
            for each in self._tracks
            if (each.missed <= 1 if each.identity is None else seconds - each.last <= self._rules.coast)
        ]

    def _begin(self, boxes: Boxes, looks: list[Row | None], hit: dict[int, _Track], seconds: float) -> None:
        """Begin a track for each box that nobody has."""
        taken = [boxes[index] for index in hit]
        for index in range(len(boxes)):
            if index not in hit and not (
                taken and _overlaps(boxes[index][None], np.stack(taken)).max() >= _SAME
            ):
                self._tracks.append(_Track(boxes[index], looks[index], seconds))
                taken.append(boxes[index])


def _middle(box: Boxes) -> Boxes:
    return np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]])


def _overlaps(some: Boxes, others: Boxes) -> NDArray[np.float64]:
    """Return the intersection over union of each pair, (len(some), len(others))."""
    corner = np.maximum(some[:, None, :2], others[None, :, :2])
    opposite = np.minimum(some[:, None, 2:], others[None, :, 2:])
    both = np.prod((opposite - corner).clip(0), axis=2)
    here, there = (np.prod((each[:, 2:] - each[:, :2]).clip(0), axis=1) for each in (some, others))
    return np.asarray(both / np.maximum(here[:, None] + there[None, :] - both, 1e-9))
