"""`--precision auto`: the fastest of a target's precisions that stays within a budget."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto

from osnet_edge.engines.cpu import CpuBackend
from osnet_edge.engines.half import to_half
from osnet_edge.engines.int8 import Calibration, HeldOut, decide_int8, fine_tuning, without
from osnet_edge.engines.quantization.quantizer import Quantizer
from osnet_edge.engines.quantization.rules import QdqRules
from osnet_edge.engines.timing import time_in_turns
from osnet_edge.runtime.backends import Engine
from osnet_edge.runtime.backends.onnxruntime_cpu import OnnxRuntimeEngine
from osnet_edge.runtime.backends.openvino_cpu import LARGEST_COMPILED, OpenVinoEngine, installed_precisions
from osnet_edge.runtime.embedder import normalize_rows
from osnet_edge.runtime.graph_info import GraphInfo
from osnet_edge.runtime.manifest import Backend, Precision
from osnet_edge.runtime.precision import Comparison, Int8

#: How much faster INT8 must be than the next precision, or its loss bought nothing. NVIDIA's Model Optimizer
#: has the same rule (its pull request 2318).
LEAST_GAIN = 1.02
_NO_GROUP = "no group of layers is within the budget"


@dataclass(frozen=True)
class Chosen:
    """What a package will be.

    Attributes:
        backend: what runs it.
        precision: what was chosen.
        quantizer: makes the INT8 graph.
        int8: the decision on INT8, also where it was dropped.
        comparison: the times, and why.
    """

    backend: Backend
    precision: Precision
    quantizer: Quantizer
    int8: Int8
    comparison: Comparison


def choose_on_cpu(
    graph: Path,
    model: ModelProto,
    info: GraphInfo,
    backends: tuple[CpuBackend, ...],
    rules: QdqRules,
    request: Calibration,
    batch: int,
    *,
    seconds: float = 4.0,
    progress: Callable[[str], None] = lambda step: None,
) -> Chosen:
    """Time every precision that a CPU has, and take the fastest that stays within the budget.

    Args:
        graph: the float32 graph's file.
        model: what is in it.
        info: what it says of itself.
        backends: libraries that may run it; the last has INT8.
        rules: of the last.
        request: calibration set and budget.
        batch: pictures a call.
        seconds: of timing.
        progress: told what is being done.

    Raises:
        InputError: see `decide_int8`.
    """
    count = min(batch, LARGEST_COMPILED)
    held_out = HeldOut(request, graph, info)
    with tempfile.TemporaryDirectory() as scratch:
        open_as = _Opener(info, count, Path(scratch))

        def time_groups(quantizer: Quantizer) -> Mapping[str, float]:
            progress("timing what each group saves")
            every = tuple(quantizer.groups)
            makers = {name: [other for other in every if other != name] for name in every}
            engines = {name: open_as(backends[-1], quantizer.make(rest)) for name, rest in makers.items()}
            engines[""] = open_as(backends[-1], quantizer.make(every))
            times = time_in_turns(engines, info.preprocessing, count, seconds=2 * seconds)
            return {name: times[name] - times[""] for name in every}

        quantizer, decision = decide_int8(
            graph, model, info, rules, request, held_out, time_groups=time_groups, progress=progress
        )
        engines: dict[tuple[CpuBackend, Precision], Engine] = {
            (backend, precision): open_as(backend, graph, precision)
            for backend in backends
            for precision in _float_precisions(backend)
        }
        chosen = tuple(each.group for each in decision.groups if each.int8)
        if chosen:
            engines[backends[-1], "int8"] = open_as(backends[-1], quantizer.make(chosen))
        progress(f"timing {', '.join(f'{b} {p}' for b, p in engines)}")
        named = {f"{backend} {precision}": engine for (backend, precision), engine in engines.items()}
        times = time_in_turns(named, info.preprocessing, count, seconds=seconds)
        order = sorted(engines, key=lambda key: times[f"{key[0]} {key[1]}"])
        backend, precision, dropped = _fastest_within(order, times, engines, held_out, request, progress)
    name, int8 = f"{backend} {precision}", f"{backends[-1]} int8"
    others = ", ".join(f"{other} {ms:.1f} ms" for other, ms in times.items() if other != name)
    reasons = (f"{other} {reason}" for other, reason in dropped.items())
    why = "; ".join(filter(None, [f"{name}, {times[name]:.1f} ms a batch", others, *reasons]))
    if not chosen:
        decision = without(decision, _NO_GROUP)
        why = f"{why}; {_NO_GROUP} in INT8: {fine_tuning(info, request)}"
    elif precision != "int8":
        decision = without(decision, why_dropped(int8, name, times, dropped.get(int8)))
    return Chosen(backend, precision, quantizer, decision, Comparison(count, times, why))


def why_dropped(int8: str, chosen: str, times: Mapping[str, float], reason: str | None) -> str:
    """Say why INT8 was dropped, with its time and that of what was chosen; by default it gains nothing.

    Example:
        >>> why_dropped("openvino int8", "openvino bf16", {"openvino int8": 9.8, "openvino bf16": 9.7}, None)
        'it gains nothing; a batch took openvino int8 9.8 ms, openvino bf16 9.7 ms'
    """
    both = ", ".join(f"{name} {times[name]:.1f} ms" for name in (int8, chosen))
    return f"it {reason or 'gains nothing'}; a batch took {both}"


def compare_on_cpu(
    graph: Path, info: GraphInfo, backend: CpuBackend, quantized: ModelProto, batch: int
) -> Comparison:
    """Time INT8 that was asked for by name beside float32, so that nobody ships what is slower unawares.

    Args:
        graph: the float32 graph's file.
        info: what it says of itself.
        backend: the library.
        quantized: the INT8 graph.
        batch: pictures a call.
    """
    count = min(batch, LARGEST_COMPILED)
    with tempfile.TemporaryDirectory() as scratch:
        open_as = _Opener(info, count, Path(scratch))
        engines = {"fp32": open_as(backend, graph, "fp32"), "int8": open_as(backend, quantized)}
        times = time_in_turns(engines, info.preprocessing, count)
    slower = times["fp32"] < LEAST_GAIN * times["int8"]
    why = f"int8 as asked, {times['int8']:.1f} ms a batch; {backend} fp32 {times['fp32']:.1f} ms" + (
        ": INT8 gains nothing here, and --precision auto would leave it out" if slower else ""
    )
    return Comparison(count, {f"{backend} {name}": ms for name, ms in times.items()}, why)


def choose_on_gpu(
    graph: Path,
    model: ModelProto,
    info: GraphInfo,
    backend: Backend,
    rules: QdqRules,
    request: Calibration,
    batch: int,
    progress: Callable[[str], None] = lambda step: None,
) -> Chosen:
    """Choose for a GPU that is not here to be timed: float16, if it is within the budget.

    INT8 would have to prove its gain, and cannot; built for `--precision int8`, it can be compared on the
    device. What it would lose is decided all the same, and kept in the manifest.
    """
    held_out = HeldOut(request, graph, info)
    quantizer, decision = decide_int8(graph, model, info, rules, request, held_out, progress=progress)
    progress("measuring float16")
    loss = held_out.loss_of(to_half(model))
    within = request.budget is None or request.budget.allows(loss)
    lost = f"float16 loses {loss.mean_ap:.2f} points of mAP, {loss.mean_ap_most:.2f} at most"
    chosen: Precision = "fp16" if within else "fp32"
    no_gpu = "no GPU was here to show that it gains"
    why = f"{chosen}: {lost}; INT8 was dropped, as {no_gpu}"
    any_group = any(each.int8 for each in decision.groups)
    if not any_group:
        why = f"{why}, and {_NO_GROUP} in it: {fine_tuning(info, request)}"
    decision = without(decision, no_gpu if any_group else _NO_GROUP)
    return Chosen(backend, chosen, quantizer, decision, Comparison(batch, {}, why))


def _fastest_within(
    order: list[tuple[CpuBackend, Precision]],
    times: Mapping[str, float],
    engines: Mapping[tuple[CpuBackend, Precision], Engine],
    held_out: HeldOut,
    request: Calibration,
    progress: Callable[[str], None],
) -> tuple[CpuBackend, Precision, dict[str, str]]:
    """Go from the fastest on until one is within the budget as it really computes; float32 always is.

    Returns:
        It, and why each was dropped that is faster, by name.
    """
    dropped: dict[str, str] = {}
    for index, (backend, precision) in enumerate(order):
        name = f"{backend} {precision}"
        following = [times[f"{other[0]} {other[1]}"] for other in order[index + 1 :]]
        if precision == "int8" and following and following[0] < LEAST_GAIN * times[name]:
            dropped[name] = "gains too little"
            continue
        if precision != "fp32":
            progress(f"measuring {name} as it computes here")
            loss = held_out.loss(_embed(engines[backend, precision], held_out))
            if request.budget is not None and not request.budget.allows(loss):
                dropped[name] = f"loses up to {loss.mean_ap_most:.2f} points of mAP"
                continue
        return backend, precision, dropped
    raise AssertionError("float32 is among them")


def _embed(engine: Engine, held_out: HeldOut) -> npt.NDArray[np.float32]:
    return normalize_rows(np.concatenate([engine.infer(batch) for batch in held_out.batches]))


def _float_precisions(backend: CpuBackend) -> tuple[Precision, ...]:
    return ("fp32",) if backend == "onnxruntime" else installed_precisions()


class _Opener:
    """Opens graphs as a package would be, but for few batch sizes, in a folder of its own."""

    def __init__(self, info: GraphInfo, batch: int, folder: Path) -> None:
        self._info, self._batch, self._folder, self._made = info, batch, folder, 0

    def __call__(
        self, backend: CpuBackend, graph: Path | ModelProto, precision: Precision = "int8"
    ) -> Engine:
        if isinstance(graph, ModelProto):
            self._made += 1
            file = self._folder / f"{self._made}.onnx"
            onnx.save(graph, file)
            graph = file
        size = self._info.model.embedding_size
        if backend == "onnxruntime":
            return OnnxRuntimeEngine(graph, self._info.preprocessing, size)
        return OpenVinoEngine(
            graph,
            self._info.preprocessing,
            size,
            precision,
            self._batch,
            sizes=tuple(dict.fromkeys((self._batch, 1))),
        )
