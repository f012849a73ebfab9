"""A float32 ONNX graph to a TensorRT network and its builder's configuration, in the precision asked for.

Two ways lead to float16. TensorRT 10, 11 and TensorRT-RTX are strongly typed: the graph's own types say it,
so the graph is converted first. TensorRT 8.6 is weakly typed: it gets the float32 graph, the flag FP16, and
is called with which layers must stay float32. Which way is open is asked of the library, not of its version.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import onnx

from osnet_edge.engines.graph.float16 import typed_graph
from osnet_edge.engines.graph.reading import Graph
from osnet_edge.runtime.backends.tensorrt.library import Library
from osnet_edge.runtime.errors import InputError, UnavailableError, first_line
from osnet_edge.runtime.package.manifest import BatchRange
from osnet_edge.runtime.precisions import PRECISIONS, Precision

if TYPE_CHECKING:
    import tensorrt

#: Names of `LayerType`: what an instance norm or a mean over a map is, and what an input's normalisation is
#: made of.
REDUCTIONS, ARITHMETIC = {"NORMALIZATION", "PLUGIN_V2", "REDUCE"}, {"ELEMENTWISE", "SCALE"}


def is_strongly_typed(library: Library) -> bool:
    """Whether this library takes the types of a graph as they are written."""
    return hasattr(library.trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")


def make_network(
    library: Library, builder: tensorrt.Builder, graph: Graph, precision: Precision
) -> tuple[tensorrt.INetworkDefinition, tensorrt.OnnxParser]:
    """Parse a float32 graph, or an INT8 one that is typed already, into a network of the precision.

    Returns:
        The network, and the parser that read it, which holds its weights and must live as long.

    Raises:
        InputError: the parser refuses it, or float16 cannot hold it.
    """
    trt, strong = library.trt, is_strongly_typed(library)
    flags = trt.NetworkDefinitionCreationFlag
    bits = 1 << int(flags.STRONGLY_TYPED) if strong else 0
    if hasattr(flags, "EXPLICIT_BATCH"):
        # Needed up to TensorRT 9, ignored by 10, gone from 11.
        bits |= 1 << int(flags.EXPLICIT_BATCH)
    network = builder.create_network(bits)
    if not PRECISIONS[precision].calibrated:
        typed = typed_graph(graph, precision)
        graph = typed if strong else graph
    library.load_plugins()
    parser = trt.OnnxParser(network, library.logger)
    with library.errors.listen() as errors:
        if not parser.parse(graph.model.SerializeToString()):
            found = [_describe(parser.get_error(index), graph.model) for index in range(parser.num_errors)]
            raise InputError(f"{library} cannot read the graph: {first_line('; '.join(found or errors))}")
    return network, parser


def configure(
    library: Library,
    builder: tensorrt.Builder,
    network: tensorrt.INetworkDefinition,
    precision: Precision,
    batch: BatchRange,
    workspace_bytes: int,
) -> tensorrt.IBuilderConfig:
    """Make the builder's configuration: memory, batch sizes and precision.

    Raises:
        InputError: the library takes no such batch range.
        UnavailableError: this GPU has no fast float16.
    """
    trt = library.trt
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_bytes)
    # TensorFloat-32 keeps 10 bits of float32's 23, and is on by default: who asks for fp32 gets it.
    config.clear_flag(trt.BuilderFlag.TF32)
    profile = builder.create_optimization_profile()
    images = network.get_input(0)
    # A tuple stands for a Dims and a Dims reads as one, which the stubs do not say.
    dims: Any = images.shape
    shapes: list[Any] = [(size, *tuple(dims)[1:]) for size in (batch.min, batch.opt, batch.max)]
    profile.set_shape(images.name, *shapes)
    if config.add_optimization_profile(profile) < 0:
        raise InputError(f"{library} takes no batches of {batch.min} to {batch.max}; choose a smaller range")
    preview: Any = getattr(trt, "PreviewFeature", None)
    if hasattr(preview, "PROFILE_SHARING_0806"):
        # One profile for many execution contexts, one a thread: always so from TensorRT 10, a choice in 8.6.
        config.set_preview_feature(preview.PROFILE_SHARING_0806, True)
    if precision != "fp32" and not is_strongly_typed(library):
        allow_half(library, builder, network, config)
        if precision == "int8":
            # Q/DQ pairs say the ranges; without the flag the builder refuses them.
            config.set_flag(trt.BuilderFlag.INT8)
    return config


def allow_half(
    library: Library,
    builder: tensorrt.Builder,
    network: tensorrt.INetworkDefinition,
    config: tensorrt.IBuilderConfig,
) -> None:
    """Weak typing: allow float16, except where `to_half` keeps float32 as well."""
    flags = library.trt.BuilderFlag
    if not builder.platform_has_fast_fp16:
        raise UnavailableError("this GPU has no fast float16; build the engine with fp32")
    config.set_flag(flags.FP16)
    config.set_flag(flags.OBEY_PRECISION_CONSTRAINTS)
    for layer in float32_layers(library, network):
        layer.precision = library.trt.float32
        layer.set_output_type(0, library.trt.float32)


def float32_layers(library: Library, network: tensorrt.INetworkDefinition) -> Iterator[tensorrt.ILayer]:
    """Yield the layers whose arithmetic must stay float32: norms, means, and the input's normalisation.

    An instance norm is a NORMALIZATION, or, up to TensorRT 9, a plugin; OSNet has no other. What `to_half`
    keeps float32 behind a mean, to save kernels, is TensorRT's own choice here.
    """
    before_convolutions = True
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        kind = layer.type.name
        before_convolutions = before_convolutions and kind != "CONVOLUTION"
        held = REDUCTIONS | ARITHMETIC if before_convolutions else REDUCTIONS
        # Integers are shapes, which a precision would break.
        if kind in held and layer.get_output(0).dtype == library.trt.float32:
            yield layer


def _describe(error: tensorrt.ParserError, model: onnx.ModelProto) -> str:
    """Name the node, since a parser's error may be as short as `false`."""
    text, index = str(error.desc()).strip(), int(error.node())
    if not 0 <= index < len(model.graph.node):
        return text
    node = model.graph.node[index]
    return f"{node.op_type} {node.name or index}: {text}"
