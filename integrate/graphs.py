"""The graphs that consumers take: after one scale and three offsets, or a square image in [0, 1]."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from osnet_edge.engines.graph.float16 import to_half
from osnet_edge.engines.graph.reading import Graph
from osnet_edge.integrate.interface import PIPELINE_KEY
from osnet_edge.integrate.pipeline import Pipeline, Triple, by_channel, bytes_pipeline, pixel_means
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.graph_info import INPUT_NAME, METADATA_KEY, GraphInfo

#: The scale of NVIDIA's own samples, 1 / (255 * 0.226). Any other would do; with this one, their constants
#: are right for our graphs as they stand, and weights keep the size that float16 holds best.
SCALE = 0.01735207


@dataclass(frozen=True, eq=False)
class FedGraph:
    """A graph, and what has to happen to a crop before it.

    Attributes:
        model: the graph.
        pipeline: that it expects.
    """

    model: ModelProto
    pipeline: Pipeline

    def save(self, path: Path) -> None:
        """Write the graph, with its pipeline in its metadata."""
        model = ModelProto()
        model.CopyFrom(self.model)
        kept = {entry.key: entry.value for entry in model.metadata_props if entry.key != METADATA_KEY}
        helper.set_model_props(model, {**kept, PIPELINE_KEY: json.dumps(asdict(self.pipeline))})
        onnx.checker.check_model(model)
        onnx.save(model, path)

    def in_float16(self) -> FedGraph:
        """Return the graph cast to float16 inside, for builders that take types as they are written."""
        return replace(self, model=to_half(Graph(self.model)).model)


def bytes_graph(graph: Graph, info: GraphInfo) -> FedGraph:
    """Return a graph as it was exported, if it takes bytes.

    Raises:
        InputError: it takes floats, that others would have to normalise by channel.
    """
    if info.preprocessing.normalize_in != "graph":
        raise InputError(
            "expected a graph that takes bytes, and this one takes normalised floats; export it again "
            "with --input uint8"
        )
    pipeline = replace(bytes_pipeline(info.preprocessing), size=info.model.embedding_size)
    return FedGraph(graph.copy(), pipeline)


def planes_graph(graph: Graph, info: GraphInfo) -> FedGraph:
    """Return a graph that takes float32 planes (N, 3, H, W) after one scale and three offsets.

    The factor of each channel goes into the first convolution, where it is exact: its padding is zeros, and
    zero is where the offsets put the mean. A quantised first convolution stays as it is, with scale 1.

    Raises:
        InputError: the graph does not begin as `osnet-edge export` writes it.
    """
    model, how = graph.copy(), info.preprocessing
    head, stem = _split_head(model, graph)
    factors = np.asarray([how.scale / std for std in how.std], np.float32)
    inside = how.normalize_in == "graph"
    if any(node.op_type == "QuantizeLinear" for node in stem):
        scale: Triple = (1.0, 1.0, 1.0)
        if not inside:
            raise InputError("expected INT8 of a graph that takes bytes; export it again with --input uint8")
    else:
        scale = (SCALE, SCALE, SCALE)
        # The weights of a graph that normalises inside hold these factors already.
        _multiply_stem(model, stem, (1 if inside else factors) / np.float32(SCALE))
    _feed(model, head, stem)
    _set_input(model, how.height, how.width)
    pipeline = Pipeline(how.height, how.width, scale, pixel_means(how), size=info.model.embedding_size)
    return FedGraph(model, pipeline)


def unit_graph(graph: Graph, info: GraphInfo, *, square: bool) -> FedGraph:
    """Return a graph that takes float32 RGB planes in [0, 1] and normalises them itself.

    Args:
        graph: as for `planes_graph`.
        info: as for `planes_graph`.
        square: whether it takes images as wide as they are high, whose columns it averages.

    Raises:
        InputError: as `planes_graph`, or columns cannot be averaged, since the width does not divide the
            height.
    """
    planes, how = planes_graph(graph, info), info.preprocessing
    model, side = planes.model, how.height if square else how.width
    if side % how.width:
        raise InputError(
            f"expected a width that divides the height, for images made square; got {how.height}x{how.width}"
        )
    # What the caller of `planes_graph` does, of pixels divided by 255.
    constants = {
        "unit_offsets": by_channel(planes.pipeline.offsets).reshape(1, 3, 1, 1) / np.float32(255),
        "unit_scale": by_channel(planes.pipeline.scale).reshape(1, 3, 1, 1) * np.float32(255),
    }
    head = [
        helper.make_node("Sub", [INPUT_NAME, "unit_offsets"], ["unit_centred"], "unit_centre"),
        helper.make_node("Mul", ["unit_centred", "unit_scale"], ["unit_planes"], "unit_spread"),
    ]
    if square:
        constants["unit_ratio"] = np.asarray([1, 1, 1, how.width / side], np.float32)
        resize = helper.make_node(
            "Resize",
            [INPUT_NAME, "", "unit_ratio"],
            ["unit_resized"],
            "unit_resize",
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )
        head[0].input[0] = "unit_resized"
        head.insert(0, resize)
    for node in model.graph.node:
        node.input[:] = ["unit_planes" if name == INPUT_NAME else name for name in node.input]
    body = [*head, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(body)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    _set_input(model, how.height, side)
    unit = 1 / 255
    pipeline = replace(planes.pipeline, width=side, scale=(unit, unit, unit), offsets=(0.0, 0.0, 0.0))
    return FedGraph(model, replace(pipeline, filter="four-pixel"))


def _split_head(model: ModelProto, graph: Graph) -> tuple[list[NodeProto], list[NodeProto]]:
    """Return the nodes that turn bytes into centred planes, and those that read what they give.

    Raises:
        InputError: there are others.
    """
    readers = graph.readers
    head, name = [], INPUT_NAME
    for kind in ("Cast", "Transpose", "Sub"):
        node = readers[name][0]
        if node.op_type != kind or len(readers[name]) != 1:
            break
        head.append(node)
        name = node.output[0]
    if len(head) not in (0, 3) or not readers.get(name):
        found = " ".join(node.op_type for node in head) or "nothing"
        raise InputError(
            f"expected a graph that begins with Cast, Transpose and Sub, or takes floats; found {found}: "
            "export it again with osnet-edge export"
        )
    outputs = {node.output[0] for node in head}
    stem = [node for node in model.graph.node if name in node.input and node.output[0] not in outputs]
    return [node for node in model.graph.node if node.output[0] in outputs], stem


def _multiply_stem(model: ModelProto, stem: list[NodeProto], factors: npt.ArrayLike) -> None:
    """Multiply the weights of the first convolution by a factor, or by one for each input channel."""
    if len(stem) != 1 or stem[0].op_type not in ("Conv", "Mul"):
        kinds = " ".join(node.op_type for node in stem)
        raise InputError(
            f"expected one convolution at the start of the network, found {kinds}; export it again"
        )
    weights = {each.name: each for each in model.graph.initializer}[stem[0].input[1]]
    values = numpy_helper.to_array(weights) * np.reshape(np.asarray(factors, np.float32), (1, -1, 1, 1))
    # A copy, since another node may read the same weights.
    name = f"{weights.name}_fed"
    model.graph.initializer.append(numpy_helper.from_array(np.float32(values), name))
    stem[0].input[1] = name


def _feed(model: ModelProto, head: list[NodeProto], stem: list[NodeProto]) -> None:
    """Take the head off a graph, so that its input goes into the network at once."""
    if head:
        centred = head[-1].output[0]
        for node in stem:
            node.input[:] = [INPUT_NAME if name == centred else name for name in node.input]
        for node in head:
            model.graph.node.remove(node)
    used = {name for node in model.graph.node for name in node.input}
    kept = [each for each in model.graph.initializer if each.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def _set_input(model: ModelProto, height: int, width: int) -> None:
    """Make the graph's input float32 planes of a size, in batches of any size."""
    planes = helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, ["batch", 3, height, width])
    del model.graph.input[:]
    model.graph.input.append(planes)
    del model.graph.value_info[:]
