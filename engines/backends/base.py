"""What building for a backend takes: one `Builder` for each, in a module of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import onnx

from osnet_edge.engines.backends.tensorrt.options import DEFAULTS, BuilderOptions
from osnet_edge.engines.build_spec import BuildSpec
from osnet_edge.engines.graph.float16 import typed_graph
from osnet_edge.engines.graph.reading import ExportedGraph, Graph
from osnet_edge.engines.quantization.rules import QdqRules
from osnet_edge.engines.targets import TargetSpec
from osnet_edge.runtime.backends.base import Engine
from osnet_edge.runtime.backends.registry import BACKENDS, Backend, BackendName
from osnet_edge.runtime.backends.tensorrt.plan_schedule import PlanSchedule
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.graph_info import GraphInfo
from osnet_edge.runtime.package.manifest import Target
from osnet_edge.runtime.precisions import Precision


class Builder:
    """Builds packages for one backend.

    Args:
        name: the backend.

    Attributes:
        backend: its row.
        rules: where its engines want Q/DQ, by the kind of processor; one of a GPU goes by none.
        model_name: of the file in a package that the backend loads.
        stands_for: compute capabilities that an estimate is made for, where a target names none.
        builds_elsewhere: whether engines can be built on another machine than they will run on.
    """

    model_name: ClassVar[str] = "model.onnx"
    rules: ClassVar[Mapping[str, QdqRules]] = {}
    stands_for: tuple[str, ...] = ()
    builds_elsewhere = True

    def __init__(self, name: BackendName) -> None:
        self.backend: Backend = BACKENDS[name]

    def build(
        self,
        graph: ExportedGraph,
        destination: Path,
        resolved: BuildSpec,
        progress: Callable[[str], None] = lambda step: None,
    ) -> Target:
        """Build the model file of a package.

        Args:
            graph: the float32 graph.
            destination: the file to write, whole or not at all.
            resolved: target, precision, batch sizes, and what makes the graph with Q/DQ.
            progress: called with a line for each step.

        Returns:
            What it was built for, as its manifest says it.

        Raises:
            InputError: the graph, the capabilities or the batch range cannot be built by this library.
            UnavailableError: the library is not installed, or it needs a device that is not here.
            OsnetEdgeError: the library failed; the message is its own.
        """
        raise NotImplementedError

    def require_here(self, spec: TargetSpec, precision: Precision) -> None:
        """Hold that engines for a target can be built on this machine, before any work is put into one.

        Raises:
            UnavailableError: the library is not installed, or it needs a device that is not here.
        """

    def runs_here(self, spec: TargetSpec) -> bool:
        """Whether engines for a target can be timed on this machine.

        Raises:
            UnavailableError: it can be tuned on its own device alone, and that is not here.
        """
        return True

    def precisions_here(self, processor: str) -> tuple[Precision, ...]:
        """Return the precisions, INT8 left out, that engines for a kind of processor have on this machine.

        Raises:
            UnavailableError: the library is not installed.
        """
        return tuple(each for each in self.backend.precisions if each != "int8")

    def rules_for(self, processor: str = "") -> QdqRules:
        """Return where an engine wants Q/DQ.

        Args:
            processor: that an engine on the CPU is for, one of `osnet_edge.runtime.processor.PROCESSORS`;
                empty for GPUs.

        Raises:
            InputError: the backend has no INT8, or none for such a processor.
        """
        if not self.rules:
            raise InputError(f"expected a backend that has INT8, got {self.backend.name}")
        if processor not in self.rules:
            known = ", ".join(filter(None, self.rules)) or "none, as for every GPU"
            raise InputError(
                f"expected for INT8 in {self.backend.title} a processor of {known}; got {processor or 'none'}"
            )
        return self.rules[processor]

    def best_batches(self, batches: Sequence[int], *, timed: bool) -> tuple[int | None, ...]:
        """Return the batch sizes worth building for, to run batches of some sizes.

        Args:
            batches: those sizes.
            timed: whether engines will be timed; a cost model does not see what this changes.
        """
        return (None,)

    def options(self, *, timed: bool) -> tuple[BuilderOptions, ...]:
        """Return the options worth trying; `timed` as for `best_batches`."""
        return (DEFAULTS,)

    def open_graph(
        self,
        graph: Path,
        info: GraphInfo,
        precision: Precision,
        best_batch: int,
        sizes: tuple[int, ...] | None = None,
        *,
        processor: str,
    ) -> Engine:
        """Open a graph as its package would be opened, without a package.

        Args:
            graph: the ONNX file, with Q/DQ for int8.
            info: what the float32 graph says of itself.
            precision: of its arithmetic.
            best_batch: that it is compiled for, where a library compiles for one.
            sizes: batch sizes to compile for, falling to 1, in place of that and its halves.
            processor: the kind that the graph was made for.

        Raises:
            InputError: the library cannot load it, or loads no graph, but what it has built.
            UnavailableError: the library is not installed, or not in this precision on this CPU.
        """
        raise InputError(f"{self.backend.title} loads what it has built, and no graph; build a package")

    def tensor_values(
        self, graph: Graph, names: list[str], processor: str, batch: npt.NDArray[np.generic]
    ) -> list[npt.NDArray[np.float32]]:
        """Return tensors of a Q/DQ graph as the library computes them for a batch.

        Raises:
            InputError: the library does not show them.
        """
        raise InputError(f"{self.backend.title} does not show what its layers compute")

    def schedule(
        self,
        graph: ExportedGraph,
        resolved: BuildSpec,
        folder: Path,
    ) -> PlanSchedule | None:
        """Return what a plan launches, read off one that is built into a folder; None where none can be."""
        return None


def write_graph(graph: ExportedGraph, destination: Path, resolved: BuildSpec) -> None:
    """Write a package's graph: as exported, in float16, or with Q/DQ in it.

    The library optimises it for the device at hand while it loads, so that one package runs on x86 and ARM,
    or on any GPU, and on a newer library too.
    """
    if resolved.quantized:
        onnx.save(resolved.quantized.make().model, destination)
        return
    typed = typed_graph(graph, resolved.precision)
    if typed is graph:
        shutil.copyfile(graph.path, destination)
    else:
        onnx.save(typed.model, destination)


def best_sizes(batches: Sequence[int]) -> tuple[int, ...]:
    """Return the batch sizes worth building for: all above 1, or 1 where there is no other."""
    return tuple(sorted({size for size in batches if size > 1})) or (1,)


def middle(batches: Sequence[int]) -> int:
    """Return the median of some batch sizes, the upper one of two.

    Example:
        >>> middle([1, 8, 32])
        8
    """
    return sorted(batches)[len(batches) // 2]
