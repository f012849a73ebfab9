"""From the precision that was asked for to what is built: INT8's graph, or what `auto` comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from osnet_edge.engines.build_spec import BuildSpec
from osnet_edge.engines.calibration import load_pictures
from osnet_edge.engines.choose_precision import choose_on_cpu, choose_on_gpu, compare_on_cpu
from osnet_edge.engines.cpu_choice import cpu_backends
from osnet_edge.engines.graph.overflow import check_overflow
from osnet_edge.engines.graph.reading import ExportedGraph
from osnet_edge.engines.int8 import Calibration, HeldOut, decide_int8, fine_tuning
from osnet_edge.engines.quantization.rules import rules_for
from osnet_edge.engines.targets import CPU_BACKENDS, PRECISIONS, TargetSpec, check_precision
from osnet_edge.runtime.errors import CheckError, InputError
from osnet_edge.runtime.package.manifest import Precision
from osnet_edge.runtime.preprocessing import Picture
from osnet_edge.runtime.processor import this_processor

#: What `--precision` says.
AskedPrecision = Precision | Literal["auto"]


def check_asked(spec: TargetSpec, asked: AskedPrecision, request: Calibration | None) -> None:
    """Hold what was asked for to what goes together, before anything is read.

    Raises:
        InputError: the target has no such precision, or calibration set or budget are missing or for nothing.
    """
    if asked != "auto" or spec.backend == "onnxruntime_cuda":
        check_precision(spec, asked)
    if request is None and asked in ("int8", "auto"):
        raise InputError(
            f"--precision {asked} needs --calibration FILE; draw a set with osnet-edge calibrate"
        )
    if request is not None and asked in ("fp32", "bf16"):
        raise InputError(
            f"expected a calibration set for fp16, int8 or auto, got one for {asked}; leave it out"
        )
    if asked == "auto" and (request is None or request.budget is None):
        raise InputError("--precision auto needs --budget POINTS of mAP, such as 0.5")
    if asked == "auto" and spec.processor and not spec.timed_here:
        raise InputError(
            f"--precision auto times what is here, a {this_processor().kind}, and the target is a "
            f"{spec.processor}; name a precision, or build on such a machine"
        )
    if asked == "fp16" and request is not None and request.budget is not None:
        raise InputError("expected a budget for int8 or auto, got one for fp16; leave it out")


def settle_precision(
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
        asked: the precision asked for.
        request: calibration set and budget, for `int8` and `auto`.
        batch: pictures a call, which engines are timed with.
        golden_crops: uint8 (K, H, W, 3) RGB, on which `auto` holds engines to their graphs.
        progress: told what is being done.

    Raises:
        InputError: an activation is not finite, or leaves float16's range where that is needed, or the set is
            of no use.
        CheckError: no group of layers is within the budget, and INT8 was asked for by name.
    """
    in_half = "fp16" in PRECISIONS[spec.backend]
    if request is not None and in_half:
        progress(f"checking float16's range on {len(request.pictures.pictures):,} pictures")
        crops = load_pictures(request.pictures.pictures)
        check_overflow(graph.model, crops, graph.info.preprocessing, progress)
    if asked != "int8" and asked != "auto":
        return BuildSpec(spec, asked)
    if request is None:
        raise ValueError("check_asked comes first")
    if asked == "auto":
        if spec.backend in CPU_BACKENDS:
            return choose_on_cpu(graph, spec, request, batch, golden_crops, progress)
        return choose_on_gpu(graph, spec, request, batch, progress)
    if spec.fastest:
        spec = replace(spec, backend=cpu_backends(spec)[-1], fastest=False)
    held_out = None
    if request.pictures.held_out or request.budget:
        held_out = HeldOut(request, graph)
    rules = rules_for(spec.backend, spec.processor)
    found = decide_int8(graph, rules, request, held_out, progress=progress)
    if not found.groups:
        raise CheckError(
            f"no group of layers stays within the budget in INT8; {fine_tuning(graph.info, request)}, give "
            "more points, or pass --precision auto, which falls back to floating point"
        )
    comparison = None
    if spec.backend in CPU_BACKENDS:
        progress("timing INT8 beside float32")
        comparison = compare_on_cpu(graph, spec, found.make(), batch)
    return BuildSpec(spec, "int8", found.make, found.decision, comparison, found.quantizer.table)
