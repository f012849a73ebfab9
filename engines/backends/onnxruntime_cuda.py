"""Packages for ONNX Runtime's CUDA provider: the graph as exported, or in float16."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from pathlib import Path

from osnet_edge.engines.backends.base import Builder, middle, write_graph
from osnet_edge.engines.build_spec import BuildSpec
from osnet_edge.engines.graph.reading import ExportedGraph
from osnet_edge.engines.targets import TargetSpec
from osnet_edge.runtime.cuda.probe import probe
from osnet_edge.runtime.errors import UnavailableError
from osnet_edge.runtime.installed import installed_version
from osnet_edge.runtime.package.manifest import Target


class OnnxRuntimeCudaBuilder(Builder):
    """Builds for a GPU that ONNX Runtime runs graphs on; on any machine.

    ONNX Runtime chooses kernels for the GPU at hand while it loads the graph, so one package is for all.
    """

    def build(
        self,
        graph: ExportedGraph,
        destination: Path,
        resolved: BuildSpec,
        progress: Callable[[str], None] = lambda step: None,
    ) -> Target:
        """Write the graph, see `Builder`; what of float16 stays float32 see `engines.graph.float16`."""
        write_graph(graph, destination, resolved)
        return Target(
            backend=self.backend.name,
            # Built where it may not run: the golden pairs are made by the other one.
            backend_version=installed_version(*self.backend.distributions, "onnxruntime") or "",
            device="cuda",
            machine=platform.machine(),
            compute_capabilities=(),
            exact_version=False,
        )

    def runs_here(self, spec: TargetSpec) -> bool:
        """Whether there is a GPU to time on, see `Builder`."""
        found = probe()
        if not found.available:
            raise UnavailableError(f"cuda is tuned on the GPU it is for, and {found.reason}; tune it there")
        return True

    def best_batches(self, batches: Sequence[int], *, timed: bool) -> tuple[int | None, ...]:
        """Return one size: the library is built for none."""
        return (middle(batches),)
