"""Power meters: whatever this machine has, behind one question, how many joules were spent in between.

A counter (RAPL, NVML) is read before and after. Rails of a Jetson only say their power of the moment, so they
are read fifty times a second by a thread, and summed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from osnet_edge.bench.devices.nvml import open_nvml
from osnet_edge.bench.devices.rails import find_rails, module_rails
from osnet_edge.bench.devices.rapl import Package, find_packages, joules_between
from osnet_edge.bench.devices.sysfs import number

#: Seconds between two looks at a rail; the chip itself averages over some 10 ms.
_SAMPLE_S = 0.02


@dataclass
class Spent:
    """What a stretch of time took: its length, and the energy where the meter answered."""

    seconds: float = 0.0
    joules: float | None = None

    @property
    def watts(self) -> float | None:
        """Mean power, or None where it is not known."""
        return self.joules / self.seconds if self.joules is not None and self.seconds else None


@dataclass(frozen=True)
class Meter:
    """Something that tells energy.

    Attributes:
        source: what it measures and by what, in words.
        begin: starts a reading, and returns what ends it and gives its joules, or None.
    """

    source: str
    begin: Callable[[], Callable[[], float | None]] = field(repr=False)

    @contextmanager
    def over(self) -> Iterator[Spent]:
        """Measure the block."""
        spent, end, began = Spent(), self.begin(), time.perf_counter()
        try:
            yield spent
        finally:
            spent.seconds = time.perf_counter() - began
            spent.joules = end()


@contextmanager
def open_meters(root: Path = Path("/")) -> Iterator[list[Meter]]:
    """Give every meter that this machine has and this user may read; often none."""
    with open_nvml() as nvml:
        found = []
        if rails := module_rails(find_rails(root)):
            names = " + ".join(rail.label for rail in rails)
            found.append(sampling_meter(f"module, INA3221 {names}", [rail.watts for rail in rails]))
        if nvml is not None and nvml.joules() is not None:
            found.append(counting_meter("GPU, NVML's counter", nvml.joules))
        elif nvml is not None and nvml.watts() is not None:
            found.append(sampling_meter("GPU, NVML's power", [nvml.watts]))
        if packages := find_packages(root):
            found.append(_rapl_meter(packages))
        yield found


def counting_meter(source: str, joules: Callable[[], float | None]) -> Meter:
    """Return a meter of a counter that only rises."""

    def begin() -> Callable[[], float | None]:
        before = joules()

        def end() -> float | None:
            after = joules()
            return None if before is None or after is None else after - before

        return end

    return Meter(source, begin)


def sampling_meter(source: str, watts: Sequence[Callable[[], float | None]]) -> Meter:
    """Return a meter of powers of the moment, read by a thread and integrated by trapezoids."""

    def begin() -> Callable[[], float | None]:
        samples: list[tuple[float, float]] = []
        stop = threading.Event()

        def look() -> None:
            values = [each() for each in watts]
            if all(value is not None for value in values):
                samples.append((time.perf_counter(), sum(value or 0.0 for value in values)))

        def watch() -> None:
            look()
            while not stop.wait(_SAMPLE_S):
                look()
            look()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()

        def end() -> float | None:
            stop.set()
            thread.join()
            pairs = list(pairwise(samples))
            if not pairs:
                return None
            return sum((later - before) * (a + b) / 2 for (before, a), (later, b) in pairs)

        return end

    return Meter(source, begin)


def _rapl_meter(packages: Sequence[Package]) -> Meter:
    def begin() -> Callable[[], float | None]:
        before = [number(package.counter) for package in packages]

        def end() -> float | None:
            total = 0.0
            for package, then in zip(packages, before, strict=True):
                now = number(package.counter)
                if then is None or now is None:
                    return None
                total += joules_between(package, then, now)
            return total

        return end

    return Meter(f"processor, RAPL {' + '.join(package.name for package in packages)}", begin)
