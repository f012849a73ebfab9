"""TensorRT and TensorRT-RTX as one library: imported when first asked for, logging to Python's `logging`.

The two have the same Python API under two names. Features that some versions lack are detected with `hasattr`
where they are used, never by comparing versions.
"""

from __future__ import annotations

import importlib
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

from osnet_edge.runtime.backends.registry import BACKENDS
from osnet_edge.runtime.backends.tensorrt.plan_file import TensorRTName
from osnet_edge.runtime.errors import UnavailableError

#: All messages of TensorRT go here; errors that end a job are in the exception's message too.
log = logging.getLogger("osnet_edge.tensorrt")
# Without this, Python would print TensorRT's errors besides the one line that the user gets.
log.addHandler(logging.NullHandler())

INSTALL: dict[str, str] = {
    "tensorrt": "on a Jetson it comes with JetPack (make the environment with --system-site-packages), "
    "elsewhere install it with: pip install 'osnet-edge[tensorrt]'",
    "tensorrt_rtx": "install it with: pip install 'osnet-edge[rtx]'",
}

_LEVELS = {
    "INTERNAL_ERROR": logging.ERROR,
    "ERROR": logging.ERROR,
    "WARNING": logging.WARNING,
    "INFO": logging.INFO,
    "VERBOSE": logging.DEBUG,
}


class ErrorCollector:
    """TensorRT's error messages, collected for listeners, because its functions only return None or False."""

    def __init__(self) -> None:
        self._listeners: list[list[str]] = []
        self._lock = threading.Lock()

    def record(self, severity: str, message: str) -> None:
        """Log a message, and pass an error to every listener; TensorRT calls this from its own threads."""
        level = _LEVELS.get(severity, logging.INFO)
        line = " ".join(message.split())
        log.log(level, "%s", line)
        if level >= logging.ERROR:
            with self._lock:
                for listener in self._listeners:
                    listener.append(line)

    @contextmanager
    def listen(self) -> Iterator[list[str]]:
        """Yield a list that receives the errors of the block."""
        lines: list[str] = []
        with self._lock:
            self._listeners.append(lines)
        try:
            yield lines
        finally:
            with self._lock:
                self._listeners = [listener for listener in self._listeners if listener is not lines]


@dataclass(frozen=True)
class Library:
    """One of the two libraries, imported.

    Attributes:
        name: which one.
        version: as the module reports it: all four numbers of a plan's header, or the first three.
        trt: the module.
        logger: the only ILogger of this library; TensorRT keeps the first one that it gets.
        errors: the errors that the logger collects.
    """

    name: TensorRTName
    version: str
    trt: Any
    logger: Any
    errors: ErrorCollector

    def __str__(self) -> str:
        """Return the text for messages."""
        return f"{BACKENDS[self.name].title} {self.version}"

    def create(self, kind: Literal["Runtime", "Builder"]) -> Any:
        """Make a runtime or a builder, which all other objects come from.

        Raises:
            UnavailableError: the library cannot work here, because of the driver for example.
        """
        with self.errors.listen() as errors:
            try:
                return getattr(self.trt, kind)(self.logger)
            except TypeError:
                # The bindings raise this if the library returned nothing.
                raise UnavailableError(f"{self} could not start: {first_line(errors)}") from None

    @property
    def known_capabilities(self) -> tuple[str, ...]:
        """The compute capabilities that it builds for without a GPU, in its order."""
        members = getattr(getattr(self.trt, "ComputeCapability", None), "__members__", {})
        numbers = sorted(int(name[2:]) for name in members if re.fullmatch("SM[0-9]+", name))
        return tuple(f"{number // 10}.{number % 10}" for number in numbers)

    def load_plugins(self) -> None:
        """Register the plugins; up to TensorRT 9, instance norm is a plugin, for building and for loading."""
        if hasattr(self.trt, "init_libnvinfer_plugins"):
            self.trt.init_libnvinfer_plugins(self.logger, "")


_loaded: dict[str, Library] = {}
_loading = threading.Lock()


def load_library(name: TensorRTName) -> Library:
    """Import TensorRT or TensorRT-RTX; neither needs a GPU for that.

    Raises:
        UnavailableError: it is not installed, or cannot be loaded.
    """
    with _loading:
        if name not in _loaded:
            _loaded[name] = _load(name)
        return _loaded[name]


def first_line(errors: list[str]) -> str:
    """Return the first error: TensorRT reports the cause first, then its consequences."""
    return errors[0] if errors else "it gave no reason"


def same_version(left: str, right: str) -> bool:
    """Return whether two versions agree in all numbers that both have; modules often omit the fourth."""
    numbers = [list(takewhile(str.isdigit, version.split("."))) for version in (left, right)]
    return all(a == b for a, b in zip(*numbers, strict=False))


def _load(name: TensorRTName) -> Library:
    try:
        trt = importlib.import_module(name)
        version = str(trt.__version__)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise UnavailableError(_broken(name, error)) from None
        raise UnavailableError(f"{BACKENDS[name].title} is not installed; {INSTALL[name]}") from None
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        # Bindings that do not find their shared libraries fail in any of these ways.
        raise UnavailableError(_broken(name, error)) from None
    errors = ErrorCollector()
    return Library(name, version, trt, _make_logger(trt, errors), errors)


def _broken(name: TensorRTName, error: Exception) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    return f"{BACKENDS[name].title} is installed and cannot be loaded ({said}); {INSTALL[name]}"


def _make_logger(trt: Any, errors: ErrorCollector) -> Any:
    class Bridge(trt.ILogger):  # type: ignore[misc]
        """TensorRT's logger, which passes messages to Python's."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            errors.record(severity.name, message)

    return Bridge()
