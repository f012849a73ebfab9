"""OpenVINO on the CPU: float32, and bfloat16 where the processor computes in it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osnet_edge.runtime.backends.base import Support, check_tensors
from osnet_edge.runtime.backends.onnxruntime import checked_threads
from osnet_edge.runtime.backends.registry import BACKENDS, BackendName
from osnet_edge.runtime.errors import InputError, UnavailableError, first_line
from osnet_edge.runtime.forks import fork_waits, keep_in_children
from osnet_edge.runtime.installed import import_library
from osnet_edge.runtime.package.manifest import Manifest
from osnet_edge.runtime.precisions import Precision
from osnet_edge.runtime.preprocessing import Preprocessing
from osnet_edge.runtime.processor import BF16, this_processor

#: OpenVINO's names of the precisions that we request.
HINTS: dict[Precision, str] = {"fp32": "f32", "bf16": "bf16", "int8": "bf16"}
#: Larger batches are not faster on a CPU, and each compiled batch size takes memory.
LARGEST_COMPILED = 32
#: OpenVINO keeps its compiling threads for later use, and expects them in a forked child, which has none.
FORKED = (
    "OpenVINO was used before this process forked, and can load nothing more in the child; start workers "
    "with multiprocessing's spawn, or load no engine before the fork"
)

#: The module that OpenVINO reports its use with.
_TELEMETRY = "openvino_telemetry"

_core: Any = None
_core_process = 0
_core_lock = threading.Lock()
_import_lock = threading.Lock()


class OpenVinoEngine:
    """A graph compiled for a few batch sizes; every other batch is split into these.

    Compiled for a dynamic batch size, OpenVINO chooses slower kernels (x0_25 in float32: 1.3 times the time)
    and prepares again for each new batch size, and frames have many. So the graph is compiled for the best
    batch and its halves down to 1 (about 0.3 s each, at loading), and 13 images run as 8, 4 and 1.

    Several threads may call it; the calls take turns, and each uses all of the engine's threads. A forked
    child may call it too, but cannot load another engine.

    Args:
        model: the ONNX file.
        preprocessing: what the graph's input must look like.
        embedding_size: columns of its output.
        precision: of the arithmetic: `fp32`, `bf16`, or `int8` for a graph with Q/DQ, whose other layers are
            in bf16 if the processor supports it, and else in float32.
        best_batch: the largest size to compile for, up to 32.
        threads: threads for one call; None uses the cores that this process may use, at most four.
        sizes: batch sizes to compile for instead, in descending order, the last is 1.
        processor: the kind that the engine was built for, as in manifests. If that kind has no bf16, the
            other layers of an INT8 graph are in float32 on every processor, as they were when the loss was
            measured.

    Raises:
        InputError: the file is no ONNX graph of the expected input and output, or the precision or the number
            of threads is invalid.
        UnavailableError: OpenVINO is not installed, this CPU does not compute in the precision, or the
            process forked after using OpenVINO.
    """

    @fork_waits()
    def __init__(
        self,
        model: Path,
        preprocessing: Preprocessing,
        embedding_size: int,
        precision: Precision,
        best_batch: int,
        threads: int | None = None,
        sizes: tuple[int, ...] | None = None,
        processor: str = "",
    ) -> None:
        self._embedding_size = embedding_size
        core = open_core(precision)
        options = compile_options(core, precision, threads, processor)
        graph = _read(core, model, preprocessing, embedding_size)
        try:
            self._requests = [
                (size, _compile(core, graph, (size, *preprocessing.input_shape), options))
                for size in sizes or compiled_sizes(best_batch)
            ]
        except RuntimeError as error:
            raise InputError(f"OpenVINO cannot compile {model}: {_reason(error)}") from None
        self._lock = threading.Lock()
        # Deleting an executor waits for its threads.
        keep_in_children(self)

    @fork_waits()
    def infer(self, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        """Run (N, *input_shape), any N >= 1, to (N, D)."""
        rows, start = np.empty((len(batch), self._embedding_size), np.float32), 0
        # OpenVINO's one stream computes one request at a time anyway, so waiting here costs nothing.
        with self._lock:
            for size, request in self._requests:
                while start + size <= len(batch):
                    part = slice(start, start + size)
                    # Copied, because the result is the request's memory, which its next run overwrites.
                    rows[part] = request.infer([batch[part]], share_inputs=True, share_outputs=True)[0]
                    start += size
        return rows


def load(model: Path, manifest: Manifest, threads: int | None) -> OpenVinoEngine:
    """Load the model file of a package, see `OpenVinoEngine`."""
    return OpenVinoEngine(
        model,
        manifest.preprocessing,
        manifest.model.embedding_size,
        manifest.precision,
        manifest.batch.opt,
        threads,
        processor=manifest.target.processor,
    )


def support(name: BackendName) -> Support:
    """Return what this machine can do, and in which precisions."""
    installed = BACKENDS[name].version_here
    try:
        precisions = cpu_precisions(open_core())
    except UnavailableError as error:
        return Support(installed, problems=(str(error),))
    here = this_processor()
    needed = BACKENDS[name].int8_from.get(here.kind)
    cpu = (f"this CPU in {', '.join([*precisions, *(() if needed else ('int8',))])}",)
    lacks = [] if "bf16" in precisions else ["no bf16: OpenVINO does not compute in it on this CPU"]
    if needed:
        lacks.append(f"no INT8: OpenVINO has it from {needed} on, and this processor is {here.kind}")
    elif not here.multiplies_exactly(8):
        lacks.append(
            "no INT8 with weights of 8 bits, as is built for a processor with VNNI: this one has none; "
            "--processor any builds with 7"
        )
    return Support(installed, cpu, cpu, tuple(lacks))


def open_core(precision: Precision = "fp32") -> Any:
    """Import OpenVINO and return this process's core, after a check that the CPU computes in a precision.

    Raises:
        InputError: engines for OpenVINO do not have this precision.
        UnavailableError: OpenVINO is not installed, has no CPU device, or not in this precision, or the
            process forked after using it.
    """
    if precision not in HINTS:
        raise InputError(
            f"expected fp32, bf16 or int8 for openvino, got {precision}; fp16 is for cuda, rtx and tensorrt"
        )
    core = _process_core()
    if "CPU" not in core.available_devices:
        raise UnavailableError(
            "this OpenVINO comes without its CPU plugin: pip install --force-reinstall openvino"
        )
    if precision != "int8" and precision not in cpu_precisions(core):
        raise UnavailableError(
            f"this engine needs a CPU that computes in {precision} (on x86, one with AVX512-BF16 or AMX), "
            "and this one does not; build it with --precision fp32"
        )
    return core


def read_arranged(core: Any, model: Path) -> Any:
    """Read a graph, and rearrange it as engines run it, for faster kernels of OpenVINO."""
    graph = core.read_model(str(model))
    arrange(graph)
    return graph


def compile_options(
    core: Any, precision: Precision, threads: int | None, processor: str = ""
) -> dict[str, Any]:
    """Return the options that a graph is compiled with.

    Args:
        core: of `open_core`.
        precision: of the arithmetic.
        threads: as for `OpenVinoEngine`.
        processor: as above.

    Raises:
        InputError: the number of threads is invalid.
    """
    exact = (
        precision == "fp32"
        or "bf16" not in cpu_precisions(core)
        or (precision == "int8" and processor not in ("", BF16))
    )
    return {
        # Always set: by default, OpenVINO rounds float32 to bf16 if the processor supports it.
        "INFERENCE_PRECISION_HINT": "f32" if exact else HINTS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": checked_threads(threads),
        # With pinning, threads of two processes may share one core while another core idles.
        "ENABLE_CPU_PINNING": False,
    }


@fork_waits()
def import_openvino() -> Any:
    """Import OpenVINO without its telemetry; all of our imports of OpenVINO go through this function.

    OpenVINO reports through the module `openvino_telemetry`, and has a stand-in that reports nothing if that
    module is not installed. During this import, the module appears as not installed.

    Raises:
        UnavailableError: it is not installed, or cannot be opened.
    """
    with _import_lock:
        before = sys.modules.get(_TELEMETRY)
        # Python's own way to mark a module that cannot be imported.
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
        try:
            return import_library("openvino", "OpenVINO", "pip install openvino")
        finally:
            del sys.modules[_TELEMETRY]
            if before is not None:
                sys.modules[_TELEMETRY] = before


@fork_waits()
def _process_core() -> Any:
    """Return the one core of this process, which is made at the first call and never deleted.

    The CPU plugin gives the thread that makes a core a stack for signal handlers, and frees this stack with
    the core. If two cores are deleted in the order they were made, the thread keeps a freed stack, and the
    next Ctrl-C ends the process with a segmentation fault (seen in OpenVINO 2026.4).
    """
    global _core, _core_process
    openvino = import_openvino()
    with _core_lock:
        if _core is None:
            # By one thread: two threads that make their first tensors at the same moment deadlock (seen in
            # OpenVINO 2026.4: on a static variable of its bindings and Python's lock).
            openvino.Tensor(np.zeros(1, np.float32))
            _core = openvino.Core()
            keep_in_children(_core)
            _core_process = os.getpid()
        if _core_process != os.getpid():
            raise UnavailableError(FORKED)
        return _core


def cpu_precisions(core: Any) -> tuple[Precision, ...]:
    """Return the precisions that OpenVINO's CPU device really computes in here, not only accepts."""
    found = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    names: dict[Precision, str] = {"fp32": "FP32", "bf16": "BF16"}
    return tuple(precision for precision, name in names.items() if name in found)


def installed_precisions() -> tuple[Precision, ...]:
    """Return the precisions that packages for OpenVINO can have here; none if it is not installed."""
    try:
        return cpu_precisions(open_core())
    except UnavailableError:
        return ()


def compiled_sizes(best_batch: int) -> Iterator[int]:
    """Yield a batch size and its halves down to 1; every larger batch is split into these.

    Example:
        >>> list(compiled_sizes(12))
        [12, 6, 3, 1]
    """
    size = min(best_batch, LARGEST_COMPILED)
    while size:
        yield size
        size //= 2


def _read(core: Any, model: Path, preprocessing: Preprocessing, embedding_size: int) -> Any:
    """Read the graph, and compare its input and output with the manifest."""
    try:
        graph = read_arranged(core, model)
    except RuntimeError as error:
        raise InputError(f"OpenVINO cannot load {model}: {_reason(error)}") from None
    got = []
    for port in (*graph.inputs, *graph.outputs):
        shape = [dim.get_length() if dim.is_static else -1 for dim in port.get_partial_shape()]
        got.append((port.get_any_name(), port.get_element_type().get_type_name(), shape[1:]))
    check_tensors(model, got, preprocessing, embedding_size, byte="u8", real="f32")
    return graph


def _reason(error: RuntimeError) -> str:
    """Return the last line of OpenVINO's error: the lines before it name its own source files."""
    return first_line("\n".join(reversed(str(error).strip().splitlines())))


def _compile(core: Any, graph: Any, shape: tuple[int, ...], options: dict[str, Any]) -> Any:
    fixed = graph.clone()
    fixed.reshape(list(shape))
    return core.compile_model(fixed, "CPU", options).create_infer_request()


def arrange(graph: Any) -> None:
    """Rearrange a graph of `osnet-edge export` for speed; other graphs are not changed.

    In float32 the results are the same; bf16 rounds in other places, because other operations are fused.

    Args:
        graph: an `openvino.Model`, which is changed.
    """
    _compute_gates_once(graph)
    _subtract_mean_from_rows(graph)
    graph.validate_nodes_and_infer_types()


def _compute_gates_once(graph: Any) -> None:
    """Keep the sigmoids of channel gates out of the kernels that scale whole maps with them.

    OpenVINO fuses a sigmoid with the product after it, and then computes it again for every pixel. It does
    not fuse across a reshape, and a reshape costs nothing.
    """
    ops = import_openvino().opset13
    for node in graph.get_ordered_ops():
        if node.get_type_name() != "Sigmoid":
            continue
        shape = node.get_output_partial_shape(0)
        if len(shape) == 4 and shape[2] == shape[3] == 1:
            gates = ops.sigmoid(ops.reshape(node.input_value(0), [0, -1], special_zero=True))
            node.output(0).replace(ops.reshape(gates, [0, -1, 1, 1], special_zero=True).output(0))


def _subtract_mean_from_rows(graph: Any) -> None:
    """Move the subtraction of the mean before the transposition to channels first.

    OpenVINO computes with channels last, the order of an image. A transposition that is directly before a
    convolution only changes names; one before the subtraction is carried out, and undone again. The mean is
    repeated to a whole row of pixels, because a kernel that repeats three numbers is slow.
    """
    ops = import_openvino().opset13
    (picture,) = graph.get_parameters()
    nodes = [picture]
    for kind in ("Convert", "Transpose", "Subtract"):
        readers = list(nodes[-1].output(0).get_target_inputs())
        if len(readers) != 1 or readers[0].get_node().get_type_name() != kind:
            return
        nodes.append(readers[0].get_node())
    _, floats, transposed, centred = nodes
    mean, width = centred.input_value(1).get_node(), picture.get_partial_shape()[2]
    if mean.get_type_name() != "Constant" or mean.get_data().size != 3 or not width.is_static:
        return
    row = np.tile(mean.get_data().reshape(1, 1, 1, 3), (1, 1, width.get_length(), 1))
    rows = ops.subtract(floats, ops.constant(row))
    centred.output(0).replace(ops.transpose(rows, transposed.input_value(1)).output(0))
