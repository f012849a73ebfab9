"""A float32 graph to one whose types say float16, for TensorRT that takes types as they are written.

Strongly typed networks are the only kind in TensorRT 11 and TensorRT-RTX, and one of two in 10. What stays
float32, beside the inputs and outputs:

- all before the first convolution: a byte less its mean has more digits than float16 keeps;
- instance norms, whose variances leave float16's range (NVIDIA/TensorRT#2691, onnxruntime#10079);
- means over whole maps, which are sums of thousands, and what is computed of means alone: gates, and the
  scaling of embeddings to length 1. These are few multiplications, and ending the float32 after them takes
  fewer kernels than before them. Matrix products are float16 even so: TensorRT-RTX has none in float32 for
  compute capability 7.5.

A cast stands where a float32 tensor is read in float16 or the reverse, once for each, and nowhere else.

Past 65504 float16 is infinite, and what follows is NaN or an embedding that says nothing. Weights show
nothing of it, so `check_overflow` runs the float32 graph over images and holds each tensor's largest value to
that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from osnet_edge.engines.graph.reading import Graph
from osnet_edge.engines.graph.running import batches_of, tensor_runner
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.precisions import Precision
from osnet_edge.runtime.preprocessing import Picture, Preprocessing

#: Operators without inputs that matter; they say their type themselves.
CONSTANTS = ("Constant", "ConstantOfShape")
#: A mean over a map. What has no other inputs than such means and weights stays float32 with it, all but
#: matrix products.
MEANS, MATRIX_PRODUCTS = ("GlobalAveragePool",), ("Gemm", "MatMul")
#: Float16's largest number.
HALF_MAX = float(np.finfo(np.float16).max)

#: Images run at once; with x1_0 and images of 256x128 that takes 0.9 GB.
_BATCH = 4
#: Images between two lines of progress.
_OFTEN = 128
#: Operators whose results are no larger than what they read, or than 1.
_BOUNDED = ("Relu", "Sigmoid", "MaxPool", "AveragePool", "GlobalAveragePool", "Transpose", "Flatten")
#: Share of float16's range from which images unlike those of the set may leave it.
_NEAR = 0.25

_SUFFIXES: dict[int, str] = {TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16"}


def to_half(graph: Graph) -> Graph:
    """Return a float16 copy of a float32 graph, with the same inputs and outputs.

    Args:
        graph: float32, its nodes in an order in which they can run.

    Raises:
        InputError: it holds float16 already, or a weight that float16 cannot hold.
    """
    return Graph(_Conversion(graph).model)


def typed_graph(graph: Graph, precision: Precision) -> Graph:
    """Return a float32 graph as a precision without Q/DQ has it written: bf16 is the library's to choose.

    Raises:
        InputError: no such precision is written into graphs, or float16 cannot hold it.
    """
    if precision == "fp16":
        return to_half(graph)
    if precision not in ("fp32", "bf16"):
        raise InputError(f"expected a graph in fp32, bf16 or fp16, got {precision}")
    return graph


def half_tensors(graph: Graph) -> list[str]:
    """Return the tensors that nodes of a float32 graph make and `to_half` makes or hands on in float16.

    Args:
        graph: as for `to_half`.

    Raises:
        InputError: as `to_half`.
    """
    return _Conversion(graph).halves


class _Conversion:
    """One graph on its way from float32 to float16.

    Args:
        graph: float32; its model is copied.

    Attributes:
        model: float16.
        halves: names in the float32 graph of the tensors that are float16 somewhere, in order.
    """

    def __init__(self, graph: Graph) -> None:
        for weight in graph.initializers.values():
            if weight.data_type == TensorProto.FLOAT16:
                raise InputError(
                    f"expected a float32 graph, and {weight.name} is float16; give the graph as it was "
                    "exported"
                )
        self.model = graph.copy()
        self._graph = self.model.graph
        # Shapes and bytes keep their types.
        self._floats = {name for name, tensor in graph.tensors.items() if tensor.kind == TensorProto.FLOAT}
        self._weights = graph.initializers
        #: The type that each tensor is made in.
        self._made: dict[str, int] = {item.name: TensorProto.FLOAT for item in self._graph.input}
        #: Names of tensors and weights by the type they are read in.
        self._read: dict[tuple[str, int], str] = {}
        self._nodes: list[NodeProto] = []
        held = _float32_nodes(graph)
        for original in graph.nodes:
            node = NodeProto()
            node.CopyFrom(original)
            self._add(node, TensorProto.FLOAT if original.output[0] in held else TensorProto.FLOAT16)
        read = [name for name, kind in self._read if kind == TensorProto.FLOAT16]
        self.halves = [name for name, kind in self._made.items() if kind == TensorProto.FLOAT16]
        self.halves += [name for name in read if name in graph.makers]
        self._restore_outputs()
        self._replace_contents()

    def _add(self, node: NodeProto, kind: int) -> None:
        """Add a node that computes in a type, after the casts that it needs."""
        for index, name in enumerate(node.input):
            if name in self._floats:
                node.input[index] = self._as(name, kind)
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = kind
        self._made.update((name, kind) for name in node.output if name in self._floats)
        self._nodes.append(node)

    def _as(self, name: str, kind: int) -> str:
        """Name a tensor or weight in a type, casting it if it was not read in that type before."""
        if (name, kind) in self._read:
            return self._read[name, kind]
        if self._made.get(name, TensorProto.FLOAT) == kind:
            return name
        cast = self._read[name, kind] = f"{name}_{_SUFFIXES[kind]}"
        if name in self._weights:
            self._graph.initializer.append(_half_weight(self._weights[name], cast))
        else:
            self._nodes.append(helper.make_node("Cast", [name], [cast], name=f"{cast}_cast", to=kind))
        return cast

    def _restore_outputs(self) -> None:
        """Give outputs that were made in float16 their type and name back."""
        for item in self._graph.output:
            if self._made.get(item.name) != TensorProto.FLOAT16:
                continue
            half = f"{item.name}_float16"
            for node in self._nodes:
                for names in (node.input, node.output):
                    names[:] = [half if name == item.name else name for name in names]
            self._nodes.append(
                helper.make_node("Cast", [half], [item.name], name=f"{item.name}_cast", to=TensorProto.FLOAT)
            )

    def _replace_contents(self) -> None:
        used = {name for node in self._nodes for name in node.input}
        weights = [weight for weight in self._graph.initializer if weight.name in used]
        for field, items in (("node", self._nodes), ("initializer", weights), ("value_info", [])):
            self._graph.ClearField(field)
            getattr(self._graph, field).extend(items)
        onnx.checker.check_model(self.model)


def _float32_nodes(graph: Graph) -> set[str]:
    """Return the nodes that stay float32, by the first tensor that each makes."""
    first = next((node for node in graph.nodes if node.op_type == "Conv"), NodeProto())
    held: set[str] = set()
    waiting = list(first.input)
    while waiting:
        node = graph.makers.get(waiting.pop())
        if node is not None:
            held.add(node.output[0])
            waiting += node.input
    weights = set(graph.initializers)
    weights.update(name for node in graph.nodes if node.op_type in CONSTANTS for name in node.output)
    pooled: set[str] = set()
    for node in graph.nodes:
        read = {name for name in node.input if name and name not in weights}
        if node.op_type in MEANS or (read and read <= pooled):
            pooled.update(node.output)
            if node.op_type not in MATRIX_PRODUCTS:
                held.add(node.output[0])
        elif node.op_type in ("InstanceNormalization", *CONSTANTS):
            held.add(node.output[0])
    return held


def _half_weight(weight: TensorProto, name: str) -> TensorProto:
    values = numpy_helper.to_array(weight)
    peak = float(np.max(np.abs(values), initial=0))
    # Written so that NaN fails too.
    if not peak <= HALF_MAX:
        raise InputError(
            f"the weights {weight.name} reach {peak:.3g}, past float16's {HALF_MAX:.0f}; build with fp32"
        )
    return numpy_helper.from_array(values.astype(np.float16), name)


def check_overflow(
    graph: Graph,
    pictures: Iterable[Picture],
    preprocessing: Preprocessing,
    progress: Callable[[str], None] = lambda step: None,
) -> dict[str, float]:
    """Check that the tensors that `to_half` makes float16 stay within its range on images.

    Memory does not depend on how many they are.

    Args:
        graph: float32, as `osnet-edge export` wrote it.
        pictures: (H, W, 3) uint8 RGB crops of any sizes, one or more.
        preprocessing: from a crop to the graph's input.
        progress: called with a line on how far it is, and of tensors that reach a quarter of the range.

    Returns:
        The largest absolute value of each tensor that will be float16, but for those that another bounds.

    Raises:
        InputError: one leaves the range, or is NaN or infinite in float32 already; there is no image, or
            the graph holds float16 or weights beyond it.
    """
    peaks = dict.fromkeys(_unbounded(graph), 0.0)
    run, done = tensor_runner(graph, list(peaks)), 0
    for batch in batches_of(pictures, preprocessing, _BATCH):
        for name, value in zip(peaks, run(batch), strict=True):
            peaks[name] = max(peaks[name], _peak(name, value))
        done += len(batch)
        if done % _OFTEN == 0:
            progress(f"checking float16's range: {done:,} images so far")
    if not done:
        raise InputError("expected one image or more to check float16's range with, got none")
    for warning in _judge(peaks, done):
        progress(warning)
    return peaks


def _unbounded(graph: Graph) -> list[str]:
    """Leave out what is no larger than another tensor that will be float16."""
    halves = half_tensors(graph)
    bounded = {
        output
        for node in graph.nodes
        if node.op_type in _BOUNDED and (node.op_type == "Sigmoid" or node.input[0] in halves)
        for output in node.output
    }
    return [name for name in halves if name not in bounded]


def _peak(name: str, values: NDArray[np.float32]) -> float:
    # NaN passes through both, and no copy of the tensor is made.
    peak = max(float(values.max()), -float(values.min()))
    if not np.isfinite(peak):
        raise InputError(
            f"the tensor {name} is NaN or infinite in float32 on a calibration image, so the checkpoint is "
            "damaged; export one that embeds images"
        )
    return peak


def _judge(peaks: dict[str, float], count: int) -> Iterator[str]:
    """Refuse what leaves the range, and yield a warning if something comes near."""
    name = max(peaks, key=lambda each: peaks[each])
    if peaks[name] > HALF_MAX:
        beyond = sum(peak > HALF_MAX for peak in peaks.values())
        raise InputError(
            f"the tensor {name} reaches {peaks[name]:.4g} on {count:,} calibration images, past float16's "
            f"{HALF_MAX:.0f} (tensors that do: {beyond} of {len(peaks)}); build with fp32"
        )
    if peaks[name] > _NEAR * HALF_MAX:
        near = sum(peak > _NEAR * HALF_MAX for peak in peaks.values())
        yield (
            f"warning: the tensor {name} reaches {peaks[name]:.4g} on {count:,} calibration images, over a "
            f"quarter of float16's {HALF_MAX:.0f} (tensors that do: {near} of {len(peaks)}); other images "
            "may leave it, so compare embeddings with an fp32 engine's"
        )
