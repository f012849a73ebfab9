"""LiteRT on the CPU, with the kernels of XNNPACK: for ARM cameras, and to prove files that are for an NPU."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osnet_edge.runtime.backends.base import Support, check_tensors
from osnet_edge.runtime.backends.onnxruntime import checked_threads
from osnet_edge.runtime.backends.registry import BACKENDS, BackendName
from osnet_edge.runtime.errors import InputError, first_line
from osnet_edge.runtime.forks import fork_waits, keep_in_children
from osnet_edge.runtime.installed import import_library
from osnet_edge.runtime.package.manifest import Manifest
from osnet_edge.runtime.preprocessing import Preprocessing

#: An image alone takes as long as one of many; four together keep several threads busy (docs/RESULTS.md).
SIZES = (4, 1)

_quietened = threading.Event()


class LiteRTEngine:
    """A `.tflite` file, opened for batches of four and of one; every other batch is split into these.

    Both have the file's weights of their own, which costs less than to resize between calls.

    Several threads may call it; the calls take turns, and each uses all of the engine's threads.

    Args:
        model: the `.tflite` file.
        preprocessing: what its input must look like.
        embedding_size: columns of its output.
        threads: threads for one call; None uses the cores that this process may use, at most four.

    Raises:
        InputError: the file is no LiteRT model of the expected input and output, or the number of threads is
            invalid.
        UnavailableError: LiteRT is not installed, or cannot be opened.
    """

    @fork_waits()
    def __init__(
        self, model: Path, preprocessing: Preprocessing, embedding_size: int, threads: int | None = None
    ) -> None:
        self._model, self._preprocessing = model, preprocessing
        self._embedding_size, self._threads = embedding_size, checked_threads(threads)
        # Read once: a forked child opens it again, and by then the file may be another.
        self._content = model.read_bytes()
        self._lock = threading.Lock()
        self._open()

    def _open(self) -> None:
        self._process = os.getpid()
        try:
            self._interpreters = [
                (size, open_interpreter(self._content, size, self._threads)) for size in SIZES
            ]
        except (IndexError, RuntimeError, ValueError) as error:
            raise InputError(f"LiteRT cannot load {self._model}: {first_line(error)}") from None
        for _, each in self._interpreters:
            # Deleting one joins its threads.
            keep_in_children(each)
        _, one = self._interpreters[-1]
        tensors = [*one.get_input_details(), *one.get_output_details()]
        got = [(each["name"], each["dtype"].__name__, each["shape"][1:].tolist()) for each in tensors]
        check_tensors(
            self._model, got, self._preprocessing, self._embedding_size, byte="uint8", real="float32"
        )

    @fork_waits()
    def infer(self, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        """Run (N, *input_shape), any N >= 1, to (N, D)."""
        rows, start = np.empty((len(batch), self._embedding_size), np.float32), 0
        with self._lock:
            if self._process != os.getpid():
                # A forked child has none of the threads that a call waits for.
                self._open()
            for size, interpreter in self._interpreters:
                (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
                while start + size <= len(batch):
                    part = slice(start, start + size)
                    interpreter.set_tensor(entry["index"], batch[part])
                    interpreter.invoke()
                    rows[part] = interpreter.get_tensor(result["index"])
                    start += size
        return rows


def open_interpreter(content: bytes, size: int, threads: int | None = None) -> Any:
    """Return an interpreter of a `.tflite` file, ready for batches of a size.

    Raises:
        ValueError, RuntimeError: the library's, of which the first line says what is wrong.
        InputError: the number of threads is invalid.
        UnavailableError: LiteRT is not installed, or cannot be opened.
    """
    library = import_litert()
    with _quiet():
        made = library.Interpreter(model_content=content, num_threads=checked_threads(threads))
        entry = made.get_input_details()[0]
        made.resize_tensor_input(entry["index"], [size, *entry["shape"][1:]])
        made.allocate_tensors()
    return made


def import_litert() -> Any:
    """Import the library.

    Raises:
        UnavailableError: it is not installed, or cannot be opened.
    """
    return import_library("ai_edge_litert.interpreter", "LiteRT", "pip install 'osnet-edge[litert]'")


def load(model: Path, manifest: Manifest, threads: int | None) -> LiteRTEngine:
    """Load the model file of a package, see `LiteRTEngine`."""
    return LiteRTEngine(model, manifest.preprocessing, manifest.model.embedding_size, threads)


def support(name: BackendName) -> Support:
    """Return what this machine can do: every CPU that has the library can run it."""
    if find_spec("ai_edge_litert") is None:
        return Support(None, problems=("LiteRT is not installed: pip install 'osnet-edge[litert]'",))
    return Support(BACKENDS[name].version_here or "installed", ("this CPU",), ("this CPU",))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep from the terminal what LiteRT says once a process: that XNNPACK is used."""
    if _quietened.is_set():
        yield
        return
    _quietened.set()
    try:
        before = os.dup(2)
    except OSError:
        # A service may have closed it.
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)
