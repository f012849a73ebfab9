"""What became of people's identities in sequences, and what a frame took."""

from __future__ import annotations

import math
from dataclasses import dataclass

from osnet_edge.bench._require import require
from osnet_edge.track.change import TracksChange
from osnet_edge.track.scores import TrackingScores


@dataclass(frozen=True)
class Tracking:
    """Tracks by an engine's embeddings, or by motion alone; milliseconds are means over the frames.

    Attributes:
        scores: over all sequences, each camera for itself.
        across_idf1: IDF1 in percent over the cameras of each site, which shared a gallery; None where no site
            has two.
        crop_ms: cutting out and resizing; None where the engine does not tell it, and of motion alone.
        embed_ms: the rest from frame and boxes to embeddings; None of motion alone.
        associate_ms: the tracker.
        frames_per_second: that one stream of frames can have, by these times.
        change: from the reference's scores; None of the reference itself, and where that was not measured.
    """

    scores: TrackingScores
    across_idf1: float | None
    crop_ms: float | None
    embed_ms: float | None
    associate_ms: float
    frames_per_second: float
    change: TracksChange | None = None

    def __post_init__(self) -> None:
        s = self.scores
        for percent in (s.hota, s.deta, s.assa, s.idf1, self.across_idf1 or 0.0):
            require(-1e-9 <= percent <= 100 + 1e-9, "scores of 0 to 100 %", percent)
        require(s.switches >= 0 and s.fragmentations >= 0, "counts of 0 or more", s)
        require(min(self.crop_ms or 0, self.embed_ms or 0) >= 0, "times of 0 ms or more", self.embed_ms)
        require(self.associate_ms > 0, "a time above 0 ms", self.associate_ms)
        agrees = math.isclose(self.frames_per_second, 1000 / self.whole_ms, rel_tol=1e-6)
        require(agrees, "frames_per_second to follow from the times", self.frames_per_second)

    @classmethod
    def of(
        cls,
        scores: TrackingScores,
        across_idf1: float | None,
        associate_ms: float,
        *,
        crop_ms: float | None = None,
        embed_ms: float | None = None,
        change: TracksChange | None = None,
    ) -> Tracking:
        """Make one from its times."""
        whole = associate_ms + (crop_ms or 0) + (embed_ms or 0)
        return cls(scores, across_idf1, crop_ms, embed_ms, associate_ms, 1000 / whole, change)

    def follows_from(self, base: Tracking | None) -> bool:
        """Say whether the change is from the scores of this base."""
        if base is None or self.change is None:
            return self.change is None
        return all(
            math.isclose(
                getattr(self.change, name),
                getattr(self.scores, name) - getattr(base.scores, name),
                abs_tol=1e-9,
            )
            for name in ("idf1", "hota", "mota")
        )

    @property
    def whole_ms(self) -> float:
        """From a frame and its boxes to identities."""
        return (self.crop_ms or 0) + (self.embed_ms or 0) + self.associate_ms


@dataclass(frozen=True)
class TrackedSet:
    """The sequences that people were followed through, the same for every engine.

    Attributes:
        sequences: their names.
        detectors: what their boxes are from: "det.txt", or "gt.txt" where those marked are the boxes.
        frames: of all.
        people: boxes in a frame, mean.
        sites: of several cameras.
        threshold: cosine from which somebody who appears is somebody who was seen before.
        motion: tracks without embeddings.
    """

    sequences: tuple[str, ...]
    detectors: tuple[str, ...]
    frames: int
    people: float
    sites: tuple[str, ...]
    threshold: float
    motion: Tracking

    def __post_init__(self) -> None:
        require(bool(self.sequences), "1 sequence or more", self.sequences)
        require(self.frames >= 1 and self.people >= 0, "1 frame or more", self.frames)
