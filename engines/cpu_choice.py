"""Which CPU library is faster on this machine: the target `cpu:fastest`, by a short measurement."""

from __future__ import annotations

import importlib.util

from osnet_edge.engines.backends.cpu import open_on_cpu
from osnet_edge.engines.graph.reading import ExportedGraph
from osnet_edge.engines.targets import CPU_BACKENDS, CpuBackend, TargetSpec
from osnet_edge.engines.timing import time_in_turns
from osnet_edge.runtime.backends.base import Engine
from osnet_edge.runtime.backends.openvino import LARGEST_COMPILED
from osnet_edge.runtime.processor import ANY

#: By how much OpenVINO must win: below that it is noise, and ONNX Runtime loads faster and is always there.
_MARGIN = 0.05


def cpu_backends(spec: TargetSpec) -> tuple[CpuBackend, ...]:
    """Return the CPU libraries that a target may use here, the one for INT8 last; none for one of a GPU."""
    if spec.fastest:
        return CPU_BACKENDS if importlib.util.find_spec("openvino") else ("onnxruntime",)
    return tuple(each for each in CPU_BACKENDS if each == spec.backend)


def choose_backend(
    graph: ExportedGraph, backends: tuple[CpuBackend, ...], best_batch: int, *, seconds: float = 2.0
) -> tuple[CpuBackend, str]:
    """Time a float32 graph in both libraries, in turns, and choose.

    Both get the threads that a package gets by default.

    Args:
        graph: the float32 graph.
        backends: of `cpu_backends`.
        best_batch: pictures a call, of which no more than 32 are timed.
        seconds: time for both together, after loading; each is called 3 times at least.

    Returns:
        The backend, and a line that says why, with both times.
    """
    if len(backends) == 1:
        return backends[0], f"{backends[0]}, the only one installed"
    engines: dict[str, Engine] = {
        each: open_on_cpu(graph.path, graph.info, each, "fp32", best_batch, processor=ANY)
        for each in backends
    }
    count = min(best_batch, LARGEST_COMPILED)
    medians = time_in_turns(engines, graph.info.preprocessing, count, seconds)
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
