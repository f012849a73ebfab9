"""A candidate to an engine that can be timed, as its package would open it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx

from osnet_edge.engines.backends.cpu import open_on_cpu
from osnet_edge.engines.build import build_package
from osnet_edge.engines.targets import TARGET_NAMES
from osnet_edge.engines.tuning.accuracy import Accuracy
from osnet_edge.engines.tuning.candidate import Candidate
from osnet_edge.engines.tuning.request import TuneRequest
from osnet_edge.runtime.backends.base import Engine
from osnet_edge.runtime.backends.openvino import compiled_sizes
from osnet_edge.runtime.backends.registry import open_engine
from osnet_edge.runtime.package.manifest import read_manifest


class EngineOpener:
    """Opens candidates in a scratch folder.

    Args:
        request: what is tuned, and for which batch sizes.
        accuracy: has the graphs, those in INT8 too.
        scratch: a folder of its own.
    """

    def __init__(self, request: TuneRequest, accuracy: Accuracy, scratch: Path) -> None:
        self._request, self._accuracy, self._scratch = request, accuracy, scratch
        self._packages: dict[str, Path] = {}

    def __call__(self, candidate: Candidate) -> Engine:
        """Open a candidate.

        Raises:
            OsnetEdgeError: it cannot be built or run here.
        """
        if candidate.backend != "onnxruntime" and candidate.backend != "openvino":
            return self._open_package(candidate)
        graph = self._accuracy.graphs[candidate.rewrite]
        path = graph.path
        if candidate.precision == "int8":
            path = self._scratch / "int8.onnx"
            onnx.save(self._accuracy.model(candidate), path)
        best = candidate.best or 1
        sizes = used_sizes(best, self._request.batches)
        processor = self._request.spec.processor
        return open_on_cpu(
            path, graph.info, candidate.backend, candidate.precision, best, sizes, processor=processor
        )

    def _open_package(self, candidate: Candidate) -> Engine:
        # One that was let go of is opened again as it was built, but for INT8 that was decided on since.
        content = str(self._accuracy.digest(candidate))
        package = self._packages.setdefault(content, self._scratch / f"{len(self._packages)}")
        if not package.exists():
            build_package(
                self._accuracy.graphs[candidate.rewrite].path,
                package,
                target=TARGET_NAMES[candidate.backend],
                golden_crops=self._request.golden_crops,
                batch=candidate.batch_range(self._request.batches),
                settled=self._accuracy.settle(candidate, self._request.spec.capabilities),
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
