"""`cpu:fastest` and `--precision auto`: the tuner with a handful of candidates, in seconds.

The graph is taken as it is, each CPU library in each precision that it has is a candidate, and whole engines
are timed for one batch size.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import onnx

from osnet_edge.bench.measure.latency import median_times
from osnet_edge.engines.backends.registry import builder_of
from osnet_edge.engines.build_spec import BuildSpec
from osnet_edge.engines.graph.reading import ExportedGraph, Graph
from osnet_edge.engines.int8 import NO_GROUP, Calibration, fine_tuning, without
from osnet_edge.engines.quantization.quantizer import Quantizer
from osnet_edge.engines.targets import TargetSpec
from osnet_edge.engines.tuning.accuracy import Accuracy
from osnet_edge.engines.tuning.cache import TuningCache
from osnet_edge.engines.tuning.candidate import Candidate
from osnet_edge.engines.tuning.choice import Outcome
from osnet_edge.engines.tuning.halving import Plan
from osnet_edge.engines.tuning.measure import measure
from osnet_edge.engines.tuning.open_engine import open_on_cpu, used_sizes
from osnet_edge.engines.tuning.request import cpu_backends, int8_backend
from osnet_edge.engines.tuning.stopwatch import Stopwatch, grey_batch
from osnet_edge.runtime.backends.base import Engine
from osnet_edge.runtime.backends.openvino import LARGEST_COMPILED
from osnet_edge.runtime.backends.registry import BACKENDS, BackendName
from osnet_edge.runtime.errors import OsnetEdgeError
from osnet_edge.runtime.package.decisions import Comparison
from osnet_edge.runtime.package.graph_info import GraphInfo
from osnet_edge.runtime.precisions import Precision
from osnet_edge.runtime.preprocessing import Picture
from osnet_edge.runtime.processor import this_processor

#: All candidates share one group. Seven rounds tell a difference from noise; quick engines get up to seventy.
_ROUNDS, _ROUND_SECONDS = 7, 0.6
_ONE_GROUP = Plan(part=9, first=_ROUNDS, last=_ROUNDS)
#: By how much another library must win over ONNX Runtime, which loads faster and is always there.
LIBRARY = replace(_ONE_GROUP, gain=1.05)
#: By how much what rounds must win over what rounds less.
PRECISION = replace(_ONE_GROUP, gain=1.02)
#: Of timing what each group of layers saves, all together.
_GROUPS_SECONDS = 8.0


def choose_library(
    graph: ExportedGraph,
    spec: TargetSpec,
    batch: int,
    golden_crops: Picture,
    progress: Callable[[str], None],
) -> BuildSpec:
    """Choose the CPU library that is faster here in float32: the target `cpu:fastest`.

    Args:
        graph: the float32 graph.
        spec: the target.
        batch: images a call, of which no more than 32 are timed.
        golden_crops: uint8 (K, H, W, 3) RGB, on which engines are compared with their graphs.
        progress: called with a line for each step.

    Returns:
        The float32 build in it, with a line that says why.

    Raises:
        OsnetEdgeError: the first library cannot run the graph.
    """
    backends, count = cpu_backends(spec), min(batch, LARGEST_COMPILED)
    if len(backends) == 1:
        why = f"{backends[0]}, the only one installed"
        return BuildSpec(replace(spec, backend=backends[0], fastest=False), "fp32", choice=why)
    progress(f"timing {' and '.join(BACKENDS[each].title for each in backends)}")
    candidates = [Candidate(each, "fp32") for each in backends]
    accuracy = Accuracy({(): graph}, None, TuningCache(None, None), golden_crops, spec.processor, progress)
    outcome = _time(candidates, accuracy, count, spec.processor, LIBRARY, progress)
    winner = outcome.winner.backend
    timed = {
        each.backend: outcome.times[each].milliseconds[0] for each in candidates if each in outcome.times
    }
    times = ", ".join(f"{name} {ms:.1f} ms" for name, ms in timed.items())
    reasons = (f"{each.backend} {reason}" for each, reason in outcome.dropped.items())
    why = "; ".join([f"{winner}, as a batch of {count} took {times}", *reasons])
    return BuildSpec(replace(spec, backend=winner, fastest=False), "fp32", choice=why)


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
        spec: the target.
        request: calibration set and budget.
        batch: images a call.
        golden_crops: uint8 (K, H, W, 3) RGB, on which engines are compared with their graphs.
        progress: called with a line for each step.

    Raises:
        InputError: see `decide_int8`.
    """
    backends, count = cpu_backends(spec), min(batch, LARGEST_COMPILED)

    def time_groups(quantizer: Quantizer) -> Mapping[str, float] | None:
        progress("timing what each group saves")
        return _time_groups(graph, quantizer, int8.backend, count, spec.processor)

    int8 = Candidate(int8_backend(backends), "int8")
    accuracy = Accuracy(
        {(): graph},
        request,
        TuningCache(None, None),
        golden_crops,
        spec.processor,
        progress,
        time_groups,
    )
    quantized, decision = accuracy.decide(int8), accuracy.decisions[int8]
    candidates = [
        Candidate(each, precision)
        for each in backends
        for precision in builder_of(each).precisions_here(spec.processor)
    ]
    candidates += [int8] if quantized.groups else []
    outcome = _time(candidates, accuracy, count, spec.processor, PRECISION, progress)
    winner, times = outcome.winner, _milliseconds(outcome, candidates)
    why = _why(outcome, times)
    if not quantized.groups:
        decision = without(decision, NO_GROUP)
        why = f"{why}; {NO_GROUP} in INT8: {fine_tuning(graph.info, request)}"
    elif winner != int8:
        decision = without(decision, why_dropped(str(int8), str(winner), times, outcome.dropped.get(int8)))
    return replace(accuracy.resolve(winner, ()), int8=decision, comparison=Comparison(count, times, why))


def compare_on_cpu(graph: ExportedGraph, spec: TargetSpec, quantized: Graph, batch: int) -> Comparison:
    """Time INT8 that the user named together with float32, so that a slower engine is noticed.

    Args:
        graph: the float32 graph.
        spec: the target, with one CPU library; where it is for another processor than this, nothing is timed.
        quantized: the INT8 graph.
        batch: images a call.
    """
    count = min(batch, LARGEST_COMPILED)
    if not spec.timed_here:
        here = this_processor().kind
        return Comparison(count, {}, f"int8 as asked; not timed: it is for {spec.processor}, this is {here}")
    times = _time_graphs({"fp32": graph, "int8": quantized}, graph.info, spec.backend, spec.processor, count)
    slower = times["fp32"] < PRECISION.gain * times["int8"]
    why = f"int8 as asked, {times['int8']:.1f} ms a batch; {spec.backend} fp32 {times['fp32']:.1f} ms" + (
        ": INT8 gains nothing here, and --precision auto would leave it out" if slower else ""
    )
    return Comparison(count, {f"{spec.backend} {name}": ms for name, ms in times.items()}, why)


def why_dropped(int8: str, chosen: str, times: Mapping[str, float], reason: str | None) -> str:
    """Return why INT8 was rejected, with its time and that of the choice; by default, it is not faster.

    Example:
        >>> why_dropped("openvino int8", "openvino bf16", {"openvino int8": 9.8, "openvino bf16": 9.7}, None)
        'it gains nothing; a batch took openvino int8 9.8 ms, openvino bf16 9.7 ms'
    """
    both = ", ".join(f"{name} {times[name]:.1f} ms" for name in (int8, chosen) if name in times)
    return f"it {reason or 'gains nothing'}; a batch took {both}"


def _time(
    candidates: Sequence[Candidate],
    accuracy: Accuracy,
    count: int,
    processor: str,
    plan: Plan,
    progress: Callable[[str], None],
) -> Outcome:
    named = {str(each): each for each in candidates}
    with tempfile.TemporaryDirectory() as scratch:

        def open_candidate(name: str) -> Engine:
            engine = open_on_cpu(named[name], accuracy, (count,), processor, Path(scratch))
            # One that computes something else than its graph is not timed; the package's proof holds the
            # reference.
            if named[name] != candidates[0]:
                accuracy.hold_to_graph(named[name], engine, count)
            return engine

        preprocessing = accuracy.graphs[()].info.preprocessing
        stopwatch = Stopwatch(
            open_candidate,
            lambda name: accuracy.digest(named[name]),
            str(candidates[0]),
            preprocessing,
            (count,),
            TuningCache(None, None),
            progress,
            _ROUND_SECONDS,
        )
        return next(measure(candidates, stopwatch, accuracy, plan, progress, complete=False))


def _time_groups(
    graph: ExportedGraph, quantizer: Quantizer, backend: BackendName, count: int, processor: str
) -> Mapping[str, float] | None:
    """Return the milliseconds that each group saves: the extra time if only this group is float32."""
    every = tuple(quantizer.groups)
    graphs = {name: quantizer.make([other for other in every if other != name]) for name in every}
    graphs[""] = quantizer.make(every)
    try:
        times = _time_graphs(graphs, graph.info, backend, processor, count, _GROUPS_SECONDS)
    except OsnetEdgeError:
        # Told of INT8 as a candidate, which cannot be opened either.
        return None
    return {name: times[name] - times[""] for name in every}


def _time_graphs(
    graphs: Mapping[str, Graph],
    info: GraphInfo,
    backend: BackendName,
    processor: str,
    count: int,
    seconds: float = 2.0,
) -> dict[str, float]:
    """Return the median milliseconds of a batch of graphs, by name; the one called fp32 has no Q/DQ."""
    sizes, engines = used_sizes(count, (count,)), {}
    with tempfile.TemporaryDirectory() as folder:
        for index, (name, graph) in enumerate(graphs.items()):
            path = Path(folder) / f"{index}.onnx"
            precision: Precision = "fp32" if name == "fp32" else "int8"
            onnx.save(graph.model, path)
            engines[name] = builder_of(backend).open_graph(
                path, info, precision, count, sizes, processor=processor
            )
        batch = grey_batch(info.preprocessing, count)
        return median_times({name: partial(each.infer, batch) for name, each in engines.items()}, seconds)


def _milliseconds(outcome: Outcome, candidates: Sequence[Candidate]) -> dict[str, float]:
    return {str(each): outcome.times[each].milliseconds[0] for each in candidates if each in outcome.times}


def _why(outcome: Outcome, times: Mapping[str, float]) -> str:
    """Say what was chosen, all times, and why what seemed faster was not taken."""
    winner = str(outcome.winner)
    others = ", ".join(f"{name} {ms:.1f} ms" for name, ms in times.items() if name != winner)
    reasons = (f"{each} {reason}" for each, reason in outcome.dropped.items())
    return "; ".join(filter(None, [f"{winner}, {times[winner]:.1f} ms a batch", others, *reasons]))
