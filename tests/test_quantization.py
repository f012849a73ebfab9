"""INT8's pieces: layers, statistics, ranges, equalisation, correction, Q/DQ pairs and the budget."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper
from tensorrt_graphs import exported, pictures

from osnet_edge.engines.quantization.correction import correct_biases
from osnet_edge.engines.quantization.decide import Budget, choose_groups
from osnet_edge.engines.quantization.equalization import equalize
from osnet_edge.engines.quantization.layers import find_layers, groups_of
from osnet_edge.engines.quantization.lint import lint_qdq
from osnet_edge.engines.quantization.qdq import insert_qdq
from osnet_edge.engines.quantization.quantizer import Quantizer, simulate
from osnet_edge.engines.quantization.ranges import METHODS
from osnet_edge.engines.quantization.rules import (
    ONNXRUNTIME_ARM,
    ONNXRUNTIME_X86,
    OPENVINO,
    TENSORRT,
    QdqRules,
    rules_for,
)
from osnet_edge.engines.quantization.statistics import ChannelHistograms, collect
from osnet_edge.engines.quantization.table import CalibrationTable, make_table
from osnet_edge.engines.quantization.weights import quantize_weights
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.precision import Loss
from osnet_edge.train.variants import VARIANTS

ALL_RULES = [TENSORRT, OPENVINO, ONNXRUNTIME_X86, ONNXRUNTIME_ARM]


@functools.cache
def model_of(name: str) -> ModelProto:
    return onnx.load(exported(name))


@functools.cache
def table_of(name: str) -> CalibrationTable:
    batches = [pictures(4)[:2], pictures(4)[2:]]
    names = {"graph_sha256": "g", "pictures_sha256": "p"}
    return make_table(model_of(name), batches, **names, threads=1, methods=("mse",))


def run(model: ModelProto, batch: np.ndarray) -> np.ndarray:
    return simulate(model, [batch], 1)


# Layers


def test_layers_of_osnet_are_told_by_kind_and_group() -> None:
    layers = find_layers(model_of("osnet_x1_0"))
    # Counts of the published network: ../shared/facts/tensorrt.md, section 3.
    assert Counter(layer.kind for layer in layers) == {
        "stem": 1,
        "pointwise": 78,
        "depthwise": 60,
        "gate": 48,
        "fc": 1,
        "sum": 6,
    }
    # Table 1 of the paper counts 978.9 million at 256x128; this graph is a quarter of the size.
    assert sum(layer.macs for layer in layers) == pytest.approx(978.9e6 / 4, rel=0.01)
    groups = groups_of(layers)
    assert len(groups["gates"]) == 48
    assert {"stem", "conv2.0 pointwise", "conv4.1 depthwise", "conv5 pointwise", "fc", "sums"} <= set(groups)


def test_a_graph_with_pairs_in_it_is_refused() -> None:
    quantizer = Quantizer(model_of("osnet_x0_25"), table_of("osnet_x0_25"), OPENVINO)
    with pytest.raises(InputError, match="got one with Q/DQ in it"):
        find_layers(quantizer.make(quantizer.groups))


# Statistics


@given(
    parts=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    scale=st.floats(1e-6, 1e6),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_counting_in_parts_gives_what_counting_at_once_gives(
    parts: list[int], scale: float, seed: int
) -> None:
    values = (np.random.default_rng(seed).standard_normal((3, sum(parts))) * scale).astype(np.float32)
    values[1] = 0
    piecewise, at_once = ChannelHistograms.of(3), ChannelHistograms.of(3)
    for part in np.split(values, np.cumsum(parts)[:-1], axis=1):
        piecewise.add(part)
    at_once.add(values)
    assert np.array_equal(piecewise.largest, at_once.largest)
    assert np.allclose(piecewise.mean, at_once.mean, rtol=1e-5, atol=1e-7 * scale)
    assert piecewise.counts.sum() == at_once.counts.sum() == values.size
    # Each value is within a bin of where it is counted, and a limit is less than twice the largest value.
    assert (piecewise.limit[[0, 2]] < 2 * piecewise.largest[[0, 2]]).all()
    for counted in (piecewise, at_once):
        size = (counted.counts.sum(axis=0) * counted.centres).sum(axis=1)
        assert np.allclose(
            size, np.abs(values).sum(axis=1), rtol=0, atol=counted.limit / 512 * values.shape[1]
        )


def damaged(tensor: str, value: float) -> ModelProto:
    """A network of one convolution whose weights give `value` everywhere."""
    model = ModelProto()
    model.CopyFrom(model_of("osnet_x0_25"))
    for weight in model.graph.initializer:
        if weight.name == tensor:
            values = np.full(tuple(weight.dims), value, np.float32)
            weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    return model


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "are not finite on the calibration pictures"),
        (np.inf, "are not finite on the calibration pictures"),
        (0.0, "are 0 on all calibration pictures, so they have no range"),
    ],
)
def test_activations_without_a_range_are_one_clear_line(value: float, message: str) -> None:
    layer = next(each for each in find_layers(model_of("osnet_x0_25")) if each.kind == "depthwise")
    node = next(n for n in model_of("osnet_x0_25").graph.node if n.name == layer.node)
    broken = damaged(layer.weight, value)
    for weight in broken.graph.initializer:
        if value == 0 and weight.name == node.input[2]:
            weight.CopyFrom(numpy_helper.from_array(np.zeros(tuple(weight.dims), np.float32), weight.name))
    with pytest.raises(InputError, match=message):
        make_table(broken, [pictures(2)], graph_sha256="g", pictures_sha256="p", threads=1)


def test_statistics_are_of_the_tensors_that_were_asked_for() -> None:
    layers = find_layers(model_of("osnet_x0_25"))
    found = collect(model_of("osnet_x0_25"), [layers[0].output], [pictures(2)], threads=1)
    assert list(found) == [layers[0].output]
    assert found[layers[0].output].signed


# Ranges

histograms = st.lists(st.integers(0, 1000), min_size=256, max_size=256).filter(lambda c: sum(c[1:]) > 0)


@pytest.mark.parametrize("method", METHODS)
@given(counts=histograms, largest=st.floats(1e-3, 1e3), levels=st.sampled_from([127, 255]))
@settings(max_examples=25, deadline=None)
def test_a_range_is_within_the_values_and_goes_with_their_unit(
    method: str, counts: list[int], largest: float, levels: int
) -> None:
    choose, spread = METHODS[method], np.asarray(counts, np.float64)
    found = choose(spread, largest, levels)
    assert 0 < found <= largest * (1 + 1e-9)
    assert choose(spread, 1.0, levels) == pytest.approx(found / largest)


@given(counts=histograms, levels=st.sampled_from([127, 255]))
@settings(max_examples=25, deadline=None)
def test_no_other_method_has_a_smaller_squared_error_than_mse(counts: list[int], levels: int) -> None:
    spread = np.asarray(counts, np.float64)
    values = (np.arange(256) + 0.5) / 256
    values[0] = 0

    def error(limit: float) -> float:
        step = limit / levels
        return float(spread @ (values - np.minimum(np.round(values / step), levels) * step) ** 2)

    least = error(METHODS["mse"](spread, 1.0, levels))
    assert all(least <= error(share) + 1e-9 for share in np.linspace(0.05, 1, 96))


def test_outliers_are_cut_by_all_methods_but_minmax() -> None:
    spread = 1e6 * np.exp(-((np.arange(2048) / 128) ** 2))
    spread[-1] += 1
    found = {name: choose(spread, 8.0, 127) for name, choose in METHODS.items()}
    assert found["minmax"] == 8.0
    assert all(0.5 < found[name] < 3 for name in ("mse", "percentile", "entropy")), found


@given(seed=st.integers(0, 999), channels=st.integers(1, 8))
@settings(max_examples=25, deadline=None)
def test_weights_are_rounded_by_half_a_step_at_most(seed: int, channels: int) -> None:
    weights = (
        np.random.default_rng(seed).standard_normal((channels, 5)) * 10.0 ** np.arange(channels)[:, None]
    )
    integers, scales = quantize_weights(weights)
    assert np.abs(integers).max(axis=1).tolist() == [127] * channels
    assert (np.abs(integers * scales[:, None] - weights) <= scales[:, None] * 0.5001).all()


# Equalisation and correction


@pytest.mark.parametrize("name", ["osnet_x0_25", "osnet_ibn_x1_0", "osnet_ain_x0_25"])
def test_equalising_changes_nothing_but_how_even_channels_are(name: str) -> None:
    model, table = model_of(name), table_of(name)
    layers = find_layers(model)
    factors = {key: np.asarray(each.factors) for key, each in table.tensors.items() if each.factors}
    even = equalize(model, layers, factors)
    before, after = run(model, pictures(3)), run(even, pictures(3))
    assert np.abs(after - before).max() <= 2e-5 * np.abs(before).max()
    reads = [layer.input for layer in layers if layer.kind == "depthwise"]
    spreads = [collect(each, reads, [pictures(4)], threads=1) for each in (model, even)]
    ratios = [
        np.median([(s.largest.max() / np.median(s.largest)) for s in spread.values()]) for spread in spreads
    ]
    assert ratios[1] < 1.01 < ratios[0]


def test_correcting_a_bias_takes_the_drift_of_means_away() -> None:
    # Two 1x1, of which the second reads clipped values.
    random = np.random.default_rng(0)
    weights = {"w1": random.standard_normal((16, 3, 1, 1)), "w2": random.standard_normal((4, 16, 1, 1)) + 0.5}
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT, name="cast"),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2], name="transpose"),
        helper.make_node("Conv", ["planes", "w1"], ["first"], name="one"),
        helper.make_node("Relu", ["first"], ["positive"], name="relu"),
        helper.make_node("Conv", ["positive", "w2"], ["second"], name="two"),
        helper.make_node("GlobalAveragePool", ["second"], ["mean"], name="mean"),
        helper.make_node("Flatten", ["mean"], ["embeddings"], name="flatten"),
    ]
    shape = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", 8, 4, 3])
    out = helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["N", 4])
    constants = [numpy_helper.from_array(v.astype(np.float32), name) for name, v in weights.items()]
    graph = helper.make_graph(nodes, "g", [shape], [out], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    batch = random.gamma(0.3, 60.0, (256, 8, 4, 3)).clip(0, 255).astype(np.uint8)
    table = make_table(model, [batch], graph_sha256="g", pictures_sha256="p", threads=1)
    two = [layer for layer in find_layers(model) if layer.node == "two"]
    key = "percentile/127"
    assert table.tensors["positive"].ranges[key] < table.tensors["positive"].ranges["minmax/127"]
    factors = {"positive": np.asarray(table.tensors["positive"].factors)}
    even = equalize(model, find_layers(model), factors)
    expected = run(model, batch).mean(axis=0)
    drifts = [
        np.abs(run(insert_qdq(each, two, table, TENSORRT, "percentile"), batch).mean(axis=0) - expected).max()
        for each in (even, correct_biases(even, two, table, TENSORRT, "percentile"))
    ]
    # Not to nothing: clipped values are few, and an eighth of all was counted.
    assert drifts[1] < drifts[0] / 2


# Pairs


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        *((name, TENSORRT) for name in VARIANTS),
        *((name, rules) for name in ("osnet_x0_25", "osnet_ain_x0_25") for rules in ALL_RULES[1:]),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_pairs_of_every_variant_stand_by_the_rules(name: str, rules: QdqRules) -> None:
    quantizer = Quantizer(model_of(name), table_of(name), rules)
    model = quantizer.make(quantizer.groups)
    assert lint_qdq(model, rules) == []
    assert quantizer.macs_share(quantizer.groups) > (0.65 if "ain" in name or "ibn" in name else 0.99)
    assert sum(node.op_type == "DequantizeLinear" for node in model.graph.node) > 200
    onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", ["osnet_x0_25", "osnet_ain_x0_25"])
def test_float16_around_the_pairs_costs_no_more_than_the_pairs(name: str) -> None:
    quantizer = Quantizer(model_of(name), table_of(name), TENSORRT)
    full, half = (quantizer.make(quantizer.groups, half=each) for each in (False, True))
    assert lint_qdq(half, TENSORRT) == []
    expected = run(model_of(name), pictures(8))
    error = [np.linalg.norm(run(each, pictures(8)) - expected) for each in (full, half)]
    assert error[1] < 2 * error[0] < np.linalg.norm(expected)


def test_groups_left_out_compute_as_before() -> None:
    quantizer = Quantizer(model_of("osnet_x0_25"), table_of("osnet_x0_25"), TENSORRT)
    before = run(model_of("osnet_x0_25"), pictures(3))
    assert np.abs(run(quantizer.make([]), pictures(3)) - before).max() <= 2e-5 * np.abs(before).max()
    only = quantizer.make(["fc"])
    assert Counter(node.op_type for node in only.graph.node)["QuantizeLinear"] == 1


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
    quantizer = Quantizer(model_of("osnet_x0_25"), table_of("osnet_x0_25"), TENSORRT)
    model = quantizer.make(quantizer.groups)
    assert callable(breakage)
    breakage(model)
    assert any(says in problem for problem in lint_qdq(model, TENSORRT))


@pytest.mark.parametrize(
    ("backend", "machine", "rules"),
    [
        ("tensorrt_rtx", "x86_64", TENSORRT),
        ("tensorrt", "aarch64", TENSORRT),
        ("openvino", "x86_64", OPENVINO),
        ("onnxruntime", "x86_64", ONNXRUNTIME_X86),
        ("onnxruntime", "AMD64", ONNXRUNTIME_X86),
        ("onnxruntime", "aarch64", ONNXRUNTIME_ARM),
        ("onnxruntime", "arm64", ONNXRUNTIME_ARM),
    ],
)
def test_each_engine_has_its_rules(backend: str, machine: str, rules: QdqRules) -> None:
    assert rules_for(backend, machine) is rules  # type: ignore[arg-type]


# The budget

losses = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(-0.2, 2.0), min_size=1)


@given(costs=losses, budget=st.floats(0, 3))
@settings(max_examples=100, deadline=None)
def test_a_choice_is_within_the_budget_as_measured_and_all_if_all_is(
    costs: dict[str, float], budget: float
) -> None:
    measured: dict[frozenset[str], Loss] = {}

    def measure(groups: Sequence[str]) -> Loss:
        loss = sum(costs[name] for name in groups)
        measured[frozenset(groups)] = Loss(loss, loss + 0.1, 0, 0)
        return measured[frozenset(groups)]

    found = choose_groups(tuple(costs), lambda: dict.fromkeys(costs, 1.0), measure, Budget(budget))
    allowed = {name for name, cost in costs.items() if cost + 0.1 <= budget}
    if sum(costs.values()) + 0.1 <= budget:
        assert found is not None
        assert set(found.groups) == set(costs)
    elif found is None:
        # With equal gains the cheapest is tried first: nothing fits only if that does not, alone.
        assert not allowed or min(costs.values()) + 0.1 > budget
    else:
        assert found.loss == measured[frozenset(found.groups)]
        assert found.loss.mean_ap_most <= budget
        assert set(found.alone) == set(costs)


def test_groups_that_slow_the_engine_down_stay_out_once_groups_are_chosen() -> None:
    def measure(groups: Sequence[str]) -> Loss:
        return Loss(0.3 * len(groups), 0.3 * len(groups), 0, 0)

    found = choose_groups("abc", lambda: {"a": 1.0, "b": -0.5, "c": 2.0}, measure, Budget(0.7))
    assert found is not None
    assert sorted(found.groups) == ["a", "c"]


@pytest.mark.parametrize("points", [-0.1, 101, float("nan")])
def test_a_budget_that_is_none_is_refused(points: float) -> None:
    with pytest.raises(InputError, match="of 0 to 100 points"):
        Budget(points)


def test_rank1_can_be_held_to_as_well() -> None:
    loss = Loss(0.0, 0.1, 0.5, 1.5)
    assert Budget(0.5).allows(loss)
    assert not Budget(0.5, 1.0).allows(loss)
    assert Budget(None, 2.0).allows(loss)
