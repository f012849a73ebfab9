"""How long a camera waits: from the start of a process to its first embedding.

Run it as `python -m osnet_edge.bench.measure.cold_start PACKAGE`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

#: Runs in its own process and prints its own times, to separate them from the interpreter's start.
_PROGRAM = """
import sys, time
began = time.perf_counter()
import numpy
from osnet_edge.runtime import Embedder
imported = time.perf_counter()
embedder = Embedder.load(sys.argv[1], threads=int(sys.argv[2]) if sys.argv[2:] else None)
loaded = time.perf_counter()
embedder([numpy.zeros((160, 64, 3), numpy.uint8)])
print(imported - began, loaded - imported, time.perf_counter() - loaded)
"""


@dataclass(frozen=True)
class ColdStart:
    """Seconds of one start: the whole process, and of it import, load and first embedding."""

    process_s: float
    import_s: float
    load_s: float
    first_s: float


def measure_cold_start(
    package: Path | str, runs: int = 10, limit_s: float | None = None, threads: int | None = None
) -> list[ColdStart]:
    """Start a process, load a package and embed one crop, `runs` times, with the threads of `Embedder.load`.

    Files are in the system's cache from the second run on: this is a restart, not a first boot.

    Raises:
        subprocess.CalledProcessError: the package does not load; its message went to standard error.
        subprocess.TimeoutExpired: a start takes longer than `limit_s`, and was ended.
    """
    starts = []
    options = [] if threads is None else [str(threads)]
    for _ in range(runs):
        began = time.perf_counter()
        # Our own program in our own interpreter.
        ran = subprocess.run(  # noqa: S603
            [sys.executable, "-c", _PROGRAM, str(package), *options],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=limit_s,
        )
        process = time.perf_counter() - began
        imported, loaded, first = map(float, ran.stdout.split())
        starts.append(ColdStart(process, imported, loaded, first))
    return starts


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("expected one package: python -m osnet_edge.bench.measure.cold_start PACKAGE")
    measured = measure_cold_start(sys.argv[1])
    for name in ("process_s", "import_s", "load_s", "first_s"):
        values = [getattr(start, name) for start in measured]
        middle = statistics.median(values)
        print(f"{name:10} median {middle:.3f}  from {min(values):.3f} to {max(values):.3f}")
