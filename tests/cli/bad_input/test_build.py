"""Graphs, and options, that `build` refuses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper, numpy_helper

from bad_input.cases import Arguments, Bench, Case, Refused, each, good_checkpoint, good_graph, half_of
from osnet_edge.train.variants import PUBLISHED


def built(graph: Callable[[Bench], str], *options: str) -> Arguments:
    return lambda b: ["build", graph(b), "-o", "out", *(options or ("--target", "cpu"))]


def precise(target: str, precision: str, *options: str) -> Arguments:
    return built(good_graph, "--target", target, "--precision", precision, *options)


def without_metadata(graph: onnx.ModelProto) -> None:
    del graph.metadata_props[:]


def with_other_metadata(graph: onnx.ModelProto) -> None:
    graph.metadata_props[0].value = '{"model": 3}'


def with_broken_metadata(graph: onnx.ModelProto) -> None:
    graph.metadata_props[0].value = "{"


def with_other_input(graph: onnx.ModelProto) -> None:
    graph.graph.input[0].name = "data"
    graph.graph.node[0].input[0] = "data"


def quantised(graph: onnx.ModelProto) -> None:
    """As another tool's INT8 graph: weights behind a DequantizeLinear."""
    without_metadata(graph)
    weight, name = graph.graph.initializer[0], graph.graph.initializer[0].name
    scale = numpy_helper.from_array(np.float32(0.01), "scale")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.int8), "int8"))
    graph.graph.initializer.append(scale)
    graph.graph.node.insert(0, helper.make_node("DequantizeLinear", ["int8", "scale"], [name], "dequantize"))


@each(
    ("no such graph", built(lambda b: "missing.onnx"), "found nothing at missing.onnx"),
    ("a checkpoint for a graph", built(good_checkpoint), "export it first: osnet-edge export"),
    (
        "a checkpoint whose name a shell would part",
        built(lambda b: b.file(b.checkpoint.read_bytes(), "my osnet.pth")),
        "my osnet.pth' -o 'my osnet.onnx'",
    ),
    (
        "a graph that was quantised before",
        built(lambda b: b.edited_graph(quantised)),
        "is quantised already (node 'dequantize', DequantizeLinear); give the float32 ONNX or the checkpoint",
    ),
    ("a folder for a graph", built(lambda b: str(b.folder)), "found a folder at"),
    (
        "a checkpoint of safetensors",
        built(lambda b: b.file(b"x", "x.safetensors")),
        "found a checkpoint at",
    ),
    ("an empty graph", built(lambda b: b.file(b"", "x.onnx")), "is no ONNX graph"),
    ("a truncated graph", built(half_of(good_graph, "x.onnx")), "is no ONNX graph"),
    ("a graph of a peer", built(lambda b: b.edited_graph(without_metadata)), "does not say how its images"),
    ("metadata cut short", built(lambda b: b.edited_graph(with_broken_metadata)), "its metadata is not JSON"),
    ("metadata of another kind", built(lambda b: b.edited_graph(with_other_metadata)), "expected an object"),
    ("an input of another name", built(lambda b: b.edited_graph(with_other_input)), "expected one input"),
    (
        "a placement that the graph has not",
        built(good_graph, "--target", "cpu", "--placement", str(PUBLISHED / "ibn.json")),
        "got npppppp",
    ),
)
def test_graphs(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    ("a target nobody knows", built(good_graph, "--target", "npu"), "expected a target of cpu"),
    ("a GPU spelt oddly", built(good_graph, "--target", "rtx:ampere"), "GPU generations such as sm86"),
    ("a GPU for the CPU", built(good_graph, "--target", "cpu:sm86"), "expected a target of cpu"),
    ("half precision on the CPU", precise("cpu", "fp16"), "fp16 is for cuda and rtx and tensorrt"),
    (
        "bf16 in ONNX Runtime",
        precise("cpu", "bf16"),
        "expected --precision fp32 or int8 for the target cpu, got bf16; bf16 is for openvino",
    ),
    ("bf16 for whichever library is faster", precise("cpu:fastest", "bf16"), "bf16 is for openvino"),
    ("bf16 on a GPU", precise("rtx", "bf16"), "expected --precision fp32 or fp16 or int8 for the target rtx"),
    (
        "fp16 in OpenVINO",
        precise("openvino", "fp16"),
        "expected --precision fp32 or bf16 or int8 for the target openvino",
    ),
    ("the slowest", built(good_graph, "--target", "cpu:slowest"), "expected a target of cpu"),
    ("a precision nobody knows", precise("cpu", "fp4"), "'fp4' is not one of"),
)
def test_targets_and_their_precisions(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    (
        "a calibration set that is not there",
        precise("rtx", "fp16", "--calibration", "none.json"),
        "expected a calibration set, found nothing at none.json",
    ),
    (
        "a graph for a calibration set",
        lambda b: precise("rtx", "fp16", "--calibration", good_graph(b))(b),
        "; expected a calibration set; draw it again",
    ),
)
def test_calibration_sets(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    ("batches that fall", built(good_graph, "--target", "cpu", "--batch", "8,4,2"), "1 <= min <= opt <= max"),
    ("a batch of nothing", built(good_graph, "--target", "cpu", "--batch", "0"), "expected --batch as whole"),
    ("two batches", built(good_graph, "--target", "cpu", "--batch", "1,2"), "expected --batch min,opt,max"),
)
def test_batches(case: Case, refused: Refused) -> None:
    refused(case)


@each(
    (
        "an output that is there",
        lambda b: ["build", good_graph(b), "--target", "cpu", "-o", str(b.folder)],
        "--force",
    ),
    (
        "a folder of something else to replace",
        lambda b: ["build", good_graph(b), "--target", "cpu", "--force", "-o", str(b.folder)],
        "is no engine package, so it is not replaced",
    ),
)
def test_outputs(case: Case, refused: Refused) -> None:
    refused(case)
