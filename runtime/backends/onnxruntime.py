"""ONNX Runtime on the CPU: the embedded default."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osnet_edge.runtime.backends.base import Support, check_tensors
from osnet_edge.runtime.backends.registry import BACKENDS, BackendName
from osnet_edge.runtime.errors import InputError, first_line
from osnet_edge.runtime.forks import fork_waits, keep_in_children
from osnet_edge.runtime.installed import import_library
from osnet_edge.runtime.package.graph_info import INPUT_NAME, OUTPUT_NAME
from osnet_edge.runtime.package.manifest import Manifest
from osnet_edge.runtime.preprocessing import Preprocessing

#: OSNet's tensors are small: with more than four threads, waiting costs more time than the threads save.
MOST_THREADS = 4
#: More than any user's machine has; thousands of threads would block this one.
_THREAD_LIMIT = 512


class OnnxRuntimeEngine:
    """One ONNX Runtime session; its `run` may be called from several threads, and in a forked child.

    Args:
        model: the ONNX file.
        preprocessing: what the graph's input must look like.
        embedding_size: columns of its output.
        threads: threads for one call; None uses the cores that this process may use, at most four.

    Raises:
        InputError: the file is no ONNX graph of the expected input and output, or the number of threads is
                invalid.
        UnavailableError: ONNX Runtime is not installed, or cannot be opened.
    """

    @fork_waits()
    def __init__(
        self, model: Path, preprocessing: Preprocessing, embedding_size: int, threads: int | None = None
    ) -> None:
        # Imported here so that `import osnet_edge.runtime` stays quick, and works without this backend.
        onnxruntime = import_library("onnxruntime", "ONNX Runtime", "pip install onnxruntime")
        options = session_options(threads)
        try:
            self._session = onnxruntime.InferenceSession(
                str(model), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            # onnxruntime's exceptions have no common base class to catch.
            raise InputError(f"ONNX Runtime cannot load {model}: {first_line(error)}") from None
        check_session(self._session, model, preprocessing, embedding_size)
        # Deleting a session joins its threads.
        keep_in_children(self)

    @fork_waits()
    def infer(self, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        """Run (N, *input_shape), any N >= 1, to (N, D)."""
        embeddings: NDArray[np.float32] = self._session.run([OUTPUT_NAME], {INPUT_NAME: batch})[0]
        return embeddings


def load(model: Path, manifest: Manifest, threads: int | None) -> OnnxRuntimeEngine:
    """Load the model file of a package, see `OnnxRuntimeEngine`."""
    return OnnxRuntimeEngine(model, manifest.preprocessing, manifest.model.embedding_size, threads)


def support(name: BackendName) -> Support:
    """Return what this machine can do: every CPU can run it."""
    if find_spec("onnxruntime") is None:
        return Support(None)
    # A vendor's build may have another distribution name.
    version = BACKENDS[name].version_here or "installed"
    return Support(version, ("this CPU",), ("this CPU",))


def session_options(threads: int | None = None) -> Any:
    """Return the options that a graph is opened with, as an `onnxruntime.SessionOptions`.

    Args:
        threads: as for `OnnxRuntimeEngine`.

    Raises:
        InputError: no such number of threads.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = checked_threads(threads)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Without VNNI, 8-bit weights are multiplied as u8 by u8, which is slower, but does not saturate at 16
    # bits (see `osnet_edge.runtime.processor`). With VNNI, on ARM, and for 7-bit weights this changes
    # nothing.
    options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def check_session(session: Any, model: Path, preprocessing: Preprocessing, embedding_size: int) -> None:
    """Compare a session's input and output with the manifest of its package.

    Raises:
        InputError: they differ.
    """
    tensors = [*session.get_inputs(), *session.get_outputs()]
    got = [(tensor.name, tensor.type, tensor.shape[1:]) for tensor in tensors]
    check_tensors(model, got, preprocessing, embedding_size, byte="tensor(uint8)", real="tensor(float)")


def checked_threads(threads: object) -> int:
    """Return the requested number of threads, or the default if it is None.

    Raises:
        InputError: it is not a number of threads.
    """
    if threads is None:
        return default_threads()
    # NumPy's integers are accepted. True is an int too, but a mistake here.
    if (
        not isinstance(threads, int | np.integer)
        or isinstance(threads, bool)
        or not 1 <= threads <= _THREAD_LIMIT
    ):
        raise InputError(f"expected 1 to {_THREAD_LIMIT} threads, got {threads!r}")
    return int(threads)


def default_threads() -> int:
    """Return how many cores this process may use (its affinity, as a container sets it), at most four."""
    return min(allowed_cores(), MOST_THREADS)


def allowed_cores() -> int:
    """Return how many cores this process may use: a container or taskset may allow fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
