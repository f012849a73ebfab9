"""How long calls took, in the statistics that trtexec's users know.

* *latency* of a call is the wall-clock time from entering it to its return: for an engine on a GPU that is
  copy in, compute and copy out (trtexec's "Latency", its H2D + GPU compute + D2H), because the call returns
  only when the result is in host memory. For an engine on the CPU it is the inference.
* *percentile p* of n samples is the sample with `floor(n * (100 - p) / 100)` samples after it in sorted
  order, and p50 is the median, half-way between the middle two of an even number: trtexec's definitions.
* *throughput* is `batch / mean latency`: images a second of one caller that calls again at once. trtexec
  divides queries by the wall time of the run, which with several streams in flight can be more.
* *cv*, the coefficient of variation, is the standard deviation divided by the mean; trtexec warns above
  0.025. It says how quiet the machine was.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from osnet_edge.bench._require import require
from osnet_edge.runtime.errors import InputError

_NS_PER_MS = 1_000_000
#: trtexec warns above 2.5 % on a GPU of its own; on a shared CPU twice that is still a usable time.
NOISY_CV = 0.05


@dataclass(frozen=True)
class LatencyStats:
    """Statistics of the calls measured; times in milliseconds, terms as defined in this module."""

    mean_ms: float
    min_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    cv: float
    iterations: int

    def __post_init__(self) -> None:
        rising = (self.min_ms, self.p50_ms, self.p90_ms, self.p95_ms, self.p99_ms, self.max_ms)
        require(rising[0] >= 0 and list(rising) == sorted(rising), "rising percentiles", rising)
        require(self.min_ms <= self.mean_ms <= self.max_ms, "a mean within the range", self.mean_ms)
        require(self.cv >= 0, "a cv of 0 or more", self.cv)
        require(self.iterations >= 1, "1 iteration or more", self.iterations)

    @classmethod
    def from_nanoseconds(cls, samples: Sequence[int]) -> LatencyStats:
        """Compute the statistics of `samples`, one duration in nanoseconds per call.

        Raises:
            InputError: there are no samples, or one is negative.

        Example:
            >>> LatencyStats.from_nanoseconds([1_000_000, 2_000_000, 6_000_000]).p50_ms
            2.0
        """
        if not samples or min(samples) < 0:
            raise InputError(
                "expected at least one duration, none of them negative; measure some calls first"
            )
        ordered = sorted(samples)
        count = len(ordered)
        mean = sum(ordered) / count
        variance = sum((sample - mean) ** 2 for sample in ordered) / count

        def percentile(p: int) -> float:
            return ordered[count - 1 - count * (100 - p) // 100] / _NS_PER_MS

        return cls(
            mean_ms=mean / _NS_PER_MS,
            min_ms=ordered[0] / _NS_PER_MS,
            p50_ms=statistics.median(ordered) / _NS_PER_MS,
            p90_ms=percentile(90),
            p95_ms=percentile(95),
            p99_ms=percentile(99),
            max_ms=ordered[-1] / _NS_PER_MS,
            cv=math.sqrt(variance) / mean if mean else 0.0,
            iterations=count,
        )

    @property
    def noisy(self) -> bool:
        """Whether calls varied so much that the machine was busy with something else."""
        return self.cv > NOISY_CV

    def images_per_second(self, batch: int) -> float:
        """Return the throughput of one caller at `batch` images a call; 0 if the clock saw no time pass."""
        return batch * 1000 / self.mean_ms if self.mean_ms else 0.0
