"""TensorRT-RTX's compiled kernels, kept between processes: it compiles a plan for the GPU when it loads it.

If TensorRT-RTX has its own CUDA graphs, they are requested too: it knows when the kernels of a shape are
final.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osnet_edge.runtime.backends.tensorrt.library import Library, log
from osnet_edge.runtime.cuda.probe import CudaDevice
from osnet_edge.runtime.errors import OsnetEdgeError
from osnet_edge.runtime.files import MANIFEST_NAME, write_aside

if TYPE_CHECKING:
    import tensorrt


class RuntimeCache:
    """One engine's runtime configuration, which its execution contexts share.

    Args:
        engine: TensorRT-RTX's engine.
        library: TensorRT-RTX.
        path: see `cache_path`.
        cuda_graphs: whether TensorRT-RTX's own CUDA graphs are asked for.
    """

    def __init__(self, engine: Any, library: Library, path: Path, cuda_graphs: bool = True) -> None:
        self._engine, self._path = engine, path
        self._config = engine.create_runtime_config()
        self._cache = self._config.create_runtime_cache()
        self.has_graphs = cuda_graphs and hasattr(self._config, "cuda_graph_strategy")
        #: How batches are launched, in words.
        self.graphs = "no CUDA graphs: none were asked for, or this TensorRT-RTX has none of its own"
        if self.has_graphs:
            self._config.cuda_graph_strategy = library.trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
            self.graphs = "TensorRT-RTX's own CUDA graphs"
        self._saved = b""
        try:
            blob = path.read_bytes()
        except OSError:
            blob = b""
        # It checks version, driver and GPU, and refuses a file of others.
        if blob and self._cache.deserialize(blob):
            self._saved = hashlib.sha256(blob).digest()
        elif blob:
            log.warning("%s is not for this machine and library; kernels are compiled again", path)
        self._config.set_runtime_cache(self._cache)

    def create_context(self) -> tensorrt.IExecutionContext | None:
        """Create an execution context; None if TensorRT-RTX fails, which is what it returns itself."""
        context: tensorrt.IExecutionContext | None = self._engine.create_execution_context(self._config)
        return context

    def save(self) -> None:
        """Write the cache, if anything was compiled since it was read; a failure is only logged."""
        try:
            memory = self._cache.serialize()
            blob = bytes(memory) if memory is not None else b""
            digest = hashlib.sha256(blob).digest()
            if blob and digest != self._saved:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with write_aside(self._path) as partial:
                    partial.write_bytes(blob)
                self._saved = digest
        except (OSError, OsnetEdgeError) as error:
            log.warning("the compiled kernels could not be kept: %s", error)


def cache_path(package: Path, plan_sha256: str, library: Library, device: CudaDevice) -> Path:
    """Return where a package's kernels are kept: beside it, or if that is read-only, in the user's cache.

    Args:
        package: the package's folder.
        plan_sha256: of its plan.
        library: TensorRT-RTX; another version has another file.
        device: the GPU; another GPU has another file.
    """
    gpu = re.sub(r"\W+", "-", device.name).strip("-")
    name = f"{package.resolve().name}.{plan_sha256[:12]}.{library.version}.{gpu}.kernels"
    beside = package.resolve().parent
    if os.access(beside, os.W_OK) and not (beside / MANIFEST_NAME).exists():
        return beside / name
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "osnet-edge" / name
