"""Which CPU library is faster on this machine: the target `cpu:fastest`, by a short measurement."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from pathlib import Path

from osnet_edge.engines.cpu import CpuBackend
from osnet_edge.engines.timing import time_in_turns
from osnet_edge.runtime.backends import Engine
from osnet_edge.runtime.backends.onnxruntime_cpu import OnnxRuntimeEngine
from osnet_edge.runtime.backends.openvino_cpu import LARGEST_COMPILED, OpenVinoEngine
from osnet_edge.runtime.graph_info import GraphInfo

#: By how much OpenVINO must win: below that it is noise, and ONNX Runtime loads faster and is always there.
_MARGIN = 0.05


def choose_backend(
    graph: Path,
    info: GraphInfo,
    best_batch: int,
    *,
    seconds: float = 2.0,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[CpuBackend, str]:
    """Time a float32 graph in both libraries, in turns, and choose.

    Both get the threads that a package gets by default.

    Args:
        graph: the exported ONNX file.
        info: what it says of itself.
        best_batch: pictures a call, of which no more than 32 are timed.
        seconds: time for both together, after loading; each is called 3 times at least.
        clock: seconds, never running backwards.

    Returns:
        The backend, and a line that says why, with both times.
    """
    if importlib.util.find_spec("openvino") is None:
        return "onnxruntime", "onnxruntime, the only one installed"
    size = info.model.embedding_size
    engines: dict[str, Engine] = {
        "onnxruntime": OnnxRuntimeEngine(graph, info.preprocessing, size),
        "openvino": OpenVinoEngine(graph, info.preprocessing, size, "fp32", best_batch),
    }
    count = min(best_batch, LARGEST_COMPILED)
    medians = time_in_turns(engines, info.preprocessing, count, seconds=seconds, clock=clock)
    return pick(medians["onnxruntime"], medians["openvino"], count)


def pick(onnxruntime_ms: float, openvino_ms: float, batch: int) -> tuple[CpuBackend, str]:
    """Choose by two times for a batch.

    Example:
        >>> pick(10.0, 9.8, 8)
        ('onnxruntime', 'onnxruntime, as a batch of 8 took onnxruntime 10.0 ms, openvino 9.8 ms')
    """
    backend: CpuBackend = "openvino" if openvino_ms < (1 - _MARGIN) * onnxruntime_ms else "onnxruntime"
    times = f"onnxruntime {onnxruntime_ms:.1f} ms, openvino {openvino_ms:.1f} ms"
    return backend, f"{backend}, as a batch of {batch} took {times}"
