"""What a benchmark measures: batches, frames, a test set, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.metrics.evaluate import LabelledPicture
from osnet_edge.bench.result.limits import Work
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.preprocessing import Picture
from osnet_edge.track.sequence import Sequence as Watched

#: Windows of a long run.
WINDOWS = 60


@dataclass(frozen=True)
class TestSet:
    """Images to score engines on: a name, queries and a gallery."""

    name: str
    query: Sequence[LabelledPicture]
    gallery: Sequence[LabelledPicture]


@dataclass(frozen=True, eq=False)
class Scene:
    """A frame, H x W x 3 uint8 as OpenCV reads it (BGR), and its boxes, (N, 4) of x1, y1, x2, y2."""

    frame: Picture
    boxes: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Frames:
    """What a tracker asks for: frames with boxes, one for each number of people, and their source."""

    source: str
    scenes: tuple[Scene, ...]


@dataclass(frozen=True, eq=False)
class Footage:
    """Sequences to follow people through, with the boxes of a detector and who is who.

    Attributes:
        sequences: one or more.
        threshold: cosine from which somebody who appears is somebody who was seen before; the same for every
            engine.
    """

    sequences: tuple[Watched, ...]
    threshold: float

    def __post_init__(self) -> None:
        unknown = [each.name for each in self.sequences if each.truth is None]
        if unknown:
            raise InputError(
                f"expected who is who in gt/gt.txt of every sequence, found none in {', '.join(unknown)}; "
                "leave them out, or look at them with osnet-edge track"
            )
        if not -1 <= self.threshold <= 1:
            raise InputError(f"expected --track-threshold as a cosine, -1 to 1; got {self.threshold:g}")

    @property
    def sites(self) -> dict[str, list[int]]:
        """Sites that several cameras watch, and the places of their sequences."""
        found: dict[str, list[int]] = {}
        for place, each in enumerate(self.sequences):
            found.setdefault(each.site, []).append(place)
        return {site: cameras for site, cameras in found.items() if len(cameras) > 1}


@dataclass(frozen=True, eq=False)
class Plan:
    """What to measure of every engine; the defaults of time are trtexec's.

    Attributes:
        batches: crops a call, ascending.
        threads: the engines' threads, for the result document; None if they choose.
        duration_s: seconds measured per engine and batch, or frame.
        warmup_s: seconds of calls before, which are not kept.
        min_iterations: calls measured at least.
        streams: numbers of callers whose throughput to measure.
        frames: to measure the job of a tracker on; None leaves it out.
        sustained_s: seconds of a long run of each engine; 0 leaves it out.
        cold_starts: processes to start of each package; 0 leaves it out.
        layers: whether to ask backends for the times of their layers.
        work: of the reference's graph, counted; then the machine's ceilings are measured too.
        test_set: to score on; None leaves accuracy out.
        fars: false accept rates to find thresholds of on it; none leaves verification out.
        footage: to follow people through; None leaves tracking out.
        patience_s: seconds that an engine may need beyond what it is asked to run: a call cannot be cut
            short, and one of a large batch takes minutes on a small board.
    """

    batches: tuple[int, ...]
    threads: int | None = None
    duration_s: float = 3.0
    warmup_s: float = 0.2
    min_iterations: int = 10
    streams: tuple[int, ...] = ()
    frames: Frames | None = None
    sustained_s: float = 0.0
    cold_starts: int = 0
    layers: bool = False
    work: Work | None = None
    test_set: TestSet | None = None
    fars: tuple[float, ...] = ()
    footage: Footage | None = None
    patience_s: float = 300.0

    def __post_init__(self) -> None:
        if not self.batches or list(self.batches) != sorted(set(self.batches)) or self.batches[0] < 1:
            raise InputError(f"expected ascending batches of 1 or more, got {self.batches}")

    @property
    def window_s(self) -> float:
        """Seconds of one window of a long run."""
        return self.sustained_s / WINDOWS

    @property
    def limit_s(self) -> float:
        """Seconds without a message after which an engine hangs: twice the longest run, plus patience."""
        return 2 * max(self.duration_s, self.warmup_s, self.window_s) + self.patience_s

    @property
    def typical_batch(self) -> int:
        """The largest batch up to 8, which is a usual number of people in a frame; else the smallest."""
        return max((size for size in self.batches if size <= 8), default=self.batches[0])
