"""A request to the tuner, and the candidates that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from osnet_edge.engines.backends.registry import builder_of
from osnet_edge.engines.graph.reading import ExportedGraph
from osnet_edge.engines.int8 import Calibration
from osnet_edge.engines.targets import TargetSpec, parse_target
from osnet_edge.engines.tuning.candidate import Candidate, make_candidates
from osnet_edge.engines.tuning.halving import DEFAULT_PLAN, Plan
from osnet_edge.runtime.backends.base import find_support
from osnet_edge.runtime.backends.registry import BACKENDS, CPU_BACKENDS, BackendName
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.precisions import PRECISIONS, Precision
from osnet_edge.runtime.preprocessing import Picture
from osnet_edge.runtime.processor import ANY

#: A frame holds no more people.
_LARGEST = 512


@dataclass(frozen=True)
class TuneRequest:
    """A request to the tuner.

    Attributes:
        graphs: of one checkpoint, each rewritten by other passes; the published one, or the only one, first.
        target: see `osnet_edge.engines.targets`.
        batches: batch sizes that count alike, rising.
        golden_crops: as for `build_package`.
        calibration: images and budget for what rounds; None tries nothing that rounds unless it is named.
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
        if self.calibration is not None:
            # First, since without people there is no budget to ask for.
            _ = self.calibration.people
        if self.calibration is not None and self.calibration.budget is None:
            raise InputError(
                "a calibration set is for holding to a budget; pass --budget POINTS of mAP, such as 0.5"
            )

    @property
    def by_rewrite(self) -> dict[tuple[str, ...], ExportedGraph]:
        """The graphs by the passes that they were rewritten by."""
        return {each.info.model.rewrite: each for each in self.graphs}

    @property
    def spec(self) -> TargetSpec:
        """The target, parsed."""
        return parse_target(self.target, self.processor)


def list_candidates(request: TuneRequest, *, timed: bool) -> tuple[tuple[Candidate, ...], tuple[str, ...]]:
    """Return the candidates, the reference first, and notes on what is not among them.

    Args:
        request: what is asked.
        timed: whether they will be timed, or estimated.

    Raises:
        InputError: no precision that was asked for can be tried.
        UnavailableError: the target's library is not here.
    """
    spec, rewrites, batches = request.spec, tuple(request.by_rewrite), request.batches
    backends, notes = cpu_backends(spec) or (spec.backend,), []
    if spec.fastest and backends != CPU_BACKENDS:
        titles = (BACKENDS[each].title for each in CPU_BACKENDS if each not in backends)
        notes.append(f"{', '.join(titles)} was not tried: it is not installed")
    having = {each for backend in backends for each in BACKENDS[backend].precisions}
    precisions, note = _precisions(request, tuple(each for each in PRECISIONS if each in having))
    notes += note
    if "bf16" in precisions and spec.row.on_cpu:
        here = (each for backend in backends for each in builder_of(backend).precisions_here(spec.processor))
        if "bf16" not in here:
            precisions = tuple(each for each in precisions if each != "bf16")
            which = "not every CPU computes" if spec.processor == ANY else "this CPU does not compute"
            notes.append(f"bf16 was not tried: {which} in it")
    found = make_candidates(backends, precisions, rewrites, batches, timed=timed)
    if not found:
        raise InputError("expected a precision that the target has, got none; see osnet-edge tune --help")
    return found, tuple(notes)


def int8_backend(backends: Sequence[BackendName]) -> BackendName:
    """Return the one of some CPU libraries that INT8 is made for: the last that has it."""
    return next(each for each in reversed(backends) if "int8" in BACKENDS[each].precisions)


def cpu_backends(spec: TargetSpec) -> tuple[BackendName, ...]:
    """Return the CPU libraries that a target may use here; none for one of a GPU.

    Raises:
        UnavailableError: the target names a library that is not here.
    """
    if spec.fastest:
        # Where none is, the first says so when it is opened.
        return tuple(name for name in CPU_BACKENDS if find_support(name).builds) or CPU_BACKENDS[:1]
    if not spec.row.on_cpu:
        return ()
    # Whoever names it is called with what is missing.
    builder_of(spec.backend).precisions_here(spec.processor)
    return (spec.backend,)


def _precisions(
    request: TuneRequest, having: tuple[Precision, ...]
) -> tuple[tuple[Precision, ...], tuple[str, ...]]:
    """Return the precisions to try, in the order of `having`, and a note on those left out."""
    lossy = [each for each in having if PRECISIONS[each].rounds]
    if request.precisions is None:
        if request.calibration is None and lossy:
            names, were = " and ".join(lossy), "were" if lossy[1:] else "was"
            lose = "they lose" if lossy[1:] else "it loses"
            note = f"{names} {were} not tried: what {lose} is measured with --calibration and --budget"
            return ("fp32",), (note,)
        return having, ()
    if unknown := [each for each in request.precisions if each not in having]:
        raise InputError(
            f"expected --precision of {', '.join(having)} for {request.target}, got {unknown[0]}"
        )
    if "int8" in request.precisions and request.calibration is None:
        raise InputError("int8 needs --calibration FILE and --budget; draw a set with osnet-edge calibrate")
    # The published graph in float32 is what a CPU's winner must beat, whatever else is asked for.
    asked = {*request.precisions, *(("fp32",) if request.spec.row.on_cpu else ())}
    unmeasured = [
        each for each in request.precisions if PRECISIONS[each].rounds and request.calibration is None
    ]
    note = f"what {', '.join(unmeasured)} loses was not measured: there is no calibration set"
    return tuple(each for each in having if each in asked), ((note,) if unmeasured else ())
