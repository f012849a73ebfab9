"""A candidate to an engine that can be timed, as its package would open it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import onnx
from onnx import ModelProto

from osnet_edge.engines.build import build_package
from osnet_edge.engines.precision import Settled
from osnet_edge.engines.targets import TARGET_NAMES, TargetSpec
from osnet_edge.engines.tuning.candidate import Candidate
from osnet_edge.runtime.backends import Engine, open_engine
from osnet_edge.runtime.backends.onnxruntime_cpu import OnnxRuntimeEngine
from osnet_edge.runtime.backends.openvino_cpu import OpenVinoEngine, compiled_sizes
from osnet_edge.runtime.graph_info import GraphInfo
from osnet_edge.runtime.manifest import read_manifest
from osnet_edge.runtime.preprocessing import Picture

#: Makes a candidate's INT8 graph, float16 around its Q/DQ or not.
Quantize = Callable[[Candidate, bool], ModelProto]


class EngineOpener:
    """Opens candidates in a scratch folder.

    Args:
        graphs: float32 graphs' files by their rewrite.
        info: what they say of themselves, but for the rewrite.
        batches: that will be run.
        capabilities: of the GPU that plans are for; empty on CPUs.
        golden_crops: that plans are proven with.
        quantize: for INT8.
        scratch: a folder of its own.
    """

    def __init__(
        self,
        graphs: Mapping[tuple[str, ...], Path],
        info: GraphInfo,
        batches: Sequence[int],
        capabilities: tuple[str, ...],
        golden_crops: Picture,
        quantize: Quantize,
        scratch: Path,
    ) -> None:
        self._graphs, self._info, self._batches = graphs, info, batches
        self._capabilities, self._crops = capabilities, golden_crops
        self._quantize, self._scratch = quantize, scratch

    def __call__(self, candidate: Candidate) -> Engine:
        """Open a candidate.

        Raises:
            OsnetEdgeError: it cannot be built or run here.
        """
        graph, how = self._graphs[candidate.rewrite], self._info.preprocessing
        size = self._info.model.embedding_size
        if candidate.backend not in ("onnxruntime", "openvino"):
            return self._open_plan(candidate)
        if candidate.precision == "int8":
            graph = self._scratch / "int8.onnx"
            onnx.save(self._quantize(candidate, False), graph)
        if candidate.backend == "onnxruntime":
            return OnnxRuntimeEngine(graph, how, size)
        best = cast(int, candidate.best)
        sizes = used_sizes(best, self._batches)
        return OpenVinoEngine(graph, how, size, candidate.precision, best, sizes=sizes)

    def _open_plan(self, candidate: Candidate) -> Engine:
        package = self._scratch / str(candidate).replace(" ", "-").replace("=", "-").replace(",", "-")
        if not package.exists():
            spec = TargetSpec(candidate.backend, self._capabilities)
            build_package(
                self._graphs[candidate.rewrite],
                package,
                target=TARGET_NAMES[candidate.backend],
                golden_crops=self._crops,
                batch=candidate.batch_range(self._batches),
                settled=Settled(spec, candidate.precision, lambda half: self._quantize(candidate, half)),
                options=candidate.options,
            )
        return open_engine(package, read_manifest(package), None)


def used_sizes(best: int, batches: Sequence[int]) -> tuple[int, ...]:
    """Return the batch sizes that an OpenVINO engine compiled for `best` runs these batches in, falling to 1.

    Example:
        >>> used_sizes(32, [1, 9])
        (8, 1)
    """
    used = {1}
    for batch in batches:
        left = batch
        for size in compiled_sizes(best):
            if left >= size:
                used.add(size)
                left %= size
    return tuple(sorted(used, reverse=True))
