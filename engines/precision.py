"""From the precision that was asked for to what is built: INT8's graph, or what `auto` comes to."""

from __future__ import annotations

import functools
import importlib.util
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from onnx import ModelProto

from osnet_edge.engines.calibration import load_pictures
from osnet_edge.engines.choose_precision import choose_on_cpu, choose_on_gpu, compare_on_cpu
from osnet_edge.engines.cpu import CpuBackend
from osnet_edge.engines.int8 import Calibration, HeldOut, decide_int8, fine_tuning
from osnet_edge.engines.overflow import check_overflow
from osnet_edge.engines.quantization.quantizer import Quantizer
from osnet_edge.engines.quantization.rules import rules_for
from osnet_edge.engines.targets import PRECISIONS, TargetSpec, check_precision
from osnet_edge.runtime.errors import CheckError, InputError
from osnet_edge.runtime.graph_info import GraphInfo
from osnet_edge.runtime.manifest import Precision
from osnet_edge.runtime.precision import Comparison, Int8

#: What `--precision` says.
AskedPrecision = Precision | Literal["auto"]


@dataclass(frozen=True)
class Settled:
    """What will be built.

    Attributes:
        spec: the target, with one backend.
        precision: the precision.
        quantize: makes the graph with Q/DQ, float16 around them or not; None in other precisions.
        int8: how INT8 was decided on; None where nobody asked.
        comparison: the times by which `auto` chose, or those of INT8 on a CPU beside float32; else None.
    """

    spec: TargetSpec
    precision: Precision
    quantize: Callable[[bool], ModelProto] | None = None
    int8: Int8 | None = None
    comparison: Comparison | None = None


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
    if asked == "fp16" and request is not None and request.budget is not None:
        raise InputError("expected a budget for int8 or auto, got one for fp16; leave it out")


def settle_precision(
    graph: Path,
    model: ModelProto,
    info: GraphInfo,
    spec: TargetSpec,
    asked: AskedPrecision,
    request: Calibration | None,
    batch: int,
    progress: Callable[[str], None],
) -> Settled:
    """Decide what will be built.

    Args:
        graph: the float32 graph's file.
        model: what is in it.
        info: what it says of itself.
        spec: the target.
        asked: the precision asked for.
        request: calibration set and budget, for `int8` and `auto`.
        batch: pictures a call, which engines are timed with.
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
        check_overflow(model, crops, info.preprocessing, progress)
    if asked != "int8" and asked != "auto":
        return Settled(spec, asked)
    if request is None:
        raise ValueError("check_asked comes first")
    if asked == "auto":
        return _automatic(graph, model, info, spec, request, batch, progress)
    spec = TargetSpec(_with_int8(spec)[-1]) if spec.fastest else spec
    held_out = None
    if request.judge and (request.pictures.held_out or request.budget):
        held_out = HeldOut(request, graph, info)
    rules = rules_for(spec.backend, platform.machine())
    quantizer, decision = decide_int8(graph, model, info, rules, request, held_out, progress=progress)
    if not any(each.int8 for each in decision.groups):
        raise CheckError(
            f"no group of layers stays within the budget in INT8; {fine_tuning(info, request)}, give more "
            "points, or pass --precision auto, which falls back to floating point"
        )
    quantize, comparison = _maker(quantizer, decision), None
    if spec.backend == "onnxruntime" or spec.backend == "openvino":
        progress("timing INT8 beside float32")
        comparison = compare_on_cpu(graph, info, spec.backend, quantize(False), batch)
    return Settled(spec, "int8", quantize, decision, comparison)


def _automatic(
    graph: Path,
    model: ModelProto,
    info: GraphInfo,
    spec: TargetSpec,
    request: Calibration,
    batch: int,
    progress: Callable[[str], None],
) -> Settled:
    if spec.backend in ("tensorrt", "tensorrt_rtx"):
        rules = rules_for(spec.backend, platform.machine())
        chosen = choose_on_gpu(graph, model, info, spec.backend, rules, request, batch, progress)
    else:
        backends = _with_int8(spec)
        rules = rules_for(backends[-1], platform.machine())
        chosen = choose_on_cpu(graph, model, info, backends, rules, request, batch, progress=progress)
        spec = replace(spec, backend=chosen.backend, fastest=False)
    quantize = _maker(chosen.quantizer, chosen.int8) if chosen.precision == "int8" else None
    return Settled(spec, chosen.precision, quantize, chosen.int8, chosen.comparison)


def _with_int8(spec: TargetSpec) -> tuple[CpuBackend, ...]:
    """Return the CPU libraries that a target may use, the one for INT8 last."""
    if spec.backend == "openvino":
        return ("openvino",)
    found = spec.fastest and importlib.util.find_spec("openvino") is not None
    return ("onnxruntime", "openvino") if found else ("onnxruntime",)


def _maker(quantizer: Quantizer, decision: Int8) -> Callable[[bool], ModelProto]:
    groups = tuple(each.group for each in decision.groups if each.int8)
    # The engine is of this graph, and so are its golden pairs.
    return functools.cache(lambda half: quantizer.make(groups, half=half))
