"""The graph as most people export it, in the runtimes as most people call them.

What that is: `torch.onnx.export` of the network, float input (N, 3, H, W), normalisation in NumPy, a session
with default options but for the number of threads.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from osnet_edge.bench.measure.runners import BareRunner, Batch, RunnerFacts, open_by_hand
from osnet_edge.bench.metrics.distances import FloatArray
from osnet_edge.bench.result.machine import version_of
from osnet_edge.runtime.backends.openvino import open_core
from osnet_edge.runtime.preprocessing import Preprocessing


def load_onnxruntime(graph: str, variant: str, preprocessing: Preprocessing, threads: int) -> BareRunner:
    """Open the graph in ONNX Runtime."""
    _, infer, seconds = open_by_hand(graph, threads)
    return BareRunner(_facts(graph, variant, "onnxruntime", seconds), infer, preprocessing)


def load_openvino(graph: str, variant: str, preprocessing: Preprocessing, threads: int) -> BareRunner:
    """Compile the graph with OpenVINO for its latency, with a free batch size, in float32.

    Raises:
        UnavailableError: OpenVINO is not installed.
    """
    core = open_core()
    started = time.perf_counter()
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = core.compile_model(core.read_model(graph), "CPU", options)
    seconds = time.perf_counter() - started

    own = threading.local()

    def infer(batch: Batch) -> FloatArray:
        # A request runs one batch at a time: several callers have one each.
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        rows: FloatArray = own.request.infer([batch])[0]
        return rows

    return BareRunner(_facts(graph, variant, "openvino", seconds), infer, preprocessing)


def _facts(graph: str, variant: str, library: str, seconds: float) -> RunnerFacts:
    return RunnerFacts(
        variant=variant,
        precision="fp32",
        target=f"{library}, usual export",
        size_bytes=Path(graph).stat().st_size,
        package_bytes=None,
        load_seconds=seconds,
        versions={library: version_of(library)},
    )
