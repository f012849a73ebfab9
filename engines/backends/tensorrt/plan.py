"""ONNX to a TensorRT or TensorRT-RTX plan: the same steps, for named GPUs or for the one that is here.

TensorRT-RTX compiles for named GPUs without one (its `ComputeCapability`); TensorRT measures kernels on the
GPU that the engine is for, so it builds there and nowhere else.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path

from osnet_edge.engines.backends.tensorrt.capabilities import resolve_capabilities, set_capabilities
from osnet_edge.engines.backends.tensorrt.network import configure, is_strongly_typed, make_network
from osnet_edge.engines.backends.tensorrt.options import DEFAULTS, BuilderOptions, set_options
from osnet_edge.engines.graph.reading import Graph
from osnet_edge.engines.quantization.quantizer import Quantized
from osnet_edge.runtime.backends.tensorrt.library import Library, first_line, load_library
from osnet_edge.runtime.backends.tensorrt.plan_file import TensorRTName, read_plan_header
from osnet_edge.runtime.errors import InputError, OsnetEdgeError, UnavailableError
from osnet_edge.runtime.files import write_aside
from osnet_edge.runtime.package.manifest import BatchRange, Target
from osnet_edge.runtime.precisions import Precision

#: What to do on a machine where the library for the target is missing.
_INSTEAD = (
    "or build for another target (rtx needs no GPU to build, cpu needs neither), or on the device itself"
)


def build_plan(
    graph: Graph,
    destination: Path,
    *,
    library: TensorRTName,
    capabilities: tuple[str, ...],
    precision: Precision,
    batch: BatchRange,
    quantized: Quantized | None = None,
    workspace_bytes: int = 1 << 30,
    options: BuilderOptions = DEFAULTS,
    progress: Callable[[str], None] | None = None,
) -> Target:
    """Build a plan and write it, whole or not at all.

    Args:
        graph: the float32 graph, as `osnet_edge.engines.graph.reading` reads it: `images` (N, ...) to
            `embeddings` (N, D).
        destination: the file to write.
        library: which of the two builds it, and later runs it.
        capabilities: compute capabilities such as `8.6`, or `current` for the GPU that is here; none means
            the library's default: many GPUs for TensorRT-RTX, the one that is here for TensorRT.
        precision: fp32, without TensorFloat-32, fp16, or int8 with float16 around; what of that stays float32
            see `osnet_edge.engines.graph.float16`.
        quantized: for int8, its groups chosen.
        batch: sizes that the plan must take; it is tuned for `opt`.
        workspace_bytes: most GPU memory that a layer may use for scratch.
        options: of the builder.
        progress: called with a line for each step.

    Returns:
        What the plan is for, as its manifest says it.

    Raises:
        InputError: the graph, the capabilities or the batch range cannot be built by this library.
        UnavailableError: the library is not installed, or it needs a GPU that is not here.
        OsnetEdgeError: TensorRT failed; the message is its own.
    """
    say = progress or (lambda _: None)
    if batch.max is None:
        raise InputError("a TensorRT engine needs a largest batch; give one, such as 32")
    if workspace_bytes < 1:
        raise InputError(f"expected a workspace of at least 1 byte, got {workspace_bytes}")
    loaded = _load(library)
    if quantized:
        graph = quantized.make(half=is_strongly_typed(loaded))
    wanted = resolve_capabilities(loaded, capabilities)
    builder = loaded.create("Builder")
    say(f"{loaded}: reading the graph")
    network, parser = make_network(loaded, builder, graph, precision)
    config = configure(loaded, builder, network, precision, batch, workspace_bytes)
    set_options(config, options)
    with loaded.errors.listen() as errors:
        set_capabilities(loaded, config, wanted)
        where = ", ".join(wanted) or "its default GPUs"
        say(f"{loaded}: building {precision} for {where}, batches of {batch.min} to {batch.max}")
        plan = builder.build_serialized_network(network, config)
    del parser
    if plan is None:
        raise _build_error(loaded, errors, precision, wanted)
    with write_aside(destination) as partial:
        partial.write_bytes(plan)
        header = read_plan_header(partial)
    say(f"{loaded}: wrote {destination.name}, {plan.nbytes / 1e6:.2f} MB")
    return Target(
        backend=library,
        backend_version=header.version,
        device="cuda",
        machine=platform.machine(),
        compute_capabilities=header.compute_capabilities or wanted,
        exact_version=True,
    )


def require_plan(library: TensorRTName, capabilities: tuple[str, ...]) -> None:
    """Hold that a plan can be built here; raises what `build_plan` would for its library and capabilities."""
    resolve_capabilities(_load(library), capabilities)


def _load(library: TensorRTName) -> Library:
    try:
        return load_library(library)
    except UnavailableError as error:
        raise UnavailableError(f"{error}; {_INSTEAD}") from None


def _build_error(
    library: Library, errors: list[str], precision: Precision, capabilities: tuple[str, ...]
) -> OsnetEdgeError:
    said = first_line(errors)
    if precision == "fp32" and "FP32 GEMM is not supported" in said:
        return InputError(
            f"{library} has no float32 matrix product for compute capability 7.5, and was asked for fp32 on "
            f"{', '.join(capabilities)}; build with fp16, or leave 7.5 out"
        )
    return OsnetEdgeError(f"{library} could not build the engine: {said}")
