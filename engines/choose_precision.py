"""`--precision auto`: the fastest of a target's precisions that stays within a budget."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import onnx
from onnx import ModelProto

from osnet_edge.engines.backends.cpu import open_on_cpu
from osnet_edge.engines.build_spec import BuildSpec
from osnet_edge.engines.cpu_choice import cpu_backends
from osnet_edge.engines.golden import make_golden
from osnet_edge.engines.graph.float16 import to_half
from osnet_edge.engines.graph.reading import ExportedGraph
from osnet_edge.engines.int8 import Calibration, HeldOut, decide_int8, fine_tuning, without
from osnet_edge.engines.quantization.quantizer import Quantizer
from osnet_edge.engines.quantization.rules import rules_for
from osnet_edge.engines.targets import CpuBackend, TargetSpec
from osnet_edge.engines.timing import time_in_turns
from osnet_edge.runtime.backends.base import Engine
from osnet_edge.runtime.backends.openvino import LARGEST_COMPILED, installed_precisions
from osnet_edge.runtime.errors import OsnetEdgeError
from osnet_edge.runtime.package.decisions import Comparison
from osnet_edge.runtime.package.graph_info import GraphInfo
from osnet_edge.runtime.package.manifest import Precision
from osnet_edge.runtime.preprocessing import Picture
from osnet_edge.runtime.processor import BF16, this_processor

#: How much faster INT8 must be than the next precision, or its loss bought nothing. NVIDIA's Model Optimizer
#: has the same rule (its pull request 2318).
LEAST_GAIN = 1.02
_NO_GROUP = "no group of layers is within the budget"
#: Of timing, all precisions together; what each group saves is less, and gets twice as many.
_SECONDS = 4.0


class EngineVariant(NamedTuple):
    """A library of a CPU's, and a precision that it computes in."""

    backend: CpuBackend
    precision: Precision

    def __str__(self) -> str:
        """Return its name."""
        return f"{self.backend} {self.precision}"


def choose_on_cpu(
    graph: ExportedGraph,
    spec: TargetSpec,
    request: Calibration,
    batch: int,
    golden_crops: Picture,
    progress: Callable[[str], None],
) -> BuildSpec:
    """Time every precision that a CPU has, and take the fastest that stays within the budget.

    A candidate that cannot be run, or computes something else than its graph says, is dropped with the
    reason; float32 in the first library is always left.

    Args:
        graph: the float32 graph.
        spec: the target; of its libraries the last has INT8.
        request: calibration set and budget.
        batch: pictures a call.
        golden_crops: uint8 (K, H, W, 3) RGB, on which engines are held to their graphs.
        progress: told what is being done.

    Raises:
        InputError: see `decide_int8`.
    """
    backends, count, how = cpu_backends(spec), min(batch, LARGEST_COMPILED), graph.info.preprocessing
    held_out, int8 = HeldOut(request, graph), EngineVariant(backends[-1], "int8")
    with tempfile.TemporaryDirectory() as scratch:
        open_as = _Opener(graph.info, count, Path(scratch), spec.processor)

        def time_groups(quantizer: Quantizer) -> Mapping[str, float] | None:
            progress("timing what each group saves")
            every = tuple(quantizer.groups)
            makers = {name: [other for other in every if other != name] for name in every}
            try:
                engines = {name: open_as(int8.backend, quantizer.make(rest)) for name, rest in makers.items()}
                engines[""] = open_as(int8.backend, quantizer.make(every))
            except OsnetEdgeError:
                # Told below, where INT8 is opened as a candidate.
                return None
            times = time_in_turns(engines, how, count, 2 * _SECONDS)
            return {name: times[name] - times[""] for name in every}

        rules = rules_for(int8.backend, spec.processor)
        found = decide_int8(graph, rules, request, held_out, time_groups=time_groups, progress=progress)
        variants = [
            EngineVariant(each, precision) for each in backends for precision in _float_precisions(each, spec)
        ]
        graphs: dict[EngineVariant, Path | ModelProto] = dict.fromkeys(variants, graph.path)
        if found.groups:
            graphs[int8] = found.make()
        engines, dropped = _open_all(graphs, open_as)
        progress(f"timing {', '.join(map(str, engines))}")
        times = time_in_turns(
            {str(variant): engine for variant, engine in engines.items()}, how, count, _SECONDS
        )

        @functools.cache
        def refuse(variant: EngineVariant) -> str | None:
            if variant.precision == "fp32":
                return None
            progress(f"measuring {variant} as it computes here")
            quantize = found.make if variant == int8 else None
            try:
                make_golden(graph, golden_crops, variant.precision, quantize).hold(engines[variant], count)
                loss = held_out.loss_by(engines[variant])
            except OsnetEdgeError as error:
                return str(error)
            if request.budget is None or request.budget.allows(loss):
                return None
            return f"loses up to {loss.mean_ap_most:.2f} points of mAP"

        order = sorted(engines, key=lambda variant: times[str(variant)])
        variant, refused = fastest_within(order, times, refuse)
        dropped.update(refused)
    name = str(variant)
    others = ", ".join(f"{other} {ms:.1f} ms" for other, ms in times.items() if other != name)
    reasons = (f"{other} {reason}" for other, reason in dropped.items())
    why = "; ".join(filter(None, [f"{name}, {times[name]:.1f} ms a batch", others, *reasons]))
    decision = found.decision
    if not found.groups:
        decision = without(decision, _NO_GROUP)
        why = f"{why}; {_NO_GROUP} in INT8: {fine_tuning(graph.info, request)}"
    elif variant != int8:
        decision = without(decision, why_dropped(str(int8), name, times, dropped.get(int8)))
    quantize, table = (found.make, found.quantizer.table) if variant == int8 else (None, None)
    comparison = Comparison(count, times, why)
    spec = replace(spec, backend=variant.backend, fastest=False)
    return BuildSpec(spec, variant.precision, quantize, decision, comparison, table)


def why_dropped(int8: str, chosen: str, times: Mapping[str, float], reason: str | None) -> str:
    """Say why INT8 was dropped, with the times of it and of what was chosen; by default it gains nothing.

    Example:
        >>> why_dropped("openvino int8", "openvino bf16", {"openvino int8": 9.8, "openvino bf16": 9.7}, None)
        'it gains nothing; a batch took openvino int8 9.8 ms, openvino bf16 9.7 ms'
    """
    both = ", ".join(f"{name} {times[name]:.1f} ms" for name in (int8, chosen) if name in times)
    return f"it {reason or 'gains nothing'}; a batch took {both}"


def compare_on_cpu(graph: ExportedGraph, spec: TargetSpec, quantized: ModelProto, batch: int) -> Comparison:
    """Time INT8 that was asked for by name beside float32, so that nobody ships what is slower unawares.

    Args:
        graph: the float32 graph.
        spec: the target, with one CPU library; where it is for another processor than this, nothing is timed.
        quantized: the INT8 graph.
        batch: pictures a call.
    """
    count = min(batch, LARGEST_COMPILED)
    if not spec.timed_here:
        here = this_processor().kind
        return Comparison(count, {}, f"int8 as asked; not timed: it is for {spec.processor}, this is {here}")
    (backend,) = cpu_backends(spec)
    with tempfile.TemporaryDirectory() as scratch:
        open_as = _Opener(graph.info, count, Path(scratch), spec.processor)
        engines = {"fp32": open_as(backend, graph.path, "fp32"), "int8": open_as(backend, quantized)}
        times = time_in_turns(engines, graph.info.preprocessing, count)
    slower = times["fp32"] < LEAST_GAIN * times["int8"]
    why = f"int8 as asked, {times['int8']:.1f} ms a batch; {backend} fp32 {times['fp32']:.1f} ms" + (
        ": INT8 gains nothing here, and --precision auto would leave it out" if slower else ""
    )
    return Comparison(count, {f"{backend} {name}": ms for name, ms in times.items()}, why)


def choose_on_gpu(
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
    held_out = HeldOut(request, graph)
    rules = rules_for(spec.backend)
    found = decide_int8(graph, rules, request, held_out, progress=progress)
    progress("measuring float16")
    loss = held_out.loss_of(to_half(graph.model))
    within = request.budget is None or request.budget.allows(loss)
    lost = f"float16 loses {loss.mean_ap:.2f} points of mAP, {loss.mean_ap_most:.2f} at most"
    chosen: Precision = "fp16" if within else "fp32"
    no_gpu = "no GPU was here to show that it gains"
    why = f"{chosen}: {lost}; INT8 was dropped, as {no_gpu}"
    if not found.groups:
        why = f"{why}, and {_NO_GROUP} in it: {fine_tuning(graph.info, request)}"
    decision = without(found.decision, no_gpu if found.groups else _NO_GROUP)
    return BuildSpec(spec, chosen, None, decision, Comparison(batch, {}, why))


def fastest_within(
    order: Sequence[EngineVariant], times: Mapping[str, float], refuse: Callable[[EngineVariant], str | None]
) -> tuple[EngineVariant, dict[EngineVariant, str]]:
    """Go from the fastest on until one is within the budget and, if it is INT8, worth it; float32 always is.

    Args:
        order: the fastest first.
        times: milliseconds of each, by name.
        refuse: why one is not within the budget, or None; asked of as few as possible, since it takes time.

    Returns:
        It, and why each was dropped that is faster.
    """
    dropped: dict[EngineVariant, str] = {}
    for index, variant in enumerate(order):
        near = (each for each in order[index + 1 :] if times[str(each)] < LEAST_GAIN * times[str(variant)])
        if variant.precision == "int8" and any(refuse(each) is None for each in near):
            dropped[variant] = "gains too little"
        elif reason := refuse(variant):
            dropped[variant] = reason
        else:
            return variant, dropped
    raise AssertionError("float32 is among them")


def _open_all(
    graphs: Mapping[EngineVariant, Path | ModelProto], open_as: _Opener
) -> tuple[dict[EngineVariant, Engine], dict[EngineVariant, str]]:
    """Open candidates, the first of which must open; return the engines, and why the others have none."""
    engines: dict[EngineVariant, Engine] = {}
    dropped: dict[EngineVariant, str] = {}
    for variant, graph in graphs.items():
        try:
            engines[variant] = open_as(variant.backend, graph, variant.precision)
        except OsnetEdgeError as error:
            if not engines:
                raise
            dropped[variant] = str(error)
    return engines, dropped


def _float_precisions(backend: CpuBackend, spec: TargetSpec) -> tuple[Precision, ...]:
    if backend == "onnxruntime":
        return ("fp32",)
    # Not every processor has the others.
    return tuple(each for each in installed_precisions() if each == "fp32" or spec.processor == BF16)


class _Opener:
    """Opens graphs as a package would be, but for few batch sizes, in a folder of its own."""

    def __init__(self, info: GraphInfo, batch: int, folder: Path, processor: str) -> None:
        self._info, self._batch, self._folder, self._made = info, batch, folder, 0
        self._processor = processor

    def __call__(
        self, backend: CpuBackend, graph: Path | ModelProto, precision: Precision = "int8"
    ) -> Engine:
        if isinstance(graph, ModelProto):
            self._made += 1
            file = self._folder / f"{self._made}.onnx"
            onnx.save(graph, file)
            graph = file
        sizes = tuple(dict.fromkeys((self._batch, 1)))
        return open_on_cpu(
            graph, self._info, backend, precision, self._batch, sizes, processor=self._processor
        )
