"""The cost model: what it counts in real graphs, and how it puts launches, arithmetic and memory together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from osnet_edge.engines.graph.float16 import to_half
from osnet_edge.engines.graph.reading import Graph, read_graph
from osnet_edge.engines.graph.work import Work
from osnet_edge.engines.tuning.estimate import (
    DEVICES,
    EVENT_US,
    LAUNCH_US,
    estimate,
    find_ceilings,
    launches_of,
)
from osnet_edge.runtime.backends.tensorrt.plan_schedule import PlanSchedule
from osnet_edge.runtime.errors import InputError

_PLAN = PlanSchedule(
    launches=7,
    convolutions=4,
    generated=3,
    fused=0,
    matrix_products=0,
    pools=0,
    copies=0,
    events=0,
    streams=1,
)
A10 = find_ceilings("A10", ())


def test_a_published_networks_operations_are_the_papers(graph: Path) -> None:
    """82.3 million multiply-additions for x0.25 at 256x128 (Zhou et al., TPAMI 2021, table 8), two each."""
    read = read_graph(graph)
    work = read.work
    assert sum(each.operations for each in work if each.unit == "fp32") > 0
    assert sum(each.operations for each in work if not each.fused) == pytest.approx(2 * 82.3e6, rel=0.03)
    # Every weight is read once: 0.2 million parameters of 4 bytes, the classifier left out.
    assert sum(each.weight_bytes for each in work) == pytest.approx(0.2e6 * 4, rel=0.2)
    assert sum(not each.fused for each in work) < len(read.model.graph.node) / 1.5


def test_float16_moves_half_the_bytes_on_tensor_cores(graph: Path) -> None:
    read = read_graph(graph)
    whole, half = read.work, to_half(read).work
    moved = [sum(each.activation_bytes for each in work if not each.fused) for work in (whole, half)]
    assert moved[1] / moved[0] == pytest.approx(0.5, abs=0.06)
    shares = {unit: sum(each.operations for each in half if each.unit == unit) for unit in ("fp32", "fp16")}
    # The gates' convolutions stay float32; depthwise ones have no use for tensor cores.
    assert shares["fp32"] < 0.01 * shares["fp16"]
    assert shares["fp16"] > 0.6 * sum(each.operations for each in half if not each.fused)
    assert estimate(half, A10, 32) < estimate(whole, A10, 32)


def quantized() -> Graph:
    """A convolution of 16 to 32 channels on 8x8, its input and weights through Q/DQ pairs, ReLU behind."""
    scale = helper.make_tensor("scale", TensorProto.FLOAT, [], [0.1])
    zero = helper.make_tensor("zero", TensorProto.INT8, [], [0])
    weights = helper.make_tensor("weights", TensorProto.INT8, [32, 16, 1, 1], [1] * 512)
    nodes = [
        helper.make_node("Relu", ["images"], ["before"]),
        helper.make_node("QuantizeLinear", ["before", "scale", "zero"], ["small"]),
        helper.make_node("DequantizeLinear", ["small", "scale", "zero"], ["read"]),
        helper.make_node("DequantizeLinear", ["weights", "scale", "zero"], ["kernel"]),
        helper.make_node("Conv", ["read", "kernel"], ["made"]),
        helper.make_node("Relu", ["made"], ["embeddings"]),
    ]
    shapes = (("images", ["batch", 16, 8, 8]), ("embeddings", ["batch", 32, 8, 8]))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes]
    graph = helper.make_graph(nodes, "quantized", ends[:1], ends[1:], [scale, zero, weights])
    return Graph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))


def test_behind_q_dq_pairs_a_convolution_is_int8s_and_reads_bytes() -> None:
    work = [each for each in quantized().work if not each.fused]
    assert len(work) == 1
    conv = work[0]
    assert (conv.unit, conv.operations) == ("int8", 2 * 32 * 16 * 64)
    # 16 channels of 64 bytes in, 32 channels of 64 floats out.
    assert (conv.activation_bytes, conv.weight_bytes) == (16 * 64 + 32 * 64 * 4, 512)
    # In numbers of tensors, a dequantised kernel is read as any tensor is.
    assert (conv.activations, conv.weights) == (16 * 64 + 32 * 64 + 512, 0)


@given(
    operations=st.integers(0, 10**12),
    moved=st.integers(0, 10**10),
    weights=st.integers(0, 10**8),
    batch=st.integers(1, 64),
    launches=st.integers(1, 500),
    events=st.integers(0, 100),
)
def test_it_is_launches_and_events_and_the_slower_of_arithmetic_and_memory(
    operations: int, moved: int, weights: int, batch: int, launches: int, events: int
) -> None:
    work = (Work("", "Conv", operations, 0, 0, "fp16", moved, weights, fused=False),)
    schedule = replace(_PLAN, launches=launches, events=events)
    rest = estimate(work, A10, batch, schedule) - (LAUNCH_US * launches + EVENT_US * events) / 1000
    arithmetic, traffic = batch * operations / 125e9, (batch * moved + weights) / 600e6
    assert rest == pytest.approx(max(arithmetic, traffic), abs=1e-9)
    assert estimate(work, A10, batch + 1, schedule) >= estimate(work, A10, batch, schedule)


def test_without_a_plan_launches_are_the_operations_that_nothing_fuses() -> None:
    work = quantized().work
    assert launches_of(work, None) == 1
    assert launches_of(work, _PLAN) == 7


def test_every_device_is_found_by_its_name_and_has_a_source() -> None:
    for each in DEVICES:
        assert find_ceilings(each.device.lower().replace(" ", ""), ()) is each
        assert each.fp32 < each.fp16 < each.int8
        assert "NVIDIA" in each.source
    assert find_ceilings(None, ("12.1", "8.9")).device == "L4"
    with pytest.raises(InputError, match="expected --device as one of T4"):
        find_ceilings("abacus", ("8.6",))
    with pytest.raises(InputError, match=r"no device stands for compute capability 12\.1"):
        find_ceilings(None, ("12.1",))
