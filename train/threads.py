"""torch's threads on a machine that others use too: as many as there are free cores.

OpenMP's threads meet after every operation, and whoever comes first spins until the last is there. Where the
cores are free, that is the quickest way. Beside another busy process it wastes the time that the last one
needs, and a network of many small operations becomes several times slower than on one thread
(`scripts/busy_machine.py` measures it). OpenMP reads how to wait when it is loaded: this comes before torch.
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


def spare_busy_cores(tell: Callable[[str], None] = lambda line: None) -> int:
    """Let torch, once it is loaded, use only the cores that are free now; where some are not, nothing spins.

    It sets `OMP_NUM_THREADS` and `OMP_WAIT_POLICY` for this process and those that it starts. Nothing is
    changed where all cores are free, where torch is loaded already, or where `OMP_NUM_THREADS` is set: then
    the caller has chosen.

    Args:
        tell: called with a line if torch gets fewer threads than there are cores.

    Returns:
        The cores that this process may use, less those that others keep busy where that was measured; 1 or
        more.
    """
    cores = allowed_cores()
    if "torch" in sys.modules or "OMP_NUM_THREADS" in os.environ:
        return cores
    free = min(cores, max(1, round(cores - busy_cores())))
    if free < cores:
        os.environ["OMP_NUM_THREADS"] = str(free)
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        tell(f"other processes keep {cores - free} of {cores} cores busy, so torch uses {free} here")
    return free


def busy_cores() -> float:
    """Return how many of the cores that this process may use are busy, from a quarter of a second's watching.

    Call it while this process itself does nothing. It is 0 where the system does not tell.
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
    """Return what each core that this process may use has done since the system started, in ticks."""
    if not (hasattr(os, "sched_getaffinity") and _STAT.is_file()):
        return {}
    allowed = os.sched_getaffinity(0)
    lines = (line.split() for line in _STAT.read_text().splitlines() if line.startswith("cpu"))
    cores = {int(name[3:]): [int(value) for value in values] for name, *values in lines if name != "cpu"}
    return {core: values[:_COLUMNS] for core, values in cores.items() if core in allowed}
