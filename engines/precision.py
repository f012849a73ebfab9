"""From the requested precision to the build: INT8's graph, or the choice of `auto`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from osnet_edge.engines.backends.registry import builder_of
from osnet_edge.engines.build_spec import BuildSpec
from osnet_edge.engines.calibration import load_pictures
from osnet_edge.engines.graph.float16 import check_overflow, to_half
from osnet_edge.engines.graph.reading import ExportedGraph
from osnet_edge.engines.int8 import (
    NO_GROUP,
    Calibration,
    HeldOut,
    decide_int8,
    fine_tuning,
    measure_drift,
    without,
)
from osnet_edge.engines.targets import TargetSpec, check_precision
from osnet_edge.engines.tuning.quick import choose_library, choose_on_cpu, compare_on_cpu
from osnet_edge.engines.tuning.request import cpu_backends, int8_backend
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import CheckError, InputError
from osnet_edge.runtime.package.decisions import Comparison
from osnet_edge.runtime.precisions import PRECISIONS, Precision
from osnet_edge.runtime.preprocessing import Picture
from osnet_edge.runtime.processor import this_processor

#: The values of `--precision`.
AskedPrecision = Precision | Literal["auto"]


def check_asked(spec: TargetSpec, asked: AskedPrecision, request: Calibration | None) -> None:
    """Check that the requested options go together, before anything is read.

    Raises:
        InputError: the target has no such precision, or calibration set or budget are missing or for nothing.
    """
    # What has no INT8 leaves nothing to choose by a budget.
    if asked != "auto" or "int8" not in spec.row.precisions:
        check_precision(spec, asked)
    calibrated = asked == "auto" or PRECISIONS[asked].calibrated
    if request is None and calibrated:
        raise InputError(
            f"--precision {asked} needs --calibration FILE; draw a set with osnet-edge calibrate"
        )
    if request is not None and not calibrated and asked != "fp16":
        raise InputError(
            f"expected a calibration set for fp16, int8 or auto, got one for {asked}; leave it out"
        )
    asks_points = asked == "auto" or (request is not None and request.budget is not None)
    if request is not None and asks_points and request.pictures.drawn.kind == "unlabelled":
        # Before it asks for points of what nobody can measure.
        _ = request.people
    if asked == "auto" and (request is None or request.budget is None):
        raise InputError("--precision auto needs --budget POINTS of mAP, such as 0.5")
    if asked == "auto" and spec.processor and not spec.timed_here:
        raise InputError(
            f"--precision auto times what is here, a {this_processor().kind}, and the target is a "
            f"{spec.processor}; name a precision, or build on such a machine"
        )
    if asked == "fp16" and request is not None and request.budget is not None:
        raise InputError("expected a budget for int8 or auto, got one for fp16; leave it out")


def resolve_precision(
    graph: ExportedGraph,
    spec: TargetSpec,
    asked: AskedPrecision,
    request: Calibration | None,
    batch: int,
    golden_crops: Picture,
    progress: Callable[[str], None],
) -> BuildSpec:
    """Decide what will be built.

    Args:
        graph: the float32 graph.
        spec: the target.
        asked: the requested precision.
        request: calibration set and budget, for `int8` and `auto`.
        batch: images a call, which engines are timed with.
        golden_crops: uint8 (K, H, W, 3) RGB, on which `auto` holds engines to their graphs.
        progress: called with a line for each step.

    Raises:
        InputError: an activation is not finite, or leaves float16's range where that is needed, or the set is
            of no use.
        CheckError: no group of layers is within the budget, and INT8 was asked for by name.
    """
    if request is not None and "fp16" in spec.row.precisions:
        progress(f"checking float16's range on {counted(len(request.pictures.pictures), 'image')}")
        crops = load_pictures(request.pictures.pictures)
        check_overflow(graph, crops, graph.info.preprocessing, progress)
    if asked == "auto" or PRECISIONS[asked].calibrated:
        if request is None:
            raise ValueError("check_asked comes first")
        if asked != "auto":
            return _resolve_int8(graph, spec, request, batch, progress)
        if spec.row.on_cpu:
            return choose_on_cpu(graph, spec, request, batch, golden_crops, progress)
        return _choose_on_gpu(graph, spec, request, batch, progress)
    if spec.fastest:
        return choose_library(graph, spec, batch, golden_crops, progress)
    return BuildSpec(spec, asked)


def _resolve_int8(
    graph: ExportedGraph,
    spec: TargetSpec,
    request: Calibration,
    batch: int,
    progress: Callable[[str], None],
) -> BuildSpec:
    if spec.fastest:
        spec = replace(spec, backend=int8_backend(cpu_backends(spec)), fastest=False)
    held_out, unlabelled = None, request.pictures.drawn.kind == "unlabelled"
    if request.budget or (request.pictures.held_out and not unlabelled):
        held_out = HeldOut(request, graph, progress)
    rules = builder_of(spec.backend).rules_for(spec.processor)
    quantized, decision = decide_int8(graph, rules, request, held_out, progress=progress)
    if not quantized.groups:
        raise CheckError(
            f"no group of layers stays within the budget in INT8; {fine_tuning(graph.info, request)}, give "
            "more points, or pass --precision auto, which falls back to floating point"
        )
    if unlabelled:
        decision = replace(decision, drift=measure_drift(request, graph, quantized.make(), progress))
    comparison = None
    if spec.row.on_cpu:
        progress("timing INT8 beside float32")
        comparison = compare_on_cpu(graph, spec, quantized.make(), batch)
    return BuildSpec(spec, "int8", quantized, decision, comparison)


def _choose_on_gpu(
    graph: ExportedGraph,
    spec: TargetSpec,
    request: Calibration,
    batch: int,
    progress: Callable[[str], None],
) -> BuildSpec:
    """Choose for a GPU that is not here to be timed: float16, if it is within the budget.

    INT8 would have to prove its gain, and cannot; built for `--precision int8`, it can be compared on the
    device. What it would lose is decided all the same, and kept in the manifest.
    """
    held_out = HeldOut(request, graph, progress)
    rules = builder_of(spec.backend).rules_for()
    quantized, decision = decide_int8(graph, rules, request, held_out, progress=progress)
    progress("measuring float16")
    loss = held_out.loss_of(to_half(graph))
    within, worse = request.budget is None or request.budget.allows(loss), loss.worse
    lost = f"float16 loses {worse.mean_ap:.2f} points of mAP, {worse.mean_ap_most:.2f} at most"
    if loss.tracks:
        lost = f"{lost}, and {loss.tracks.idf1:.2f} of IDF1 in sequences"
    chosen: Precision = "fp16" if within else "fp32"
    no_gpu = "no GPU was here to show that it gains"
    why = f"{chosen}: {lost}; INT8 was dropped, as {no_gpu}"
    if not quantized.groups:
        why = f"{why}, and {NO_GROUP} in it: {fine_tuning(graph.info, request)}"
    decision = without(decision, no_gpu if quantized.groups else NO_GROUP)
    return BuildSpec(spec, chosen, None, decision, Comparison(batch, {}, why))
