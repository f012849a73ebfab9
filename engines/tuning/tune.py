"""Candidates timed or estimated, one of them picked, and its package built with the table of all in it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from osnet_edge.engines.backends.registry import builder_of
from osnet_edge.engines.build import build_package, require_place
from osnet_edge.engines.tuning.accuracy import Accuracy
from osnet_edge.engines.tuning.cache import TuningCache
from osnet_edge.engines.tuning.candidate import Candidate
from osnet_edge.engines.tuning.choice import Times
from osnet_edge.engines.tuning.estimate import EVENT_US, LAUNCH_US, Ceilings, find_ceilings, rank
from osnet_edge.engines.tuning.measure import measure
from osnet_edge.engines.tuning.open_engine import open_on_cpu
from osnet_edge.engines.tuning.request import TuneRequest, list_candidates
from osnet_edge.engines.tuning.stopwatch import Stopwatch
from osnet_edge.engines.tuning.table import make_table
from osnet_edge.runtime.backends.base import Engine, open_engine
from osnet_edge.runtime.backends.onnxruntime import default_threads
from osnet_edge.runtime.backends.registry import BACKENDS
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.cuda.probe import probe
from osnet_edge.runtime.errors import CheckError, InputError, UnavailableError
from osnet_edge.runtime.installed import installed_version
from osnet_edge.runtime.package.manifest import Manifest, read_manifest
from osnet_edge.runtime.package.tuning import Tuning
from osnet_edge.runtime.processor import this_processor

_LIBRARIES = ("osnet-edge", "onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt", "tensorrt-rtx-cu13")


def tune(
    request: TuneRequest,
    output: Path | str | None,
    *,
    replace: bool = False,
    notes: Sequence[str] = (),
    progress: Callable[[str], None] = lambda step: None,
) -> tuple[Tuning, Manifest | None]:
    """Find the fastest way to run a network on a target, and build its package.

    Args:
        request: what is asked.
        output: the package's folder, made whole or not at all; None builds none.
        replace: whether a package already there is replaced.
        notes: what else the table should say, a line each.
        progress: called with a line for each step.

    Returns:
        The table, and the package's manifest, which holds it too.

    Raises:
        InputError: a graph, the target, batches, precisions, device or calibration set cannot be used.
        UnavailableError: the target's library is not here, or a package was asked for that only the device
            itself can build.
        CheckError: every candidate fails its proof, as its graph or as its engine. No package is left.
    """
    spec = request.spec
    if output is not None:
        require_place(Path(output), replace=replace)
    builder = builder_of(spec.backend)
    timed = builder.runs_here(spec)
    if not builder.builds_elsewhere and not timed and output is not None:
        raise UnavailableError(
            f"{spec.row.title} builds on the device itself, and there is none here that it could run on; "
            "leave -o out to have candidates ranked by a cost model, or tune for rtx"
        )
    if timed and request.device is not None:
        raise InputError("--device is for a target that cannot run here, and this one can; leave it out")
    candidates, left_out = list_candidates(request, timed=timed)
    ceilings = None
    if not timed:
        ceilings = find_ceilings(request.device, spec.capabilities or builder.stands_for)
        left_out = (*left_out, *_what_an_estimate_rests_on(ceilings))
    device = ceilings.device if ceilings else _device(request)
    cache = TuningCache(request.cache, _context(device, request), fresh=request.fresh)
    accuracy = Accuracy(
        request.by_rewrite, request.calibration, cache, request.golden_crops, spec.processor, progress
    )
    unproven: dict[Candidate, str] = {}
    with tempfile.TemporaryDirectory(prefix="osnet-edge-tune-") as scratch:
        if ceilings:
            capabilities = spec.capabilities or (ceilings.capability,)
            outcomes = rank(
                candidates,
                accuracy,
                ceilings,
                request.batches,
                capabilities,
                Path(scratch),
                progress,
                unproven,
            )
        else:
            stopwatch = make_stopwatch(request, candidates, accuracy, cache, Path(scratch), progress)
            outcomes = measure(candidates, stopwatch, accuracy, request.plan, progress, unproven)
        # Without end: where nobody is left, it says so.
        while True:
            outcome = next(outcomes)
            told = (*notes, *left_out, *_doubts(outcome.times[candidates[0]]))
            table = make_table(request, device, candidates, outcome, accuracy.losses, told, measured=timed)
            if output is None:
                return table, None
            progress(f"building {outcome.winner}")
            try:
                return table, _build(
                    request, outcome.winner, accuracy, table, Path(output), replace, progress
                )
            except CheckError as error:
                unproven[outcome.winner] = f"fails its own proof ({error})"
                progress(f"{outcome.winner} {unproven[outcome.winner]}; going on with the next best")


def make_stopwatch(
    request: TuneRequest,
    candidates: Sequence[Candidate],
    accuracy: Accuracy,
    cache: TuningCache,
    scratch: Path,
    progress: Callable[[str], None],
) -> Stopwatch:
    """Return what times candidates by their names.

    Args:
        request: what is asked.
        candidates: the reference first.
        accuracy: has their graphs.
        cache: where times are kept.
        scratch: a folder for graphs and plans.
        progress: called with a line for each step.
    """
    open_engine, named = EngineOpener(request, accuracy, scratch), {str(each): each for each in candidates}
    return Stopwatch(
        lambda name: open_engine(named[name]),
        lambda name: accuracy.digest(named[name]),
        str(candidates[0]),
        request.graphs[0].info.preprocessing,
        request.batches,
        cache,
        progress,
    )


def _build(
    request: TuneRequest,
    winner: Candidate,
    accuracy: Accuracy,
    table: Tuning,
    output: Path,
    replace: bool,
    progress: Callable[[str], None],
) -> Manifest:
    return build_package(
        accuracy.graphs[winner.rewrite].path,
        output,
        target=BACKENDS[winner.backend].target,
        processor=request.processor,
        golden_crops=request.golden_crops,
        batch=winner.batch_range(request.batches),
        resolved=accuracy.resolve(winner, request.spec.capabilities),
        options=winner.options,
        tuning=table,
        replace=replace,
        progress=progress,
    )


def _device(request: TuneRequest) -> str:
    """Say what times are taken on."""
    if request.spec.row.on_cpu:
        return f"{request.machine}, {counted(default_threads(), 'thread')}".removeprefix(", ")
    found = probe()
    return f"{found.devices[0].name}, driver for CUDA {found.driver}"


def _context(device: str, request: TuneRequest) -> Any:
    """Return what everything that is remembered depends on."""
    versions = {name: found for name in _LIBRARIES if (found := installed_version(name))}
    here = this_processor()
    return {
        "format": 2,
        "device": device,
        # Machines of one name differ in them, and a virtual machine may be moved between two.
        "processor": [here.architecture, *here.features],
        "built for": request.spec.processor,
        "batches": request.batches,
        "versions": versions,
    }


def _doubts(reference: Times) -> tuple[str, ...]:
    """Return a warning if the machine was busy, judged by the reference's own times as bench judges."""
    noisy = [each.cv for each in reference.calls if each.noisy]
    if not noisy:
        return ()
    return (
        "the machine was not quiet: the standard deviation of the reference's calls reaches "
        f"{max(noisy):.0%} of their mean; tune again when nothing else runs",
    )


def _what_an_estimate_rests_on(ceilings: Ceilings) -> tuple[str, ...]:
    return (
        f"estimated, not measured: {LAUNCH_US:g} us a launch, {EVENT_US:g} us an event, and a roofline under "
        f"{ceilings.bandwidth:g} GB/s and {ceilings.fp32:g}, {ceilings.fp16:g} and {ceilings.int8:g} TFLOP/s "
        f"in float32, float16 and int8 ({ceilings.source})",
    )


class EngineOpener:
    """Opens candidates in a scratch folder.

    Args:
        request: what is tuned, and for which batch sizes.
        accuracy: has the graphs, those in INT8 too.
        scratch: a folder of its own.
    """

    def __init__(self, request: TuneRequest, accuracy: Accuracy, scratch: Path) -> None:
        self._request, self._accuracy, self._scratch = request, accuracy, scratch
        self._packages: dict[str, Path] = {}

    def __call__(self, candidate: Candidate) -> Engine:
        """Open a candidate.

        Raises:
            OsnetEdgeError: it cannot be built or run here.
        """
        if not BACKENDS[candidate.backend].on_cpu:
            return self._open_package(candidate)
        processor = self._request.spec.processor
        return open_on_cpu(candidate, self._accuracy, self._request.batches, processor, self._scratch)

    def _open_package(self, candidate: Candidate) -> Engine:
        # One that was let go of is opened again as it was built, but for INT8 that was decided on since.
        content = str(self._accuracy.digest(candidate))
        package = self._packages.setdefault(content, self._scratch / f"{len(self._packages)}")
        if not package.exists():
            build_package(
                self._accuracy.graphs[candidate.rewrite].path,
                package,
                target=BACKENDS[candidate.backend].target,
                golden_crops=self._request.golden_crops,
                batch=candidate.batch_range(self._request.batches),
                resolved=self._accuracy.resolve(candidate, self._request.spec.capabilities),
                options=candidate.options,
            )
        manifest = read_manifest(package)
        return open_engine(package / manifest.model_file, manifest, None)
