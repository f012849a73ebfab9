"""Recovers an OSNet's weights from an ONNX graph of any exporter, and verifies them.

It walks from the embeddings back to the images, since the inputs of a node show what it is. It requires the
parts of the paper's network (see `osnet_edge.train.osnet`) and accepts what exporters add: batch norms folded
or not, casts, identities, constants as nodes, rows scaled to length 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from osnet_edge.runtime.errors import InputError, UnavailableError, first_line, printable
from osnet_edge.runtime.package.graph_info import METADATA_KEY, QUANTIZED, QUANTIZED_ADVICE, parse_graph_info
from osnet_edge.train.osnet import STREAM_DEPTHS, OSNet
from osnet_edge.train.weights.onnx_parts import EPSILON, Affine, Array, Block, Network
from osnet_edge.train.weights.onnx_proof import prove

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

#: What does nothing to a tensor but name it, store it otherwise or shape it at the network's end.
_TRANSPARENT = {"Identity", "Dropout", "Cast", "Flatten", "Reshape", "Squeeze", "Unsqueeze"}
#: What computes the length of a row, or divides by it.
_LENGTH = {"ReduceL2", "LpNormalization", "Clip", "Max", "Expand", "Sqrt", "ReduceSum", "Pow", "Mul", "Abs"}
_LENGTH |= {
    "ReduceSumSquare",
    "Reciprocal",
    "Shape",
    "Add",
    "Cast",
    "Identity",
    "Unsqueeze",
    "ConstantOfShape",
    "Div",
    "Gather",
    "Concat",
}


def recover_osnet(path: Path | str, progress: Callable[[str], None] = lambda line: None) -> OSNet:
    """Recover the network that an ONNX graph was exported from.

    Args:
        path: the graph; float32 or float16, any opset.
        progress: called with a line about the graph's preprocessing, and one about its embeddings.

    Returns:
        The network in eval mode, without a classifier, with the same embeddings as the graph.

    Raises:
        InputError: the file is damaged, lacks its external data, or is no OSNet (the message names the first
            node that differs), or its embeddings differ from those of the recovered network.
        UnavailableError: onnx is not installed.
    """
    model = _read(Path(path))
    _refuse_rewritten(model, path)
    try:
        walk = _Walk(model, str(path))
        network, stem_input = walk.network()
    except InputError:
        raise
    # A node without its inputs, a weight of another size than its shape: nearly any kind.
    except Exception as error:
        raise InputError(f"{path} is no valid ONNX graph ({first_line(error)}); export it again") from None
    model_of_ours = OSNet(network.variant())
    state = {name: value for name, value in model_of_ours.state_dict().items() if "num_batches" in name}
    found = network.state()
    for name, value in model_of_ours.state_dict().items():
        if name in found and found[name].shape != value.shape:
            shapes = f"{tuple(found[name].shape)}, expected {tuple(value.shape)}"
            raise InputError(f"{path} is no {network.variant().name}: {name} is {shapes}")
    model_of_ours.load_state_dict({**state, **found})
    model_of_ours.eval()
    for line in prove(model, (stem_input, walk.embeddings, walk.rows), model_of_ours, str(path)):
        progress(line)
    return model_of_ours


def _refuse_rewritten(model: ModelProto, path: Path | str) -> None:
    """Refuse a graph of ours that was rewritten, and so has no longer OSNet's own layers.

    Raises:
        InputError: it is one.
    """
    ours = next((each.value for each in model.metadata_props if each.key == METADATA_KEY), None)
    if ours and (made := parse_graph_info(ours, str(path)).model).rewrite:
        raise InputError(
            f"{path} was exported with --rewrite {','.join(made.rewrite)}, which no longer has OSNet's own "
            f"layers; expected the checkpoint, {printable(made.checkpoint)}, or a package that build makes"
        )


def _read(path: Path) -> ModelProto:
    try:
        import onnx
        from onnx import external_data_helper as external
    except ModuleNotFoundError:
        raise UnavailableError(
            f"reading {path.name} needs onnx, which is not installed: pip install 'osnet-edge[export]'"
        ) from None
    if not path.is_file():
        raise InputError(f"expected an ONNX graph, found nothing at {path}")
    try:
        model: ModelProto = onnx.load(path, load_external_data=False)
    except Exception as error:
        raise InputError(f"{path} is no ONNX graph, or not a whole one ({first_line(error)})") from None
    for weight in model.graph.initializer:
        if not external.uses_external_data(weight):
            continue
        place = next((each.value for each in weight.external_data if each.key == "location"), "")
        # Beside the graph and nowhere else, whatever the file says.
        if Path(place).name != place or (path.parent / place).is_symlink():
            raise InputError(f"{path} keeps weights in {printable(place)!r}; expected a file beside it")
        if not (path.parent / place).is_file():
            raise InputError(
                f"{path} keeps its weights in {printable(place)}, which is missing beside it; copy both"
            )
    try:
        external.load_external_data_for_model(model, str(path.parent))
    except Exception as error:
        raise InputError(f"{path}: its external data cannot be read ({first_line(error)})") from None
    if not model.graph.node:
        raise InputError(f"{path} is no ONNX graph, or an empty one")
    return model


class _Walk:
    """A graph, read from its end to its beginning.

    Attributes:
        embeddings: the tensor that the network gives, before rows are scaled to length 1.
        rows: the same behind that.
    """

    def __init__(self, model: ModelProto, where: str) -> None:
        from onnx import numpy_helper

        self.where, self.embeddings, self.rows = where, "", ""
        self._outputs = [output.name for output in model.graph.output]
        self._makers = {name: node for node in model.graph.node for name in node.output if name}
        self._constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
        made = {"", *self._constants, *(each.name for each in model.graph.input)}
        for node in model.graph.node:
            # Else the graph could be a circle, and the walk without an end.
            if not made.issuperset(node.input) or not made.isdisjoint(filter(None, node.output)):
                self._refuse(node, "reads what no node before it makes, or makes again what there is")
            made.update(node.output)
            if node.op_type in QUANTIZED:
                self._refuse(node, f"has INT8 weights or activations; {QUANTIZED_ADVICE}")
            if node.op_type == "Constant":
                values = [each for each in node.attribute if each.name == "value"]
                if values:
                    self._constants[node.output[0]] = numpy_helper.to_array(values[0].t)

    def _refuse(self, node: NodeProto | None, why: str) -> NoReturn:
        name = (
            "the graph"
            if node is None
            else f"node {printable(node.name or node.output[0])!r} ({node.op_type})"
        )
        raise InputError(f"{self.where} is no OSNet that can be read: {name} {why}")

    # What a tensor is made by, and of.

    def _constant(self, name: str) -> Array | None:
        """Return the value of a tensor that depends on nothing, as exporters leave weights."""
        transposes: list[list[int] | None] = []
        while name not in self._constants:
            node = self._makers.get(name)
            if node is None or node.op_type not in {"Identity", "Cast", "Transpose"}:
                return None
            if node.op_type == "Transpose":
                transposes.append(
                    next((list(each.ints) for each in node.attribute if each.name == "perm"), None)
                )
            name = node.input[0]
        value = self._constants[name]
        for axes in reversed(transposes):
            if axes is not None and sorted(axes) != list(range(value.ndim)):
                return None
            value = value.transpose(axes)
        return value

    def _through(self, name: str) -> str:
        """Return the tensor behind whatever changes nothing about it."""
        while (node := self._makers.get(name)) is not None and node.op_type in _TRANSPARENT:
            name = node.input[0]
        return name

    def _maker(self, name: str) -> NodeProto | None:
        return self._makers.get(self._through(name))

    def _expect(self, name: str, kinds: Sequence[str], what: str) -> NodeProto:
        node = self._maker(name)
        if node is None:
            raise InputError(
                f"{self.where} is no OSNet that can be read: expected {what} ({' or '.join(kinds)}), "
                f"found the input {printable(self._through(name))!r}"
            )
        if node.op_type not in kinds:
            self._refuse(node, f"is not {what} ({' or '.join(kinds)})")
        return node

    def _is(self, name: str, *kinds: str) -> bool:
        node = self._maker(name)
        return node is not None and node.op_type in kinds

    def _data(self, node: NodeProto) -> list[str]:
        """Return the inputs that are no constants."""
        return [name for name in node.input if name and self._constant(name) is None]

    def _weights(self, node: NodeProto, count: int) -> list[Array]:
        values = [self._constant(name) for name in node.input[1 : 1 + count] if name]
        known = [value for value in values if value is not None]
        if len(known) != len(values):
            self._refuse(node, "has weights that are computed; expected constants")
        return [np.asarray(value, np.float64) for value in known]

    # Layers.

    def _norm(self, name: str) -> tuple[str, tuple[Array, ...]]:
        """Return what is behind a norm, and the norm; of a batch norm with the mean and variance."""
        node = self._maker(name)
        if node is None or node.op_type not in {"BatchNormalization", "InstanceNormalization"}:
            return name, ()
        values = self._weights(node, 4)
        epsilon = next((each.f for each in node.attribute if each.name == "epsilon"), EPSILON)
        if node.op_type == "BatchNormalization":
            values[3] = values[3] + (epsilon - EPSILON)
        elif not math.isclose(epsilon, EPSILON, rel_tol=1e-3):
            self._refuse(node, f"has an epsilon of {epsilon:g}; expected {EPSILON:g}")
        return node.input[0], tuple(values)

    def _conv(self, name: str, what: str, kernel: int, *, grouped: bool = False) -> tuple[str, Affine]:
        """Read a convolution and the norm behind it; return what it reads."""
        behind, norm = self._norm(name)
        node = self._expect(behind, ("Conv",), what)
        values = self._weights(node, 2)
        weight = values[0]
        groups = next((each.i for each in node.attribute if each.name == "group"), 1)
        if weight.ndim != 4 or weight.shape[2:] != (kernel, kernel) or (groups > 1) != grouped:
            self._refuse(node, f"has weights of {weight.shape} in {groups} groups; expected {what}")
        if any(value.shape != (len(weight),) for value in (*values[1:], *norm)):
            self._refuse(node, f"has {len(weight)} channels, and a bias or norm of others")
        return node.input[0], Affine(weight, values[1] if len(values) > 1 else None, norm)

    def _relu(self, name: str, what: str) -> str:
        return str(self._expect(name, ("Relu",), f"the ReLU of {what}").input[0])

    def _sum(self, name: str) -> list[str]:
        """Return what a sum is of; a sum of sums is one sum, as long as it has no more parts than a block."""
        parts: list[str] = []
        left = [name]
        while left and len(parts) + len(left) <= 2 * len(STREAM_DEPTHS):
            first, *left = left
            node = self._maker(first)
            if node is None or node.op_type not in {"Add", "Sum"}:
                parts.append(first)
            else:
                left = self._data(node) + left
        return parts + left

    # The network.

    def network(self) -> tuple[Network, str]:
        """Read the whole network; return it and the tensor that its stem reads."""
        linear, name = self._end()
        pooled = self._expect(name, ("GlobalAveragePool", "ReduceMean", "AveragePool"), "the last pooling")
        name, conv5 = self._conv(self._relu(pooled.input[0], "conv5"), "conv5, 1x1", 1)
        blocks: list[Block] = []
        reduces: list[Affine] = []
        for number in reversed(range(6)):
            if number in (1, 3):
                pool = self._expect(name, ("AveragePool",), "the pooling of a stage")
                name, reduce = self._conv(self._relu(pool.input[0], "a stage's end"), "a stage's end, 1x1", 1)
                reduces.insert(0, reduce)
            name, block = self._block(name, f"conv{2 + number // 2}.{number % 2}")
            blocks.insert(0, block)
        pool = self._expect(name, ("MaxPool",), "the max pooling of the stem")
        name, stem = self._conv(self._relu(pool.input[0], "conv1"), "conv1, 7x7", 7)
        return Network(stem, blocks, reduces, conv5, linear, self.where), name

    def _end(self) -> tuple[Affine | None, str]:
        """Read the last linear layer, if there is one; return it and what it reads."""
        for output in self._outputs:
            name, self.rows = self._without_length(output), output
            if self._is(name, "Gemm", "MatMul", "Add") and not self._is_embedding(name):
                # Scores of identities; the embeddings are what they are computed of.
                name = self.rows = self._linear(name)[0]
            self.embeddings = name
            if self._is(name, "GlobalAveragePool", "ReduceMean", "AveragePool"):
                return None, name
            if self._is(name, "Relu", "BatchNormalization", "Gemm", "MatMul", "Add"):
                return self._fc(name)
        first = self._maker(self._outputs[0])
        return self._refuse(first, "gives no embeddings; expected a linear layer or a pooling at the end")

    def _is_embedding(self, name: str) -> bool:
        return self._is(self._linear(name)[0], "GlobalAveragePool", "ReduceMean", "AveragePool")

    def _without_length(self, name: str) -> str:
        """Return the rows before they are divided by their lengths, or the rows themselves."""
        node = self._maker(name)
        if node is not None and node.op_type == "LpNormalization":
            return str(node.input[0])
        if node is None or node.op_type not in {"Div", "Mul"} or len(node.input) != 2:
            return name
        rows, length = node.input
        left, seen = [length], set()
        while left:
            each = left.pop()
            if each in seen or self._through(each) == self._through(rows):
                continue
            seen.add(each)
            maker = self._makers.get(each)
            if maker is not None and maker.op_type in _LENGTH | _TRANSPARENT:
                left.extend(self._data(maker))
            elif self._constant(each) is None and maker is not None and maker.op_type != "Constant":
                return name
        return str(rows)

    def _fc(self, name: str) -> tuple[Affine, str]:
        if self._is(name, "Relu"):
            name = self._relu(name, "the embedding")
        name, norm = self._norm(self._through(name))
        before, weight, bias = self._linear(name)
        return Affine(weight, bias, norm), before

    def _linear(self, name: str) -> tuple[str, Array, Array | None]:
        """Read y = W x + b; return x, W (out, in) and b."""
        node = self._expect(name, ("Gemm", "MatMul", "Add"), "the last linear layer")
        if node.op_type == "Gemm":
            values = self._weights(node, 2)
            transposed = any(each.name == "transB" and each.i for each in node.attribute)
            weight = values[0] if transposed else values[0].T
            return node.input[0], weight, values[1] if len(values) > 1 else None
        bias = None
        if node.op_type == "Add":
            constants = [value for each in node.input if (value := self._constant(each)) is not None]
            data = self._data(node)
            if len(data) != 1 or len(constants) != 1:
                self._refuse(node, "is not a layer's bias")
            bias = np.asarray(constants[0], np.float64).reshape(-1)
            node = self._expect(data[0], ("MatMul",), "the last linear layer")
        return node.input[0], self._weights(node, 1)[0].T, bias

    def _block(self, name: str, where: str) -> tuple[str, Block]:
        name = self._relu(name, where)
        name, outside = self._instance_norm(name)
        parts = self._sum(name)
        branch = [part for part in parts if self._is_branch(part)]
        # Where instance norm or a projection does not stand between, four streams and the input are one sum.
        if len(parts) != 2 or len(branch) != 1:
            self._refuse(self._maker(name), f"is not the sum of a branch and its input, of {where}")
        (identity,) = [part for part in parts if part is not branch[0]]
        before, inside = self._instance_norm(branch[0])
        before, conv3 = self._conv(before, f"conv3 of {where}, 1x1", 1)
        streams: dict[int, list[tuple[Array, Affine]]] = {}
        starts: list[str] = []
        gates: list[tuple[Affine, Affine]] = []
        for stream in self._sum(before):
            start, layers, gate = self._stream(stream, where)
            streams[len(layers)], starts, gates = layers, [*starts, start], [*gates, gate]
        if sorted(streams) != list(STREAM_DEPTHS) or len(set(starts)) != 1:
            self._refuse(self._maker(before), f"is not the sum of the four streams of {where}")
        if any(not np.array_equal(gate[0].weight, gates[0][0].weight) for gate in gates):
            self._refuse(self._maker(before), f"sums streams of {where} that do not share their gate")
        before, conv1 = self._conv(self._relu(starts[0], f"conv1 of {where}"), f"conv1 of {where}, 1x1", 1)
        downsample = None
        if self._through(identity) != self._through(before):
            identity, downsample = self._conv(identity, f"downsample of {where}, 1x1", 1)
        if self._through(identity) != self._through(before):
            self._refuse(self._maker(identity), f"is not the input of {where}")
        ordered = [streams[depth] for depth in STREAM_DEPTHS]
        return before, Block(conv1, ordered, gates[0], conv3, downsample, inside, outside)

    def _instance_norm(self, name: str) -> tuple[str, tuple[Array, ...]]:
        return self._norm(name) if self._is(name, "InstanceNormalization") else (name, ())

    def _is_branch(self, name: str) -> bool:
        """Tell conv3, which reads the sum of streams, from a block's input or its projection."""
        behind = self._norm(self._norm(name)[0])[0]
        node = self._maker(behind)
        return node is not None and node.op_type == "Conv" and self._is(node.input[0], "Add", "Sum")

    def _stream(self, name: str, where: str) -> tuple[str, list[tuple[Array, Affine]], tuple[Affine, Affine]]:
        """Read a gated stream; return what it reads, its Lite convolutions and its gate."""
        node = self._expect(name, ("Mul",), f"a gated stream of {where}")
        gated = [each for each in node.input if self._is(each, "Sigmoid")]
        rest = [each for each in node.input if not self._is(each, "Sigmoid")]
        if len(gated) != 1 or len(rest) != 1:
            self._refuse(node, f"is not a stream of {where} and its gate")
        inner = str(self._expect(gated[0], ("Sigmoid",), "a gate").input[0])
        inner, second = self._conv(inner, f"fc2 of the gate of {where}", 1)
        inner, first = self._conv(self._relu(inner, "a gate"), f"fc1 of the gate of {where}", 1)
        pooled = self._expect(inner, ("GlobalAveragePool", "ReduceMean", "AveragePool"), "a gate's pooling")
        if self._through(pooled.input[0]) != self._through(rest[0]):
            self._refuse(pooled, f"pools another stream of {where} than it gates")
        layers: list[tuple[Array, Affine]] = []
        stream = rest[0]
        while len(layers) < max(STREAM_DEPTHS) and self._is_depthwise(stream):
            stream, depthwise = self._conv(self._relu(stream, where), "a depthwise 3x3", 3, grouped=True)
            stream, pointwise = self._conv(stream, f"a 1x1 before a depthwise 3x3 of {where}", 1)
            if pointwise.bias is not None or pointwise.norm:
                self._refuse(self._maker(stream), f"stands before a 1x1 with a bias, in {where}")
            layers.insert(0, (pointwise.weight, depthwise))
        return self._through(stream), layers, (first, second)

    def _is_depthwise(self, name: str) -> bool:
        if not self._is(name, "Relu"):
            return False
        node = self._maker(self._norm(self._relu(name, ""))[0])
        return (
            node is not None
            and node.op_type == "Conv"
            and any(each.name == "group" and each.i > 1 for each in node.attribute)
        )
