"""Packages for TensorRT and TensorRT-RTX: a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from osnet_edge.engines.backends.base import Builder, best_sizes, middle
from osnet_edge.engines.backends.tensorrt.options import BuilderOptions
from osnet_edge.engines.backends.tensorrt.plan import build_plan, require_plan
from osnet_edge.engines.build_spec import BuildSpec
from osnet_edge.engines.graph.reading import ExportedGraph
from osnet_edge.engines.quantization.rules import TENSORRT, QdqRules
from osnet_edge.engines.targets import TargetSpec
from osnet_edge.runtime.backends.tensorrt.library import load_library
from osnet_edge.runtime.backends.tensorrt.plan_file import TensorRTName
from osnet_edge.runtime.backends.tensorrt.plan_schedule import PlanSchedule, read_plan_schedule
from osnet_edge.runtime.cuda.probe import probe
from osnet_edge.runtime.errors import UnavailableError
from osnet_edge.runtime.package.manifest import Target
from osnet_edge.runtime.precisions import Precision


class TensorRTBuilder(Builder):
    """Builds plans by one of the two libraries.

    Args:
        name: which one.
        builds_elsewhere: whether it builds for named GPUs without one.
        stands_for: see `Builder`: a desktop's GPU, or a Jetson's.
        levels: optimisation levels worth trying.
    """

    model_name: ClassVar[str] = "model.plan"
    rules: ClassVar[Mapping[str, QdqRules]] = {"": TENSORRT}

    def __init__(
        self,
        name: TensorRTName,
        *,
        builds_elsewhere: bool,
        stands_for: str,
        levels: tuple[int | None, ...] = (None,),
    ) -> None:
        super().__init__(name)
        self._library: TensorRTName = name
        self.builds_elsewhere, self.stands_for, self._levels = builds_elsewhere, (stands_for,), levels

    def build(
        self,
        graph: ExportedGraph,
        destination: Path,
        resolved: BuildSpec,
        progress: Callable[[str], None] = lambda step: None,
    ) -> Target:
        """Build the plan, see `Builder`."""
        return build_plan(
            graph,
            destination,
            library=self._library,
            capabilities=resolved.spec.capabilities,
            precision=resolved.precision,
            quantized=resolved.quantized,
            batch=resolved.batch,
            options=resolved.options,
            progress=progress,
        )

    def require_here(self, spec: TargetSpec, precision: Precision) -> None:
        """Ask for the library, and for a GPU where it builds on the device alone, see `Builder`."""
        require_plan(self._library, spec.capabilities)

    def runs_here(self, spec: TargetSpec) -> bool:
        """Whether there is a GPU of the target's, and the library, see `Builder`."""
        found = probe()
        if not found.available:
            if "current" in spec.capabilities:
                raise UnavailableError(
                    f"rtx:current is for the GPU that is here, and {found.reason}; name one"
                )
            return False
        here = found.devices[0].compute_capability
        if spec.capabilities and not {here, "current"} & set(spec.capabilities):
            return False
        try:
            load_library(self._library)
        except UnavailableError:
            return False
        return True

    def best_batches(self, batches: Sequence[int], *, timed: bool) -> tuple[int | None, ...]:
        """Return sizes that a plan can be tuned for; a cost model sees no difference between them."""
        return best_sizes(batches) if timed else (middle(batches),)

    def options(self, *, timed: bool) -> tuple[BuilderOptions, ...]:
        """Return optimisation levels, where they can be timed, with streams beside the first and without."""
        levels = self._levels if timed else (None,)
        return tuple(BuilderOptions(level, streams) for level in levels for streams in (None, 0))

    def schedule(
        self,
        graph: ExportedGraph,
        resolved: BuildSpec,
        folder: Path,
    ) -> PlanSchedule | None:
        """Return what a plan will launch, where one can be built on this machine, see `Builder`."""
        if not self.builds_elsewhere:
            return None
        plan = folder / self.model_name
        self.build(graph, plan, resolved)
        return read_plan_schedule(plan)
