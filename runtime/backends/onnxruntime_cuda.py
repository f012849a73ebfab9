"""ONNX Runtime's CUDA provider: an NVIDIA GPU without TensorRT."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osnet_edge.runtime.backends.base import Support
from osnet_edge.runtime.backends.onnxruntime import check_session
from osnet_edge.runtime.backends.registry import BackendName
from osnet_edge.runtime.cuda.arrays import CudaArray, borrow, is_on_gpu
from osnet_edge.runtime.cuda.bindings import open_cuda
from osnet_edge.runtime.cuda.probe import probe, require_device
from osnet_edge.runtime.errors import UnavailableError, first_line
from osnet_edge.runtime.installed import import_library
from osnet_edge.runtime.package.graph_info import INPUT_NAME, OUTPUT_NAME
from osnet_edge.runtime.package.manifest import Manifest
from osnet_edge.runtime.preprocessing import Preprocessing

PROVIDER = "CUDAExecutionProvider"
_INSTALL = "pip uninstall -y onnxruntime, then pip install 'onnxruntime-gpu[cuda,cudnn]'"
_OPTIONS = {
    "device_id": 0,
    # Without TF32: full float32 accuracy, which the golden pairs of a package need.
    "use_tf32": 0,
    # The default times every kernel again for each new batch size, and frames have many batch sizes.
    "cudnn_conv_algo_search": "HEURISTIC",
}


class OnnxRuntimeCudaEngine:
    """One ONNX Runtime session on the first GPU; calls may come from several threads.

    Nothing of the graph runs on the CPU. By default, ONNX Runtime would run there the operators that its CUDA
    provider lacks, or the whole graph if that provider does not load, and only log it.

    Args:
        model: the ONNX file, float32 or float16 inside.
        preprocessing: what the graph's input must look like.
        embedding_size: columns of its output.

    Raises:
        InputError: the graph's input or output differ from the manifest.
        UnavailableError: there is no GPU, ONNX Runtime is not installed with its CUDA provider, or that
            provider does not load or cannot run all of the graph.
    """

    def __init__(self, model: Path, preprocessing: Preprocessing, embedding_size: int) -> None:
        onnxruntime = import_with_cuda()
        device = require_device("this engine")
        if hasattr(onnxruntime, "preload_dlls"):
            # CUDA and cuDNN from NVIDIA's wheels if the system has none; it prints what is missing.
            with redirect_stdout(StringIO()):
                onnxruntime.preload_dlls()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        try:
            self._session = onnxruntime.InferenceSession(
                str(model), options, providers=[(PROVIDER, _OPTIONS)]
            )
        except Exception as error:
            # onnxruntime's exceptions have no common base class to catch.
            raise UnavailableError(_broken(onnxruntime, f"{device.name}, {first_line(error)}")) from None
        if PROVIDER not in self._session.get_providers():
            raise UnavailableError(_broken(onnxruntime, f"{device.name}, CUDA or cuDNN is not there"))
        check_session(self._session, model, preprocessing, embedding_size)
        self._preprocessing, self._lock = preprocessing, threading.Lock()
        self.description = f"ONNX Runtime {onnxruntime.__version__} on {device.name}; crops cut on the CPU"

    def infer(self, batch: object) -> NDArray[np.float32]:
        """Run (N, *input_shape), any N >= 1, to (N, D); a batch in the GPU's memory stays there."""
        binding = self._session.io_binding()
        binding.bind_output(OUTPUT_NAME)
        if not is_on_gpu(batch):
            binding.bind_cpu_input(INPUT_NAME, np.ascontiguousarray(batch))
            return self._run(binding)
        with self._lock, self._borrowed(batch) as array:
            self._preprocessing.check_batch(array.shape, array.dtype)
            binding.bind_input(INPUT_NAME, "cuda", 0, array.dtype, array.shape, array.address)
            return self._run(binding)

    def _run(self, binding: Any) -> NDArray[np.float32]:
        try:
            self._session.run_with_iobinding(binding)
            embeddings: NDArray[np.float32] = binding.copy_outputs_to_cpu()[0]
        except Exception as error:
            raise UnavailableError(f"ONNX Runtime could not run the engine: {first_line(error)}") from None
        return embeddings

    @contextmanager
    def _borrowed(self, batch: object) -> Iterator[CudaArray]:
        """Return an array in the GPU's memory after its owner, on its own stream, has written it."""
        cuda = open_cuda()
        with cuda.current():
            stream = cuda.create_stream()
            try:
                with borrow(batch, cuda, stream) as array:
                    stream.synchronize()
                    yield array
            finally:
                stream.destroy()


def load(model: Path, manifest: Manifest, threads: int | None) -> OnnxRuntimeCudaEngine:
    """Load the model file of a package, see `OnnxRuntimeCudaEngine`; threads are ignored."""
    return OnnxRuntimeCudaEngine(model, manifest.preprocessing, manifest.model.embedding_size)


def support(name: BackendName) -> Support:
    """Return what this machine can do: it can build for any GPU, and run if it has a GPU and the library."""
    cuda = probe()
    problems: tuple[str, ...] = () if cuda.available else (f"no GPU to run engines on: {cuda.reason}",)
    try:
        installed: str | None = import_with_cuda().__version__
    except UnavailableError as error:
        installed, problems = None, (str(error), *problems)
    runs = () if problems else (cuda.devices[0].name,)
    return Support(installed, ("any GPU",), runs, problems)


def import_with_cuda() -> Any:
    """Import ONNX Runtime with its CUDA provider.

    Raises:
        UnavailableError: it is not installed, or without that provider, or too old.
    """
    onnxruntime = import_library("onnxruntime", "ONNX Runtime for CUDA", _INSTALL)
    if PROVIDER not in onnxruntime.get_available_providers():
        raise UnavailableError(
            f"this engine needs ONNX Runtime's CUDA provider, and onnxruntime {onnxruntime.__version__} has "
            f"none: {_INSTALL}"
        )
    return onnxruntime


def _broken(onnxruntime: Any, why: str) -> str:
    return (
        f"ONNX Runtime {onnxruntime.__version__} cannot run this engine by its CUDA provider ({why}); "
        f"install the CUDA and cuDNN that it wants: {_INSTALL}"
    )
