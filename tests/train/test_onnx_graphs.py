"""OSNet from ONNX graphs as exporters leave them: recovered and proved, or refused by what differs first."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxsim
import pytest
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.external_data_helper import convert_model_to_external_data
from torch import nn

from osnet_edge.export.to_onnx import export_onnx
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.preprocessing import Preprocessing
from osnet_edge.train.checkpoint import load_osnet, save_osnet
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.variants import variant_named

pytestmark = pytest.mark.filterwarnings("ignore")
SIZE = (64, 32)


def drawn(name: str, classes: int = 0) -> OSNet:
    """Random weights whose norms do something."""
    torch.manual_seed(0)
    model = OSNet(variant_named(name), num_classes=classes).eval()
    for key, value in model.state_dict().items():
        if key.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        elif key.endswith("running_mean") or (value.ndim == 1 and key.endswith("bias")):
            value.normal_(0, 0.1)
        elif value.ndim == 1 and key.endswith("weight"):
            value.uniform_(0.8, 1.2)
    return model


class Pipeline(nn.Module):
    """A network with its normalisation, and rows of length 1, as integrators export it."""

    def __init__(self, model: nn.Module, *, bgr: bool) -> None:
        super().__init__()
        self.model, self.bgr = model, bgr

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = images.permute(0, 3, 1, 2).float() / 255
        images = images[:, [2, 1, 0]] if self.bgr else images
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        rows = self.model((images - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1))
        return nn.functional.normalize(rows)


class Scores(nn.Module):
    """A network with its classifier, whose scores are the output."""

    def __init__(self, model: OSNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rows = self.model(images)
        return self.model.classifier(rows)


def export(model: nn.Module, image: torch.Tensor, path: Path, **options: Any) -> ModelProto:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    torch.onnx.export(model, (image,), str(path), **{"dynamo": False, "opset_version": 17, **options})
    return onnx.load(path)


FLOATS = torch.zeros(1, 3, *SIZE)
PIXELS = torch.zeros(2, *SIZE, 3, dtype=torch.uint8)
EXPORTERS: dict[str, Callable[[OSNet, Path], ModelProto]] = {
    "opset 11": lambda m, p: export(m, FLOATS, p, opset_version=11),
    "opset 13, batch norms kept": lambda m, p: export(
        m, FLOATS, p, opset_version=13, do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE
    ),
    "weights as inputs": lambda m, p: export(m, FLOATS, p, keep_initializers_as_inputs=True),
    "a free batch": lambda m, p: export(
        m, FLOATS, p, input_names=["input"], dynamic_axes={"input": {0: "n"}}
    ),
    "free everything": lambda m, p: export(
        m, FLOATS, p, input_names=["data"], dynamic_axes={"data": {0: "n", 2: "h", 3: "w"}}
    ),
    "the newer exporter": lambda m, p: export(
        m, FLOATS, p, dynamo=True, opset_version=18, verbose=False, external_data=False
    ),
}
#: The newer exporter takes 10 s a network, so it writes one, which has norms of both kinds.
MADE = [
    *[("osnet_x0_25", exporter) for exporter in EXPORTERS if exporter != "the newer exporter"],
    *[
        (name, exporter)
        for name in (
            *("osnet_x0_5", "osnet_ibn_x0_25", "osnet_ain_x0_25", "osnet_x0_25_pooled", "osnet_x0_25_128d"),
            "osnet_sbippop_x0_25",
        )
        for exporter in ("opset 13, batch norms kept", "opset 11")
    ],
    *[(name, "a free batch") for name in ("osnet_ain_x0_25", "osnet_x0_25_pooled", "osnet_x0_25_128d")],
    ("osnet_ain_x0_25", "the newer exporter"),
]


def require_same(path: Path, model: OSNet) -> None:
    images = torch.rand(2, 3, *SIZE) * 4 - 2
    got = load_osnet(path)
    with torch.inference_mode():
        expected, found = model.eval()(images), got(images)
    assert got.variant == model.variant
    assert torch.linalg.norm(found - expected) <= 1e-4 * torch.linalg.norm(expected)


@pytest.mark.parametrize(("name", "exporter"), MADE)
def test_networks_are_recovered_from_what_exporters_write(name: str, exporter: str, tmp_path: Path) -> None:
    model = drawn(name)
    EXPORTERS[exporter](model, tmp_path / "x.onnx")
    require_same(tmp_path / "x.onnx", model)


@cache
def plain() -> bytes:
    """A network with its batch norms, to be changed."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return EXPORTERS["opset 13, batch norms kept"](
            drawn("osnet_x0_25"), Path(folder) / "x"
        ).SerializeToString()


def renamed(graph: ModelProto) -> None:
    """Name nodes and tensors by numbers."""
    names: dict[str, str] = {}
    for number, node in enumerate(graph.graph.node):
        node.name = str(number)
        for names_of in (node.input, node.output):
            for at, name in enumerate(names_of):
                names_of[at] = names.setdefault(name, f"t{len(names)}") if name else ""
    for each in (*graph.graph.initializer, *graph.graph.input, *graph.graph.output):
        each.name = names.get(each.name, each.name)
    del graph.graph.value_info[:]


def simplified(graph: ModelProto) -> None:
    graph.CopyFrom(onnxsim.simplify(graph)[0])


def halved(graph: ModelProto) -> None:
    """Weights and inputs in float16; the network that is meant has such weights too."""
    for each in graph.graph.initializer:
        if each.data_type == TensorProto.FLOAT:
            each.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(each).astype(np.float16), each.name))
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    del graph.graph.value_info[:]


def constants_as_nodes(graph: ModelProto) -> None:
    for each in reversed(list(graph.graph.initializer)):
        graph.graph.node.insert(0, helper.make_node("Constant", [], [each.name], value=each))
    del graph.graph.initializer[:]


def identities(graph: ModelProto) -> None:
    """An Identity behind each node, as shared weights and some exporters leave them."""
    for node in list(graph.graph.node):
        inner = node.output[0] + "_inner"
        graph.graph.node.insert(
            list(graph.graph.node).index(node) + 1, helper.make_node("Identity", [inner], [node.output[0]])
        )
        node.output[0] = inner


def swapped_operands(graph: ModelProto) -> None:
    for node in graph.graph.node:
        if node.op_type in {"Add", "Mul"}:
            node.input[:] = list(reversed(node.input))


def anonymous(graph: ModelProto) -> None:
    for node in graph.graph.node:
        node.name = ""


def another_epsilon(graph: ModelProto) -> None:
    """Batch norms of another epsilon, with variances that make up for it."""
    variances = {
        node.input[4]: 1e-3 - 1e-5 for node in graph.graph.node if node.op_type == "BatchNormalization"
    }
    for node in graph.graph.node:
        for attribute in node.attribute:
            if node.op_type == "BatchNormalization" and attribute.name == "epsilon":
                attribute.f = 1e-3
    for each in graph.graph.initializer:
        if each.name in variances:
            value = numpy_helper.to_array(each) - np.float32(variances[each.name])
            each.CopyFrom(numpy_helper.from_array(value, each.name))


def aliased(graph: ModelProto) -> None:
    """A weight behind more identities than Python's stack is deep."""
    node = next(node for node in graph.graph.node if node.op_type == "Conv")
    for number in range(2000):
        alias = helper.make_node("Identity", [node.input[1]], [f"alias{number}"])
        graph.graph.node.insert(number, alias)
        node.input[1] = f"alias{number}"


def means_for_pools(graph: ModelProto) -> None:
    for node in graph.graph.node:
        if node.op_type == "GlobalAveragePool":
            node.op_type = "ReduceMean"
            node.attribute.extend(
                [helper.make_attribute("axes", [2, 3]), helper.make_attribute("keepdims", 1)]
            )


CHANGES: list[tuple[str, tuple[Callable[[ModelProto], None], ...]]] = [
    ("renamed", (renamed,)),
    ("simplified by onnxsim", (simplified,)),
    ("constants as nodes", (constants_as_nodes,)),
    ("an identity behind each node", (identities,)),
    ("operands the other way round", (swapped_operands,)),
    ("nodes without names", (anonymous,)),
    ("another epsilon", (another_epsilon,)),
    ("means for pools", (means_for_pools,)),
    ("thousands of names for a weight", (aliased,)),
    ("renamed and simplified", (renamed, simplified)),
    ("simplified and renamed", (simplified, renamed)),
    ("renamed, constants as nodes", (renamed, constants_as_nodes)),
    ("operands exchanged, simplified", (swapped_operands, simplified)),
    ("means for pools, identities", (means_for_pools, identities)),
    ("nodes without names, operands exchanged", (anonymous, swapped_operands)),
]


@pytest.mark.parametrize(("sentence", "changes"), CHANGES, ids=[case[0] for case in CHANGES])
def test_networks_are_recovered_from_what_tools_make_of_graphs(
    sentence: str, changes: tuple[Callable[[ModelProto], None], ...], tmp_path: Path
) -> None:
    graph = onnx.load_from_string(plain())
    for change in changes:
        change(graph)
    onnx.save(graph, tmp_path / "x.onnx")
    require_same(tmp_path / "x.onnx", drawn("osnet_x0_25"))


def test_a_float16_graph_gives_its_weights(tmp_path: Path) -> None:
    graph = onnx.load_from_string(plain())
    halved(graph)
    onnx.save(graph, tmp_path / "x.onnx")
    got, expected = load_osnet(tmp_path / "x.onnx").state_dict(), drawn("osnet_x0_25").state_dict()
    for name, value in expected.items():
        assert torch.allclose(got[name], value.half().to(value.dtype), atol=1e-6), name


@pytest.mark.parametrize("bgr", [False, True], ids=["RGB", "BGR"])
def test_what_a_graph_does_to_its_images_is_said(bgr: bool, tmp_path: Path) -> None:
    export(Pipeline(drawn("osnet_x0_25"), bgr=bgr), PIXELS, tmp_path / "x.onnx")
    said: list[str] = []
    load_osnet(tmp_path / "x.onnx", progress=said.append)
    order = ", red and blue exchanged" if bgr else ""
    assert f"takes bytes (N, 64, 32, 3) and normalises them{order}: mean 123.7, 116.3, 103.5" in said[0]
    assert "recovered osnet_x0_25; embeddings agree to" in said[1]
    require_same(tmp_path / "x.onnx", drawn("osnet_x0_25"))


@pytest.mark.parametrize("kind", ["graph", "host"])
@pytest.mark.parametrize("name", ["osnet_x0_25", "osnet_ain_x0_25"])
def test_our_own_graphs_give_the_network_they_were_made_of(
    kind: Literal["graph", "host"], name: str, tmp_path: Path
) -> None:
    save_osnet(drawn(name), tmp_path / "osnet.pth")
    taken = Preprocessing(*SIZE, normalize_in=kind)
    export_onnx(tmp_path / "osnet.pth", tmp_path / "osnet.onnx", preprocessing=taken)
    require_same(tmp_path / "osnet.onnx", drawn(name))


def test_what_a_graph_of_ours_cannot_give_is_said(tmp_path: Path) -> None:
    save_osnet(drawn("osnet_x0_25"), tmp_path / "osnet.pth")
    taken = Preprocessing(*SIZE)
    export_onnx(tmp_path / "osnet.pth", tmp_path / "x.onnx", preprocessing=taken, passes=("gate", "sum"))
    with pytest.raises(InputError, match=r"--rewrite gate,sum, .* expected the checkpoint, osnet.pth, or"):
        load_osnet(tmp_path / "x.onnx")
    with pytest.raises(InputError, match="holds one network; leave out --weights-key"):
        load_osnet(tmp_path / "x.onnx", weights_key="ema")


def test_another_mean_is_said_to_need_a_look_at_the_accuracy(tmp_path: Path) -> None:
    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = drawn("osnet_x0_25")

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            rows: torch.Tensor = self.model((images - 0.5) / 0.5)
            return rows

    export(Halves(), FLOATS, tmp_path / "x.onnx")
    said: list[str] = []
    load_osnet(tmp_path / "x.onnx", progress=said.append)
    assert "mean 0.5, 0.5, 0.5, std 0.5, 0.5, 0.5; osnet-edge normalises as for ImageNet, so" in said[0]


def test_the_embeddings_are_found_below_a_classifier(tmp_path: Path) -> None:
    model = drawn("osnet_x0_25", classes=9)
    export(Scores(model), FLOATS, tmp_path / "x.onnx")
    require_same(tmp_path / "x.onnx", model)


@pytest.mark.parametrize("spoilt", ["", "gone", "outside"])
def test_external_data_is_read_beside_the_graph_and_nowhere_else(spoilt: str, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    graph = onnx.load_from_string(plain())
    convert_model_to_external_data(graph, location="weights.bin")
    onnx.save(graph, tmp_path / "inner/x.onnx")
    if not spoilt:
        require_same(tmp_path / "inner/x.onnx", drawn("osnet_x0_25"))
        return
    (tmp_path / "inner/weights.bin").rename(tmp_path / "weights.bin")
    message = "weights.bin, which is missing beside it"
    if spoilt == "outside":
        content = (tmp_path / "inner/x.onnx").read_bytes()
        # Of the same length, so that the lengths in the file stay right.
        (tmp_path / "eights.bin").symlink_to("weights.bin")
        (tmp_path / "inner/x.onnx").write_bytes(content.replace(b"weights.bin", b"../ghts.bin"))
        message = "expected a file beside it"
    with pytest.raises(InputError, match=message):
        load_osnet(tmp_path / "inner/x.onnx")


def edited(kind: str, number: int, change: Callable[[Any, ModelProto], None]) -> Callable[[ModelProto], None]:
    def edit(graph: ModelProto) -> None:
        change([node for node in graph.graph.node if node.op_type == kind][number], graph)

    return edit


def as_kind(kind: str) -> Callable[[Any, ModelProto], None]:
    def change(node: Any, _: ModelProto) -> None:
        node.op_type = kind
        node.name = "the odd one"

    return change


def without(node: Any, graph: ModelProto) -> None:
    """Take a node out; what reads it reads what it read."""
    for other in graph.graph.node:
        for at, name in enumerate(other.input):
            if name == node.output[0]:
                other.input[at] = node.input[0]
    graph.graph.node.remove(node)


def negated(node: Any, graph: ModelProto) -> None:
    """A node more, that nothing of OSNet is."""
    node.output[0] += "_before"
    made = helper.make_node("Neg", [node.output[0]], [node.output[0].removesuffix("_before")], "the odd one")
    graph.graph.node.insert(list(graph.graph.node).index(node) + 1, made)


def with_scale(node: Any, graph: ModelProto) -> None:
    """Weights of INT8."""
    weight = next(each for each in graph.graph.initializer if each.name == node.input[1])
    value = numpy_helper.to_array(weight)
    graph.graph.initializer.append(numpy_helper.from_array(np.float32(0.01), "scale"))
    weight.CopyFrom(numpy_helper.from_array(value.astype(np.int8), "int8"))
    graph.graph.node.insert(
        0, helper.make_node("DequantizeLinear", ["int8", "scale"], [node.input[1]], "dequantize")
    )


def of_size(*dims: int) -> Callable[[ModelProto], None]:
    def edit(graph: ModelProto) -> None:
        for dim, value in zip(graph.graph.input[0].type.tensor_type.shape.dim, dims, strict=True):
            dim.dim_value = value

    return edit


def doubled(node: Any, graph: ModelProto) -> None:
    """A sum of itself and itself, forty times over."""
    at, last = list(graph.graph.node).index(node), node.input[0]
    for number in range(40):
        graph.graph.node.insert(at + number, helper.make_node("Add", [last, last], [f"sum{number}"]))
        last = f"sum{number}"
    node.input[0] = last


def widened(node: Any, graph: ModelProto) -> None:
    """Twice as many channels as what stands behind them."""
    weight = next(each for each in graph.graph.initializer if each.name == node.input[1])
    value = numpy_helper.to_array(weight)
    weight.CopyFrom(numpy_helper.from_array(np.concatenate([value, value]), weight.name))


def squared(graph: ModelProto) -> None:
    name = graph.graph.output[0].name
    graph.graph.node.append(helper.make_node("Mul", [name, name], ["squared"]))
    graph.graph.output[0].name = "squared"


def misshapen(node: Any, graph: ModelProto) -> None:
    next(each for each in graph.graph.initializer if each.name == node.input[1]).dims[0] = 10**9


HOSTILE: list[tuple[str, Callable[[ModelProto], None], str]] = [
    (
        "a circle",
        edited("Relu", 3, lambda n, _: n.input.__setitem__(0, n.output[0])),
        "reads what no node before it makes",
    ),
    ("a sum of two to the fortieth parts", edited("Add", 2, doubled), "is no OSNet that can be read"),
    ("a ReLU of nothing", edited("Relu", 5, lambda n, _: n.ClearField("input")), "no valid ONNX graph"),
    ("a norm without a variance", edited("BatchNormalization", 0, lambda n, _: n.input.pop()), "no valid"),
    ("a weight of another size than its shape", edited("Conv", 0, misshapen), "no valid ONNX graph"),
    ("no output", lambda g: g.graph.ClearField("output"), "no valid ONNX graph"),
    (
        "a stem wider than its norm",
        edited("Conv", 0, widened),
        "has 32 channels, and a bias or norm of others",
    ),
    ("a stream of another width", edited("Conv", 9, widened), r"is \(32, 16, 1, 1\), expected"),
    ("a square at the end, which is no scaling", squared, "it computes something that OSNet does not"),
    ("images larger than memory", of_size(1, 3, 40_000, 40_000), "expected images of people"),
    ("batches larger than memory", of_size(10**7, 3, *SIZE), "expected images of people"),
    ("images of one pixel", of_size(1, 3, 1, 1), "expected images of people"),
]

REFUSED: list[tuple[str, Callable[[ModelProto], None], str]] = [
    ("a gate of another function", edited("Sigmoid", 3, as_kind("HardSigmoid")), "gated stream|its gate"),
    ("a ReLU missing in a block", edited("Relu", 20, without), "is not"),
    ("another operation in a stream", edited("Relu", 7, negated), "four streams of conv2.0"),
    ("another pooling", edited("MaxPool", 0, as_kind("GlobalMaxPool")), "'the odd one' .GlobalMaxPool."),
    ("another operation at the end", edited("Gemm", 0, negated), "'the odd one' .Neg."),
    (
        "a stem of another stride",
        edited(
            "Conv",
            0,
            lambda n, g: [each.ints.__setitem__(0, 1) for each in n.attribute if each.name == "strides"],
        ),
        "other embeddings|cannot be run",
    ),
    (
        "an average in place of the maximum",
        edited("MaxPool", 0, as_kind("AveragePool")),
        "max pooling of the stem",
    ),
    ("weights of INT8", edited("Conv", 5, with_scale), "'dequantize' .DequantizeLinear. has INT8 weights"),
]


@pytest.mark.parametrize(
    ("sentence", "change", "message"), REFUSED + HOSTILE, ids=[case[0] for case in REFUSED + HOSTILE]
)
def test_a_graph_that_is_no_osnet_is_refused_by_what_differs_first(
    sentence: str, change: Callable[[ModelProto], None], message: str, tmp_path: Path
) -> None:
    graph = onnx.load_from_string(plain())
    change(graph)
    onnx.save(graph, tmp_path / "x.onnx")
    with pytest.raises(InputError, match=message) as refused:
        load_osnet(tmp_path / "x.onnx")
    assert "\n" not in str(refused.value)


def test_other_networks_are_refused(tmp_path: Path) -> None:
    other = nn.Sequential(
        nn.Conv2d(3, 16, 7, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 512)
    )
    export(other, FLOATS, tmp_path / "x.onnx")
    with pytest.raises(InputError, match="conv5"):
        load_osnet(tmp_path / "x.onnx")


@pytest.mark.parametrize("content", [b"", b"\x08\x08", b"\x08\x08garbage", b"hello"])
def test_what_is_no_graph_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(InputError, match=r"is no ONNX graph"):
        load_osnet(tmp_path / "x.onnx")
