"""Tuning for a GPU that is not here: candidates ranked by a roofline under published peaks, plus launches.

"Roofline: An Insightful Visual Performance Model", Williams, Waterman & Patterson, CACM 52(4), 2009: an
operation takes what the slower of its arithmetic and its memory traffic takes at the device's published
peak. OSNet's operations are so small that what launching them takes counts for as much, so that is added. The
sum is a floor for comparing ways to run one network on one device, and no forecast.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from osnet_edge.engines.backends.registry import builder_of
from osnet_edge.engines.graph.work import Work
from osnet_edge.engines.tuning.accuracy import Accuracy
from osnet_edge.engines.tuning.candidate import Candidate
from osnet_edge.engines.tuning.choice import NONE_UNPROVEN, Outcome, Times, pick
from osnet_edge.runtime.backends.tensorrt.plan_schedule import PlanSchedule
from osnet_edge.runtime.errors import InputError, OsnetEdgeError


@dataclass(frozen=True)
class Ceilings:
    """Published peaks of a device, dense (without sparsity).

    Attributes:
        device: its name.
        capability: CUDA compute capability.
        bandwidth: of its memory, in GB/s.
        fp32: TFLOP/s outside of tensor cores, in any precision.
        fp16: TFLOP/s of tensor cores, accumulating in float16 where that is faster.
        int8: TOP/s of tensor cores.
        source: the document.
    """

    device: str
    capability: str
    bandwidth: float
    fp32: float
    fp16: float
    int8: float
    source: str


#: The first of each compute capability stands for it where no device is named.
DEVICES = (
    Ceilings("T4", "7.5", 320, 8.1, 65, 130, "NVIDIA T4 datasheet, 2019"),
    Ceilings("A100 40GB", "8.0", 1555, 19.5, 312, 624, "NVIDIA A100 datasheet, 2021"),
    Ceilings("A10", "8.6", 600, 31.2, 125, 250, "NVIDIA A10 datasheet, 2021"),
    Ceilings("A2", "8.6", 200, 4.5, 18, 36, "NVIDIA A2 datasheet, 2021"),
    Ceilings("RTX 3090", "8.6", 936, 35.6, 142, 284, "NVIDIA Ampere GA102 white paper, 2021, appendix A"),
    Ceilings(
        "Jetson AGX Orin 64GB",
        "8.7",
        204.8,
        5.3,
        42.5,
        85,
        "NVIDIA Jetson AGX Orin technical brief, 2022: 170 sparse INT8 TOPS of the GPU; FP16 is half of INT8",
    ),
    Ceilings(
        "Jetson Orin Nano 8GB",
        "8.7",
        68,
        1.28,
        10,
        20,
        "NVIDIA Jetson Orin Nano data sheet, 2023: 40 sparse INT8 TOPS; FP16 is half of INT8",
    ),
    Ceilings("L4", "8.9", 300, 30.3, 121, 242, "NVIDIA L4 datasheet, 2023"),
    Ceilings("RTX 4090", "8.9", 1008, 82.6, 330.3, 660.6, "NVIDIA Ada white paper, 2022, appendix A"),
    Ceilings("H100 PCIe", "9.0", 2000, 51, 756, 1513, "NVIDIA H100 datasheet, 2022"),
    Ceilings("RTX 5090", "12.0", 1792, 104.8, 419, 838, "NVIDIA RTX Blackwell white paper, 2025, appendix A"),
)


def find_ceilings(device: str | None, capabilities: tuple[str, ...]) -> Ceilings:
    """Return the ceilings of a named device, or of the one that stands for a compute capability.

    Args:
        device: its name, in any spelling of case and spaces; None goes by capabilities.
        capabilities: those that a plan is for; the first that is known counts.

    Raises:
        InputError: no such device is known, or none of these capabilities.

    Example:
        >>> find_ceilings(None, ("8.9",)).device
        'L4'
    """
    known = ", ".join(each.device for each in DEVICES)
    if device is not None:
        for each in DEVICES:
            if _plain(each.device) == _plain(device):
                return each
        raise InputError(f"expected --device as one of {known}; got {device!r}")
    for capability in capabilities:
        for each in DEVICES:
            if each.capability == capability:
                return each
    raise InputError(
        f"no device stands for compute capability {' or '.join(capabilities) or 'none'}; pass --device, "
        f"one of {known}"
    )


def _plain(name: str) -> str:
    return "".join(name.lower().split())


#: Microseconds of a kernel beside its work: 0.5 is what each one in a CUDA graph adds on a V100 ("Getting
#: Started with CUDA Graphs", NVIDIA, 2019: 3.4 us for a kernel of 2.9), and 2 what one that does nothing runs
#: for; the latter is an assumption, as is the time of an event between streams.
LAUNCH_US, EVENT_US = 2.5, 1.0


def estimate(
    work: Iterable[Work], ceilings: Ceilings, batch: int, schedule: PlanSchedule | None = None
) -> float:
    """Return milliseconds of a batch.

    Args:
        work: of one image.
        ceilings: of the device.
        batch: images a call.
        schedule: of the plan; None goes by the graph, each operation that is not fused being one launch.

    Example:
        >>> from osnet_edge.engines.tuning.estimate import find_ceilings
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


#: By how much an estimate must differ before it says anything.
_MARGIN = 1.05
_NO_PROOF = "no GPU was here to show that INT8 gains"


def rank(
    candidates: Sequence[Candidate],
    accuracy: Accuracy,
    ceilings: Ceilings,
    batches: Sequence[int],
    capabilities: tuple[str, ...],
    scratch: Path,
    progress: Callable[[str], None] = lambda step: None,
    unproven: Mapping[Candidate, str] = NONE_UNPROVEN,
) -> Iterator[Outcome]:
    """Estimate candidates and pick one; and the next best, for as long as one is asked for.

    Args:
        candidates: the reference first.
        accuracy: makes their graphs, and holds them to the budget.
        ceilings: of the device.
        batches: batch sizes to tune for.
        capabilities: that plans are built for; none are built for full TensorRT, which needs the device.
        scratch: a folder for plans.
        progress: called with a line for each step.
        unproven: why the proofs of earlier winners failed; whoever asks for the next one fills it.

    Yields:
        How it ended, given whose proof failed until then.

    Raises:
        OsnetEdgeError: the reference cannot be built.
        CheckError: nobody is left to be taken.
    """
    times: dict[Candidate, Times] = {}
    failed: dict[Candidate, str] = {}
    for index, candidate in enumerate(candidates, start=1):
        progress(f"estimating {candidate} ({index} of {len(candidates)})")
        try:
            times[candidate] = _estimate(candidate, accuracy, ceilings, batches, capabilities, scratch)
        except OsnetEdgeError as error:
            if candidate == candidates[0]:
                raise
            failed[candidate] = str(error)
    score = {each: statistics.geometric_mean(found.milliseconds) for each, found in times.items()}

    def refuse(candidate: Candidate) -> str | None:
        if candidate in unproven:
            return unproven[candidate]
        return _NO_PROOF if candidate.quantized else accuracy.refuse(candidate)

    order = sorted(times, key=lambda each: score[each])
    while True:
        left = [each for each in candidates if each in times and each not in unproven]
        winner, dropped = pick(order, left, lambda one, other: score[one] * _MARGIN < score[other], refuse)
        longer = {each: f"{score[each] / score[winner]:.2f} times as long as the winner" for each in order}
        longer.pop(winner)
        yield Outcome(winner, times, {**dropped, **failed, **unproven}, longer)


def _estimate(
    candidate: Candidate,
    accuracy: Accuracy,
    ceilings: Ceilings,
    batches: Sequence[int],
    capabilities: tuple[str, ...],
    scratch: Path,
) -> Times:
    work, builder = accuracy.graph(candidate).work, builder_of(candidate.backend)
    resolved = replace(
        accuracy.resolve(candidate, capabilities),
        batch=candidate.batch_range(batches),
        options=candidate.options,
    )
    schedule = builder.schedule(accuracy.graphs[candidate.rewrite], resolved, scratch)
    milliseconds = tuple(estimate(work, ceilings, size, schedule) for size in sorted(batches))
    return Times(milliseconds, launches=launches_of(work, schedule))
