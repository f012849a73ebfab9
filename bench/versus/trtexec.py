"""What NVIDIA's own `trtexec` (for RTX plans `tensorrt_rtx`) says of the same plan, where it is on the path.

It cannot be timed in rounds with others: it is one run of its own at each batch, and its times are read from
the file that `--exportTimes` writes, a record for each call.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from osnet_edge.bench.measure.engine_process import EngineFailedError
from osnet_edge.bench.measure.runners import Runner, RunnerFacts
from osnet_edge.bench.result.latency_stats import LatencyStats
from osnet_edge.bench.result.measurements import BatchLatency, Parts
from osnet_edge.runtime.errors import UnavailableError, first_line
from osnet_edge.runtime.package.graph_info import INPUT_NAME
from osnet_edge.runtime.package.manifest import read_manifest

#: The program for each backend's plans.
PROGRAMS = {"tensorrt": "trtexec", "tensorrt_rtx": "tensorrt_rtx"}
#: Seconds that it may need beyond its run: less than the bench's own patience with what asks for it.
_PATIENCE_S = 240.0
#: Where a part stands in a record; releases before 8 say "in" and "out".
_PARTS = {
    "input_ms": ("h2dMs", "inMs"),
    "compute_ms": ("computeMs",),
    "output_ms": ("d2hMs", "outMs"),
}


class TrtexecRunner(Runner):
    """The program for a package's plan.

    Args:
        package: the package's folder.

    Raises:
        UnavailableError: the program is not on the path.
    """

    def __init__(self, package: str) -> None:
        manifest = read_manifest(package)
        name = PROGRAMS[manifest.target.backend]
        program = shutil.which(name)
        if program is None:
            raise UnavailableError(f"{name} is not on the path")
        self._program, self._plan = program, Path(package) / manifest.model_file
        facts = RunnerFacts(
            variant=manifest.model.variant,
            precision=manifest.precision,
            target=name,
            size_bytes=self._plan.stat().st_size,
            package_bytes=None,
            load_seconds=0.0,
            batches=(manifest.batch.min, manifest.batch.max),
        )
        super().__init__(facts, manifest.preprocessing)

    def read_batch(self, size: int, seconds: float) -> BatchLatency:
        """Run the program at one batch.

        Raises:
            EngineFailedError: it fails, hangs, or writes no times.
        """
        name, shape = Path(self._program).name, "x".join(map(str, (size, *self.preprocessing.input_shape)))
        with tempfile.TemporaryDirectory() as folder:
            times = Path(folder) / "times.json"
            command = [
                self._program,
                f"--loadEngine={self._plan}",
                f"--shapes={INPUT_NAME}:{shape}",
                f"--duration={max(1, round(seconds))}",
                f"--exportTimes={times}",
            ]
            limit = 2 * seconds + _PATIENCE_S
            try:
                # The user's own program.
                ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)  # noqa: S603
            except subprocess.TimeoutExpired:
                raise EngineFailedError(f"{name} hangs: it did not end within {limit:.0f} s") from None
            if ran.returncode or not times.is_file():
                reason = first_line(ran.stderr.strip() or ran.stdout)
                raise EngineFailedError(f"{name} ended with exit code {ran.returncode}: {reason}")
            return read_times(times.read_text(encoding="utf-8"), size)


def read_times(text: str, size: int) -> BatchLatency:
    """Return what `--exportTimes` wrote as a latency with its parts.

    Raises:
        EngineFailedError: it is no such file.

    Example:
        >>> call = {"startEnqMs": 0, "endEnqMs": 0.1, "latencyMs": 2}
        >>> parts = {"h2dMs": 0.2, "computeMs": 1.5, "d2hMs": 0.3}
        >>> read = read_times(json.dumps([{**call, **parts}]), size=8)
        >>> read.latency.p50_ms, read.parts.compute_ms, read.images_per_second
        (2.0, 1.5, 4000.0)
    """
    try:
        records: list[dict[str, Any]] = json.loads(text)
        latency = LatencyStats.from_nanoseconds([round(each["latencyMs"] * 1e6) for each in records])
        medians = {
            part: statistics.median(_first_of(each, names) for each in records)
            for part, names in _PARTS.items()
        }
        enqueue = statistics.median(each["endEnqMs"] - each["startEnqMs"] for each in records)
    except (ValueError, KeyError, TypeError) as error:
        raise EngineFailedError(f"its times cannot be read ({first_line(error)})") from None
    parts = Parts(enqueue_ms=max(enqueue, 0.0), **medians)
    # Without copies both are 0: version 11 leaves them out unless asked for them.
    copies = bool(parts.input_ms or parts.output_ms)
    rate = latency.images_per_second(size)
    return BatchLatency(size, rate, latency, parts=parts, transfers=copies)


def _first_of(record: dict[str, Any], names: tuple[str, ...]) -> float:
    name = next((name for name in names if name in record), names[0])
    return float(record[name])
