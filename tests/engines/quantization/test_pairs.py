"""Q/DQ pairs: that they stand by the rules, and the lint that says so."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto, numpy_helper
from tensorrt_graphs import pictures

from osnet_edge.engines.backends.registry import builder_of
from osnet_edge.engines.graph.reading import Graph
from osnet_edge.engines.quantization.quantizer import Quantizer
from osnet_edge.engines.quantization.rules import (
    ONNXRUNTIME_ARM,
    ONNXRUNTIME_REDUCED,
    ONNXRUNTIME_X86,
    OPENVINO,
    OPENVINO_REDUCED,
    RULES,
    TENSORRT,
    QdqRules,
    rules_named,
)
from osnet_edge.runtime.backends.registry import CPU_BACKENDS, BackendName
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.processor import PROCESSORS
from quantization.graphs import graph_of, run, table_of
from quantization.lint import lint_qdq

ALL_RULES = list(RULES.values())
#: Widths of one kind have the same layers.
ONE_OF_EACH_KIND = ("osnet_x0_25", "osnet_x1_0", "osnet_ibn_x1_0", "osnet_ain_x0_25")


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        *((name, TENSORRT) for name in ONE_OF_EACH_KIND),
        *((name, rules) for name in ("osnet_x0_25", "osnet_ain_x0_25") for rules in ALL_RULES[1:]),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_pairs_of_every_kind_of_variant_stand_by_the_rules(name: str, rules: QdqRules) -> None:
    quantizer = Quantizer(graph_of(name), table_of(name), rules)
    graph = quantizer.make(quantizer.groups)
    assert lint_qdq(graph, rules) == []
    # The stem is a quarter of x0.25's work.
    most = 0.75 if rules.left_out else 0.99
    assert quantizer.macs_share(quantizer.groups) > (0.65 if "ain" in name or "ibn" in name else most)
    assert sum(node.op_type == "DequantizeLinear" for node in graph.model.graph.node) > 200
    onnxruntime.InferenceSession(graph.model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", ["osnet_x0_25", "osnet_ain_x0_25"])
def test_float16_around_the_pairs_moves_embeddings_by_few_hundredths(name: str) -> None:
    quantizer = Quantizer(graph_of(name), table_of(name), TENSORRT)
    full, half = (quantizer.make(quantizer.groups, half=each) for each in (False, True))
    assert lint_qdq(half, TENSORRT) == []
    expected = run(graph_of(name), pictures(8))
    error = [np.linalg.norm(run(each, pictures(8)) - expected) for each in (full, half)]
    # What lies near the middle between two steps is rounded the other way; the pairs' own error is apart.
    assert np.sqrt(max(0.0, error[1] ** 2 - error[0] ** 2)) < 0.03 * np.linalg.norm(expected)
    assert 2 * error[0] < np.linalg.norm(expected)


def test_groups_left_out_compute_as_before() -> None:
    quantizer = Quantizer(graph_of("osnet_x0_25"), table_of("osnet_x0_25"), TENSORRT)
    before = run(graph_of("osnet_x0_25"), pictures(3))
    assert np.abs(run(quantizer.make([]), pictures(3)) - before).max() <= 2e-5 * np.abs(before).max()
    only = quantizer.make(["fc"])
    assert Counter(node.op_type for node in only.model.graph.node)["QuantizeLinear"] == 1


def _move_behind_convolution(model: ModelProto) -> None:
    """Quantise what a ReLU reads, in place of what it writes."""
    relus = {node.output[0]: node for node in model.graph.node if node.op_type == "Relu"}
    quantize = next(n for n in model.graph.node if n.op_type == "QuantizeLinear" and n.input[0] in relus)
    quantize.input[0] = relus[quantize.input[0]].input[0]


def _shift_zero(model: ModelProto) -> None:
    quantize = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    zero = next(each for each in model.graph.initializer if each.name == quantize.input[2])
    zero.CopyFrom(numpy_helper.from_array(np.array(3, np.int8), zero.name))


def _unsigned(model: ModelProto) -> None:
    quantize = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    zero = next(each for each in model.graph.initializer if each.name == quantize.input[2])
    zero.CopyFrom(numpy_helper.from_array(np.array(0, np.uint8), zero.name))


def _float_weights(model: ModelProto) -> None:
    node = next(n for n in model.graph.node if n.op_type == "Conv" and n.input[1].endswith("_dequantized"))
    node.input[1] = node.input[1].removesuffix("_dequantized")


def _half_a_sum(model: ModelProto) -> None:
    node = next(n for n in model.graph.node if n.op_type == "Add" and n.input[0].endswith("_dequantized"))
    node.input[0] = node.input[0].removesuffix("_dequantized")


def _quantized_bias(model: ModelProto) -> None:
    node = next(n for n in model.graph.node if n.op_type == "Conv" and len(n.input) == 3)
    node.input[2] = node.input[1]


@pytest.mark.parametrize(
    ("breakage", "says"),
    [
        (_move_behind_convolution, "and its ReLU"),
        (_shift_zero, "a symmetric pair has a zero point"),
        (_unsigned, "expected activations of int8"),
        (_float_weights, "only one is quantised"),
        (_half_a_sum, "a sum reads one side quantised"),
        (_quantized_bias, "its bias is quantised"),
    ],
)
def test_the_lint_names_what_is_wrong(breakage: object, says: str) -> None:
    quantizer = Quantizer(graph_of("osnet_x0_25"), table_of("osnet_x0_25"), TENSORRT)
    model = quantizer.make(quantizer.groups).copy()
    assert callable(breakage)
    breakage(model)
    assert any(says in problem for problem in lint_qdq(Graph(model), TENSORRT))


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        # The residual path reads a block's input, as TensorRT's rules do not mind where sums are left out.
        ({"shared": ("input",)}, "reads what is in front of it"),
        # So is the first pool's output quantised, and not its input.
        ({"pools": ("MaxPool",)}, "a pool writes for a pair and reads none"),
        ({"weight_bits": 7}, "expected weights of int8 from -63 to 63"),
    ],
)
def test_the_lint_holds_a_graph_to_rules_that_are_not_its_own(rule: dict[str, Any], says: str) -> None:
    quantizer = Quantizer(graph_of("osnet_x0_25"), table_of("osnet_x0_25"), TENSORRT)
    groups = set(quantizer.groups) - {"sums"}
    problems = lint_qdq(quantizer.make(groups), replace(TENSORRT, **rule))
    assert problems
    assert all(problem.endswith(says) for problem in problems)


@pytest.mark.parametrize(
    ("backend", "processor", "rules"),
    [
        ("tensorrt_rtx", "", TENSORRT),
        ("tensorrt", "", TENSORRT),
        ("openvino", "x86-64-vnni", OPENVINO),
        ("openvino", "x86-64-bf16", OPENVINO),
        ("openvino", "aarch64", OPENVINO),
        ("openvino", "x86-64-v3", OPENVINO_REDUCED),
        ("openvino", "any", OPENVINO_REDUCED),
        ("onnxruntime", "x86-64-vnni", ONNXRUNTIME_X86),
        ("onnxruntime", "x86-64-bf16", ONNXRUNTIME_X86),
        ("onnxruntime", "x86-64-v3", ONNXRUNTIME_REDUCED),
        ("onnxruntime", "any", ONNXRUNTIME_REDUCED),
        ("onnxruntime", "aarch64", ONNXRUNTIME_ARM),
        ("onnxruntime", "aarch64-dotprod", ONNXRUNTIME_ARM),
    ],
)
def test_each_engine_has_its_rules(backend: BackendName, processor: str, rules: QdqRules) -> None:
    assert builder_of(backend).rules_for(processor) is rules


@pytest.mark.parametrize(
    ("backend", "processor", "message"),
    [
        ("onnxruntime_cuda", "", "expected a backend that has INT8, got onnxruntime_cuda"),
        ("openvino", "", "expected for INT8 in OpenVINO a processor of any, x86-64-v3, .*; got none"),
        ("onnxruntime", "riscv64", "expected for INT8 in ONNX Runtime a processor of any, .*; got riscv64"),
        ("tensorrt", "x86-64-vnni", "expected for INT8 in TensorRT a processor of none, .*; got x86-64-vnni"),
    ],
)
def test_a_backend_or_processor_without_int8_has_no_rules(
    backend: BackendName, processor: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        builder_of(backend).rules_for(processor)


def test_every_processor_has_rules_on_each_cpu_backend() -> None:
    for backend in CPU_BACKENDS:
        assert set(builder_of(backend).rules) == set(PROCESSORS)


def test_rules_that_are_not_known_are_refused_by_name() -> None:
    assert all(rules_named(rules.name) is rules for rules in ALL_RULES)
    with pytest.raises(InputError, match="got 'of tomorrow'; use the osnet-edge that wrote it"):
        rules_named("of tomorrow")
