"""What is asked of an engine while it is measured: a package by its backend, a graph opened by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from osnet_edge.bench.measure.runners import NotSupportedError, PackageRunner, ReferenceRunner, Runner
from osnet_edge.cli.main import main


def check_layers(runner: Runner) -> None:
    layers = runner.layers(runner.example(2))
    assert layers.batch == 2
    assert len(layers.times) > 50


@pytest.mark.parametrize("load", [lambda package: PackageRunner(package, 1), ReferenceRunner])
def test_onnx_runtime_tells_layers(load: Callable[[Path], Runner], package: Path) -> None:
    check_layers(load(package if load is not ReferenceRunner else package / "model.onnx"))


def test_openvino_tells_layers(graph: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    assert main(["build", str(graph), "--target", "openvino", "-o", str(tmp_path / "package")]) == 0
    check_layers(PackageRunner(tmp_path / "package", 1))


def test_what_an_engine_on_the_cpu_lacks(package: Path) -> None:
    runner = PackageRunner(package, 1)
    batch = runner.example(1)
    assert (runner.parts(batch), runner.cuda_graph(), runner.facts.transfers) == ({}, None, None)
    assert runner.infer(batch).shape == (1, 512)
    with pytest.raises(NotSupportedError, match="is no other program"):
        runner.read_batch(1, 0.0)


def test_a_graph_by_hand_gives_the_packages_rows(package: Path) -> None:
    crops = list(np.random.default_rng(0).integers(0, 256, (2, 90, 40, 3), np.uint8))
    rows = [
        each.embed(crops) for each in (PackageRunner(package, 1), ReferenceRunner(package / "model.onnx", 1))
    ]
    np.testing.assert_allclose(*rows, atol=2e-5)
