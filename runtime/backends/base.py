"""What a backend provides: an engine, opened from its model file, and the check of its inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from osnet_edge.runtime.backends.registry import BackendName, backend_named
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.graph_info import INPUT_NAME, OUTPUT_NAME
from osnet_edge.runtime.package.manifest import Manifest
from osnet_edge.runtime.preprocessing import Preprocessing


class Engine(Protocol):
    """A loaded engine; calls may come from several threads at once."""

    def infer(self, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        """Run one batch.

        Args:
            batch: (N, *preprocessing.input_shape), contiguous, uint8 or float32 as the manifest says, with
                batch.min <= N <= batch.max.

        Returns:
            Embeddings (N, embedding_size), as the network computes them.
        """


@runtime_checkable
class DeviceEngine(Engine, Protocol):
    """An engine on a GPU that also takes arrays from the GPU's memory, and may cut crops there.

    An array in the GPU's memory is one of torch, CuPy or another library with `__dlpack__` or
    `__cuda_array_interface__`; it is contiguous, and on the first GPU.
    """

    @property
    def crops_problem(self) -> str:
        """Why the GPU cannot crop, so that the next two methods cannot be called; empty if it can."""

    def infer_boxes(
        self, frame: object, boxes: NDArray[np.integer[Any]], *, bgr: bool
    ) -> NDArray[np.float32]:
        """Crop the boxes of a frame on the GPU, and embed them.

        Args:
            frame: uint8 (H, W, 3), in the host's memory or in the GPU's.
            boxes: (N, 4) whole x1, y1, x2, y2 within the frame, each with a pixel, N > 0.
            bgr: whether the frame is blue-green-red.
        """

    def infer_crops(self, crops: Sequence[object], *, bgr: bool) -> NDArray[np.float32]:
        """Embed one or more crops that are in the GPU's memory, uint8 (H, W, 3) each."""


@dataclass(frozen=True)
class Support:
    """What this machine can do with a backend, as `osnet-edge doctor` shows it.

    Attributes:
        version: of its library; None where it is not installed.
        builds: devices that can be built for here.
        runs: devices that engines run on here.
        problems: a line for each thing that is missing.
    """

    version: str | None
    builds: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def open_engine(model: Path, manifest: Manifest, threads: int | None) -> Engine:
    """Load a model file by the backend that its manifest names.

    Args:
        model: the file, which has been verified.
        manifest: the manifest of its package.
        threads: CPU threads, for backends that run there; None chooses.

    Raises:
        UnavailableError: this machine lacks the backend's library or device.
        InputError: there is no such backend, or the file was built for another version or device.
    """
    backend = backend_named(manifest.target.backend)
    # A camera imports the one that its package asks for.
    module = import_module(f"osnet_edge.runtime.backends.{backend.module}")
    engine: Engine = module.load(model, manifest, threads)
    return engine


def find_support(name: BackendName) -> Support:
    """Return what this machine can do with a backend; fast, and never an error."""
    module = import_module(f"osnet_edge.runtime.backends.{backend_named(name).module}")
    support: Support = module.support(name)
    return support


def check_tensors(
    model: Path,
    got: list[tuple[str, str, list[int]]],
    preprocessing: Preprocessing,
    embedding_size: int,
    *,
    byte: str,
    real: str,
) -> None:
    """Compare a graph's inputs and outputs with the manifest of its package.

    Args:
        model: the graph's file, for the message.
        got: name, type and shape after the batch of each input, then of each output, as the library reports
            them.
        preprocessing: what the input must look like.
        embedding_size: columns of the output.
        byte: what the library calls uint8.
        real: what it calls float32.

    Raises:
        InputError: they differ.
    """
    kind = byte if preprocessing.normalize_in == "graph" else real
    expected = [(INPUT_NAME, kind, list(preprocessing.input_shape)), (OUTPUT_NAME, real, [embedding_size])]
    if got != expected:
        raise InputError(f"{model}: expected {expected} behind the batch, got {got}; build it again")
