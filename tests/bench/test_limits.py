"""What the graph asks and the machine allows: counted by hand, and measured without absurdities."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bench_examples as examples
import numpy as np
import pytest

from osnet_edge.bench.measure.ceilings import measure_ceilings
from osnet_edge.bench.measure.layer_times import onnxruntime_layers, openvino_layers
from osnet_edge.bench.result.limits import Ceilings, LayerWork, Work, limit
from osnet_edge.cli.bench_work import count_graph


def test_the_graphs_operations_are_those_of_the_paper(graph: Path) -> None:
    """OSNet x0.25 at 256x128 has 0.08 G multiply-accumulates and 0.2 M weights (model zoo of its authors)."""
    work = count_graph(str(graph))
    kinds = {layer.kind for layer in work.layers}
    multiplied = sum(layer.operations for layer in work.layers if layer.kind in ("Conv", "Gemm", "MatMul"))
    assert multiplied / 2 == pytest.approx(0.082e9, rel=0.02)
    assert sum(layer.weights for layer in work.layers) == pytest.approx(0.22e6, rel=0.1)
    assert (work.input_bytes, work.output_bytes) == (256 * 128 * 3, 512 * 4)
    assert "Reshape" not in kinds
    # The first convolution: 16 channels of 128x64, each of 3 channels under 7x7.
    first = next(layer for layer in work.layers if layer.kind == "Conv")
    assert first.operations == 2 * 16 * 128 * 64 * 3 * 49
    assert first.weights == 16 * 3 * 49 + 16
    assert first.activations == 3 * 256 * 128 + 16 * 128 * 64


def test_the_floor_is_the_longer_of_two_times() -> None:
    work = Work((LayerWork("a", "Conv", 1_000_000, 5_000, 2_000),), 1_000, 500)
    ceilings = Ceilings(1e9, {"fp32": 1e9, "int8": 1e12})
    # 8 M operations at 1 G a second; 8,000 bytes of weights and 12,000 in and out take a hundredth of that.
    found = limit("x", 8, "fp32", 16.0, work, ceilings)
    assert found is not None
    assert (found.floor_ms, found.times_floor, found.bound) == (8.0, 2.0, "compute")
    assert found.operations_per_second == pytest.approx(0.5e9)
    assert found.operations_per_byte == pytest.approx(8e6 / (4 * (8 * 5_000 + 2_000)))
    # In bytes, and a thousand times as quick, memory is what holds it.
    found = limit("x", 8, "int8", 16.0, work, ceilings)
    assert found is not None
    assert (found.bound, found.floor_ms) == ("memory", pytest.approx(14e-3))
    assert limit("x", 8, "fp16", 16.0, work, ceilings) is None


def test_this_machine_has_ceilings() -> None:
    found = measure_ceilings(1, seconds=0.01)
    assert found is not None
    # Any machine that runs this is within these.
    assert 1e8 < (found.bytes_per_second or 0) < 1e13
    assert all(1e8 < rate < 1e15 for rate in found.operations_per_second.values())
    assert "fp32" in found.operations_per_second


def test_layers_are_told_by_both_backends(package: Path) -> None:
    pytest.importorskip("openvino")
    batch = np.zeros((2, 256, 128, 3), np.uint8)
    for ask in (onnxruntime_layers, openvino_layers):
        layers = ask(package / "model.onnx", batch, threads=1)
        times = [each.ms for each in layers.times]
        assert layers.batch == 2
        assert len(times) > 50
        assert times == sorted(times, reverse=True)
        assert any("onv" in each.kind for each in layers.times)


def test_an_engine_on_a_device_is_not_held_to_the_processors_floor() -> None:
    result = examples.everything()
    engine = result.engines[1]
    copied = tuple(replace(each, transfers=True) for each in engine.batches)
    moved = replace(result, engines=(result.engines[0], replace(engine, batches=copied)))
    assert {each.engine for each in result.limits()} == {"x0_25-fp32", "x0_25-int8", "BoxMOT"}
    assert {each.engine for each in moved.limits()} == {"x0_25-fp32"}
