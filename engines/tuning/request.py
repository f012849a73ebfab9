"""What is asked of the tuner, and what follows: if the target runs here, and which candidates there are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from osnet_edge.engines.cpu_choice import cpu_backends
from osnet_edge.engines.graph.reading import ExportedGraph
from osnet_edge.engines.int8 import Calibration
from osnet_edge.engines.targets import (
    CPU_BACKENDS,
    PRECISIONS,
    TARGET_NAMES,
    CpuBackend,
    TargetSpec,
    parse_target,
)
from osnet_edge.engines.tuning.candidate import LOSSY, Candidate, cpu_candidates, gpu_candidates
from osnet_edge.engines.tuning.halving import DEFAULT_PLAN, Plan
from osnet_edge.runtime.backends.openvino import installed_precisions, open_core
from osnet_edge.runtime.backends.tensorrt.library import load_library
from osnet_edge.runtime.cuda.probe import probe
from osnet_edge.runtime.errors import InputError, UnavailableError
from osnet_edge.runtime.package.manifest import Precision
from osnet_edge.runtime.preprocessing import Picture
from osnet_edge.runtime.processor import ANY, BF16

#: A frame holds no more people.
_LARGEST = 512


@dataclass(frozen=True)
class TuneRequest:
    """What is asked of the tuner.

    Attributes:
        graphs: of one checkpoint, each rewritten by other passes; the published one, or the only one, first.
        target: see `osnet_edge.engines.targets`.
        batches: batch sizes that count alike, rising.
        golden_crops: as for `build_package`.
        calibration: pictures and budget for what rounds; None tries nothing that rounds unless it is named.
        processor: that INT8 on a CPU is made for: `this`, or `any`.
        precisions: those to try; None for all that the target has and that can be held to the budget.
        device: that an estimate is for; None takes one that stands for the target.
        machine: that times are taken on, in a line; what is remembered of another is not used.
        cache: folder where times, losses and decisions are kept; None keeps nothing.
        fresh: whether what is kept there already is left unread.
        plan: how many candidates are timed how often.
    """

    graphs: tuple[ExportedGraph, ...]
    target: str
    batches: tuple[int, ...]
    golden_crops: Picture
    calibration: Calibration | None = None
    processor: str = "this"
    precisions: tuple[Precision, ...] | None = None
    device: str | None = None
    machine: str = ""
    cache: Path | None = None
    fresh: bool = False
    plan: Plan = DEFAULT_PLAN

    def __post_init__(self) -> None:
        """Refuse what goes with nothing.

        Raises:
            InputError: the graphs are not of one checkpoint and input, batches are none or too large, the
                calibration comes without its budget or without people held out, or the target is another
                processor than this one.
        """
        if self.spec.processor and not self.spec.timed_here:
            raise InputError(
                f"expected --processor this or any, since candidates are timed here; got {self.processor}"
            )
        infos = [replace(each.info, model=replace(each.info.model, rewrite=())) for each in self.graphs]
        if any(info != infos[0] for info in infos):
            raise InputError("expected graphs of one checkpoint and one input; export them again")
        rising = tuple(sorted(set(self.batches)))
        if not rising or rising != self.batches or not 1 <= rising[0] <= rising[-1] <= _LARGEST:
            given = ",".join(map(str, self.batches))
            raise InputError(
                f"expected --batch sizes of 1 to {_LARGEST}, rising, such as 1,8,32; got {given}"
            )
        if self.calibration is not None and self.calibration.budget is None:
            raise InputError(
                "a calibration set is for holding to a budget; pass --budget POINTS of mAP, such as 0.5"
            )
        if self.calibration is not None:
            _ = self.calibration.people

    @property
    def by_rewrite(self) -> dict[tuple[str, ...], ExportedGraph]:
        """The graphs by the passes that they were rewritten by."""
        return {each.info.model.rewrite: each for each in self.graphs}

    @property
    def spec(self) -> TargetSpec:
        """The target, parsed."""
        return parse_target(self.target, self.processor)


def runs_here(spec: TargetSpec) -> bool:
    """Return whether engines for a target can be timed on this machine.

    Raises:
        UnavailableError: the target can be tuned on its GPU alone, and there is none.
    """
    if spec.backend in CPU_BACKENDS:
        return True
    found = probe()
    if not found.available:
        if "current" in spec.capabilities:
            raise UnavailableError(f"rtx:current is for the GPU that is here, and {found.reason}; name one")
        if spec.backend == "onnxruntime_cuda":
            raise UnavailableError(f"cuda is tuned on the GPU it is for, and {found.reason}; tune it there")
        return False
    if spec.backend == "onnxruntime_cuda":
        return True
    here = found.devices[0].compute_capability
    if spec.capabilities and not {here, "current"} & set(spec.capabilities):
        return False
    try:
        load_library("tensorrt_rtx" if spec.backend == "tensorrt_rtx" else "tensorrt")
    except UnavailableError:
        return False
    return True


def list_candidates(request: TuneRequest, *, timed: bool) -> tuple[tuple[Candidate, ...], tuple[str, ...]]:
    """Return the candidates, the reference first, and notes on what is not among them.

    Args:
        request: what is asked.
        timed: whether they will be timed, or estimated.

    Raises:
        InputError: no precision that was asked for can be tried.
        UnavailableError: the target's library is not here.
    """
    spec, rewrites = request.spec, tuple(request.by_rewrite)
    backends, notes = _cpu_backends(spec)
    having = {each for backend in backends or (spec.backend,) for each in PRECISIONS[backend]}
    precisions, more = _precisions(request, tuple(each for each in _ORDER if each in having))
    if backends:
        if "bf16" in precisions and (spec.processor != BF16 or "bf16" not in installed_precisions()):
            precisions = tuple(each for each in precisions if each != "bf16")
            which = "not every CPU computes" if spec.processor == ANY else "this CPU does not compute"
            more = (*more, f"bf16 was not tried: {which} in it")
        found = cpu_candidates(backends, precisions, rewrites, request.batches)
    else:
        found = gpu_candidates(spec.backend, precisions, rewrites, request.batches, timed=timed)
    if not found:
        raise InputError("expected a precision that the target has, got none; see osnet-edge tune --help")
    return found, (*notes, *more)


_ORDER: tuple[Precision, ...] = ("fp32", "fp16", "bf16", "int8")


def _cpu_backends(spec: TargetSpec) -> tuple[tuple[CpuBackend, ...], tuple[str, ...]]:
    if spec.backend == "openvino":
        open_core()
    found = cpu_backends(spec)
    missing = spec.fastest and "openvino" not in found
    return found, (("OpenVINO was not tried: it is not installed",) if missing else ())


def _precisions(
    request: TuneRequest, having: tuple[Precision, ...]
) -> tuple[tuple[Precision, ...], tuple[str, ...]]:
    """Return the precisions to try, in the order of `_ORDER`, and a note on those left out."""
    lossy = [each for each in having if each in LOSSY]
    if request.precisions is None:
        if request.calibration is None and lossy:
            names = ", ".join(lossy)
            return ("fp32",), (f"{names} were not tried: what they lose needs --calibration and --budget",)
        return having, ()
    if unknown := [each for each in request.precisions if each not in having]:
        target = TARGET_NAMES[request.spec.backend]
        raise InputError(f"expected --precision of {', '.join(having)} for {target}, got {unknown[0]}")
    if "int8" in request.precisions and request.calibration is None:
        raise InputError("int8 needs --calibration FILE and --budget; draw a set with osnet-edge calibrate")
    # The published graph in float32 is what a CPU's winner must beat, whatever else is asked for.
    asked = {*request.precisions, *(("fp32",) if request.spec.backend in CPU_BACKENDS else ())}
    unmeasured = [each for each in request.precisions if each in LOSSY and request.calibration is None]
    note = f"what {', '.join(unmeasured)} loses was not measured: there is no calibration set"
    return tuple(each for each in having if each in asked), ((note,) if unmeasured else ())
