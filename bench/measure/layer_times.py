"""Times of single layers, from onnxruntime's profiler or OpenVINO's counters.

Both open the model again with counting enabled, which slows it. So the times show where a call spends its
time, but their sum is more than a call without counting.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.result.measurements import Layers, LayerTime
from osnet_edge.runtime.backends.base import Engine
from osnet_edge.runtime.backends.onnxruntime import OnnxRuntimeEngine, session_options
from osnet_edge.runtime.backends.openvino import OpenVinoEngine, compile_options, open_core, read_arranged
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.package.graph_info import INPUT_NAME
from osnet_edge.runtime.precisions import Precision

Batch = npt.NDArray[np.generic]

#: Calls whose times are averaged, after one that is not counted.
_CALLS = 5


@singledispatch
def engine_layers(engine: Engine, embedder: Embedder, batch: Batch, threads: int | None) -> Layers | None:
    """Return the times of an engine's layers on one batch, or None if its backend does not report them.

    Args:
        engine: of the package, whose class says how to ask.
        embedder: the package.
        batch: (N, *preprocessing.input_shape).
        threads: as for `Embedder.load`.
    """
    return None


def onnxruntime_layers(model: Path, batch: Batch, threads: int | None = None) -> Layers:
    """Return the times of onnxruntime's nodes, after its own fusions, on one batch."""
    import onnxruntime

    options = session_options(threads)
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = f"{folder}/profile"
        session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        for _ in range(1 + _CALLS):
            session.run(None, {INPUT_NAME: batch})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    calls: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            name = event["name"].removesuffix("_kernel_time")
            calls[name, event["args"].get("op_name", "")].append(event["dur"] / 1e3)
    # The first call of each node is the warm-up's.
    means = {key: sum(times[1:]) / max(1, len(times) - 1) for key, times in calls.items()}
    return _sorted(len(batch), means)


def openvino_layers(
    model: Path,
    batch: Batch,
    precision: Precision = "fp32",
    threads: int | None = None,
    processor: str = "",
) -> Layers:
    """Return the times of OpenVINO's layers, after its own fusions, on one batch."""
    core = open_core(precision)
    graph = read_arranged(core, model)
    graph.reshape(list(batch.shape))
    options = {**compile_options(core, precision, threads, processor), "PERF_COUNT": True}
    request = core.compile_model(graph, "CPU", options).create_infer_request()
    sums: dict[tuple[str, str], float] = defaultdict(float)
    request.infer([batch])
    for _ in range(_CALLS):
        request.infer([batch])
        for layer in request.get_profiling_info():
            # Layers that were fused into others, or computed at loading, did not run.
            if "EXECUTED" in str(layer.status) and "NOT_RUN" not in str(layer.status):
                sums[layer.node_name, layer.exec_type] += layer.real_time.total_seconds() * 1e3
    return _sorted(len(batch), {key: total / _CALLS for key, total in sums.items()})


@engine_layers.register
def _(engine: OnnxRuntimeEngine, embedder: Embedder, batch: Batch, threads: int | None) -> Layers:
    return onnxruntime_layers(embedder.package / embedder.manifest.model_file, batch, threads)


@engine_layers.register
def _(engine: OpenVinoEngine, embedder: Embedder, batch: Batch, threads: int | None) -> Layers:
    model, manifest = embedder.package / embedder.manifest.model_file, embedder.manifest
    return openvino_layers(model, batch, manifest.precision, threads, manifest.target.processor)


def _sorted(batch: int, means: dict[tuple[str, str], Any]) -> Layers:
    times = [LayerTime(name, kind, ms) for (name, kind), ms in means.items()]
    return Layers(batch, tuple(sorted(times, key=lambda each: -each.ms)))
