"""torch's threads on a machine with other work: as many as there are free cores.

OpenMP's threads wait for each other after every operation, and spin while they wait. If the cores are free,
that is the fastest way. Beside another busy process, the spinning threads take the time that the last thread
needs, and a network of many small operations becomes several times slower than on one thread
(`scripts/busy_machine.py` measures it). OpenMP reads its settings when it is loaded, so this must run before
torch is imported.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from osnet_edge.runtime.backends.onnxruntime import allowed_cores

#: Seconds to watch the cores: 25 ticks of each.
_WATCH_S = 0.25
#: Columns of a core's line in /proc/stat in which it does nothing: idle, and waiting for a disk.
_IDLE_COLUMNS = (3, 4)
#: Columns before the times of guests, which are counted in the first two already.
_COLUMNS = 8
_STAT = Path("/proc/stat")


def spare_busy_cores(
    tell: Callable[[str], None] = lambda line: None, *, who: str = "torch", most: int | None = None
) -> int:
    """Make torch use only the cores that are free now, with threads that sleep if some cores are busy.

    It sets `OMP_NUM_THREADS` and `OMP_WAIT_POLICY` for this process and its children. Nothing changes if all
    cores are free, if torch is loaded already, or if `OMP_NUM_THREADS` is set, since then the caller has
    chosen.

    Args:
        tell: called with a line if fewer cores are left than are wanted.
        who: uses them, for that line.
        most: cores that are wanted; None wants all.

    Returns:
        The number of cores that are wanted and that this process may use, without those that other processes
        keep busy if that was measured; at least 1.
    """
    cores = allowed_cores()
    wanted = cores if most is None else min(most, cores)
    if "torch" in sys.modules or "OMP_NUM_THREADS" in os.environ:
        return wanted
    free = min(cores, max(1, round(cores - busy_cores())))
    if free < cores:
        os.environ["OMP_NUM_THREADS"] = str(free)
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if free < wanted:
        tell(f"other processes keep {cores - free} of {cores} cores busy, so {who} uses {free} here")
    return min(free, wanted)


def busy_cores() -> float:
    """Return how many of the cores that this process may use are busy, measured for a quarter of a second.

    Call it while this process itself does nothing. It is 0 if the system does not say.
    """
    before = _ticks()
    time.sleep(_WATCH_S)
    after = _ticks()
    busy = 0.0
    for core in before.keys() & after.keys():
        spent = [late - early for early, late in zip(before[core], after[core], strict=True)]
        idle = sum(spent[column] for column in _IDLE_COLUMNS)
        busy += 1 - idle / sum(spent) if sum(spent) > 0 else 0
    return busy


def _ticks() -> dict[int, list[int]]:
    """Return the busy time of each core that this process may use since the system started, in ticks."""
    if not (hasattr(os, "sched_getaffinity") and _STAT.is_file()):
        return {}
    allowed = os.sched_getaffinity(0)
    lines = (line.split() for line in _STAT.read_text().splitlines() if line.startswith("cpu"))
    cores = {int(name[3:]): [int(value) for value in values] for name, *values in lines if name != "cpu"}
    return {core: values[:_COLUMNS] for core, values in cores.items() if core in allowed}
