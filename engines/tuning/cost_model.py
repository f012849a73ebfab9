"""Milliseconds of a batch on a device that is not here: launches, and a roofline over the operations.

"Roofline: An Insightful Visual Performance Model", Williams, Waterman & Patterson, CACM 52(4), 2009: an
operation takes what the slower of its arithmetic and its memory traffic takes at the device's published
peak. OSNet's operations are so small that what launching them takes counts for as much, so that is added. The
sum is a floor for comparing ways to run one network on one device, and no forecast.
"""

from __future__ import annotations

from collections.abc import Iterable

from osnet_edge.engines.graph.work import Work
from osnet_edge.engines.tuning.ceilings import Ceilings
from osnet_edge.runtime.backends.tensorrt.plan_schedule import PlanSchedule

#: Microseconds of a kernel beside its work: 0.5 is what each one in a CUDA graph adds on a V100 ("Getting
#: Started with CUDA Graphs", NVIDIA, 2019: 3.4 us for a kernel of 2.9), and 2 what one that does nothing runs
#: for; the latter is an assumption, as is the time of an event between streams.
LAUNCH_US, EVENT_US = 2.5, 1.0


def estimate(
    work: Iterable[Work], ceilings: Ceilings, batch: int, schedule: PlanSchedule | None = None
) -> float:
    """Return milliseconds of a batch.

    Args:
        work: of one picture.
        ceilings: of the device.
        batch: pictures a call.
        schedule: of the plan; None goes by the graph, each operation that is not fused being one launch.

    Example:
        >>> from osnet_edge.engines.tuning.ceilings import find_ceilings
        >>> copy = Work("", "Concat", 0, 1_500_000, 0, "cores", 6_000_000, 0, fused=False)
        >>> round(estimate([copy], find_ceilings("A10", ()), 1), 4)  # 6 MB at 600 GB/s, and a launch
        0.0125
    """
    work = tuple(work)
    peaks = {"fp32": ceilings.fp32, "cores": ceilings.fp32, "fp16": ceilings.fp16, "int8": ceilings.int8}
    launches, events = launches_of(work, schedule), schedule.events if schedule else 0
    seconds = (LAUNCH_US * launches + EVENT_US * events) / 1e6
    for each in work:
        operations = 0 if each.fused else each.operations
        arithmetic = batch * operations / (peaks[each.unit] * 1e12)
        traffic = (batch * each.activation_bytes + each.weight_bytes) / (ceilings.bandwidth * 1e9)
        seconds += max(arithmetic, traffic)
    return 1000 * seconds


def launches_of(work: Iterable[Work], schedule: PlanSchedule | None) -> int:
    """Return how many kernels a run launches: as its plan says, or by the graph."""
    return schedule.launches if schedule else sum(not each.fused for each in work)
