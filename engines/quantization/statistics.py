"""One streaming pass over calibration images: how values are spread, channel by channel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osnet_edge.engines.graph.reading import Graph
from osnet_edge.engines.graph.running import tensor_runner
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.graph_info import INPUT_NAME

#: Of magnitudes, for each sign. A channel's limit is at most twice its largest value, so that of a channel
#: at least half of these tell its values apart.
BINS = 512
#: Values of a channel that are counted of a batch, some; a feature map has thousands, much like each other.
_COUNTED = 1024
#: A limit before there was a value; dead channels keep it.
_SMALLEST = 1e-20


@dataclass
class ChannelHistograms:
    """What one tensor's values were, by channel; it grows while it is fed.

    Attributes:
        limit: (C,) magnitude at which the last bin ends.
        counts: (2, C, BINS) of values from 0 up, and of those below 0, by magnitude.
        lowest: (C,) lowest value.
        highest: (C,) highest value.
        total: (C,) sums.
        seen: values of each channel in `total`.
        counted: those in `counts`.
    """

    limit: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int32]
    lowest: npt.NDArray[np.float64]
    highest: npt.NDArray[np.float64]
    total: npt.NDArray[np.float64]
    seen: int = 0
    counted: int = 0

    @classmethod
    def of(cls, channels: int) -> ChannelHistograms:
        """Begin with nothing."""
        return cls(
            np.full(channels, _SMALLEST),
            np.zeros((2, channels, BINS), np.int32),
            np.full(channels, np.inf),
            np.full(channels, -np.inf),
            np.zeros(channels),
        )

    def add(self, values: npt.NDArray[np.float32]) -> None:
        """Count more values, (C, M), all finite: every few in `counts`, and all in what else there is."""
        self.lowest = np.minimum(self.lowest, values.min(axis=1))
        self.highest = np.maximum(self.highest, values.max(axis=1))
        self.total += values.sum(axis=1, dtype=np.float64)
        self.seen += values.shape[1]
        self._widen()
        step = max(values.shape[1] // _COUNTED, 1)
        # Beginning elsewhere each time, or it would always be the same pixels of the images.
        some = values[:, self.counted % step :: step]
        bins = np.minimum((np.abs(some) * (BINS / self.limit[:, None])).astype(np.int64), BINS - 1)
        channels = len(some)
        place = bins + BINS * (np.arange(channels)[:, None] + channels * (some < 0))
        counted = np.bincount(place.ravel(), minlength=self.counts.size)
        self.counts += counted.reshape(self.counts.shape).astype(np.int32)
        self.counted += some.shape[1]

    def _widen(self) -> None:
        """Let the limits hold the largest values: two bins become one, so that none is counted again."""
        fresh = self.limit == _SMALLEST
        self.limit[fresh] = np.maximum(self.largest[fresh], _SMALLEST)
        while (grow := self.largest > self.limit).any():
            paired = self.counts[:, grow].reshape(2, -1, BINS // 2, 2).sum(axis=3)
            self.counts[:, grow] = np.concatenate([paired, np.zeros_like(paired)], axis=2)
            self.limit[grow] *= 2

    @property
    def centres(self) -> npt.NDArray[np.float64]:
        """(C, BINS) magnitude of each bin: its middle, but 0 for the first, which holds ReLU's zeros."""
        middle = np.arange(BINS) + 0.5
        middle[0] = 0
        return self.limit[:, None] * (middle / BINS)

    @property
    def largest(self) -> npt.NDArray[np.float64]:
        """(C,) largest magnitude."""
        return np.maximum(self.highest, -self.lowest)

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """(C,) mean value."""
        return self.total / max(self.seen, 1)

    @property
    def signed(self) -> bool:
        """Whether any value was below 0."""
        return bool(self.counts[1].any())


def collect(
    graph: Graph,
    tensors: Sequence[str],
    batches: Iterable[npt.NDArray[np.generic]],
    *,
    progress: Callable[[int], None] = lambda pictures: None,
) -> dict[str, ChannelHistograms]:
    """Run a float32 graph over images and count the values of some of its tensors.

    Memory is that of one batch's tensors, whatever the number of images. Where the ReLU behind a residual sum
    gives 0, both sides of the sum count as 0: they go far below it, and no range needs to hold that.

    Args:
        graph: of one input, `images`.
        tensors: names of float32 tensors, (N, C, ...); those of (N, C, H, W) are feature maps.
        batches: the graph's input, a few images each.
        progress: called with the number of images that were run, after every batch.

    Raises:
        InputError: a value is NaN or infinite, or a feature map is the same everywhere, so that
            it has no range.
    """
    names = [name for name in tensors if name != INPUT_NAME]
    ends = _ends_of_sums(graph, names)
    wanted = list(dict.fromkeys((*names, *ends.values())))
    run = tensor_runner(graph, wanted)
    histograms: dict[str, ChannelHistograms] = {}
    maps: set[str] = set()
    for batch in batches:
        made = dict(zip(wanted, run(batch), strict=True))
        for name in names:
            values = made[name]
            if not np.isfinite(values).all():
                raise InputError(
                    f"the activations {name} are not finite on the calibration images; "
                    "the checkpoint is damaged, so train or fetch it again"
                )
            if name in ends:
                values = np.where(made[ends[name]] > 0, values, np.float32(0))
            rows = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
            if values.ndim == 4 and values.shape[2:] != (1, 1):
                maps.add(name)
            histograms.setdefault(name, ChannelHistograms.of(len(rows))).add(rows)
        progress(len(batch))
    for name, histogram in histograms.items():
        # The few hidden values of a gate may all be off, and mean nothing by it.
        if name in maps and (histogram.lowest == histogram.highest).all():
            what = "constant" if histogram.largest.any() else "0"
            raise InputError(
                f"the activations {name} are {what} on all calibration images, so they have no range; "
                "draw images of people from the cameras, or repair the checkpoint"
            )
    return histograms


def _ends_of_sums(graph: Graph, names: Sequence[str]) -> dict[str, str]:
    """Return the ReLU's output for each tensor that only a sum reads which only a ReLU reads."""
    ends = {}
    for name in names:
        follow = [name]
        for operator in ("Add", "Relu"):
            readers = graph.readers.get(follow[-1], [])
            if [reader.op_type for reader in readers] != [operator]:
                break
            follow.append(readers[0].output[0])
        else:
            ends[name] = follow[-1]
    return ends
