"""An engine ruined on purpose is seen on images of people, and not on noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from osnet_edge.bench import from_json
from osnet_edge.bench.measure.runners import PackageRunner, ReferenceRunner
from osnet_edge.cli.main import main
from osnet_edge.export.to_onnx import export_onnx
from osnet_edge.train.synthetic import write_set


@pytest.fixture(scope="module")
def trained(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published network as a graph: one with random weights has no accuracy to lose."""
    path = tmp_path_factory.mktemp("trained") / "osnet.onnx"
    export_onnx(shared / "weights" / "osnet_x0_25_market1501.pth", path)
    return path


@pytest.fixture(scope="module")
def ruined(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package whose first convolution reads red for blue, as an engine fed by another library would.

    It proves itself when built: its golden pairs are of the graph as it was given.
    """
    folder = tmp_path_factory.mktemp("ruined")
    model = onnx.load(trained)
    stem = next(node for node in model.graph.node if node.op_type == "Conv").input[1]
    weight = next(item for item in model.graph.initializer if item.name == stem)
    swapped = np.ascontiguousarray(numpy_helper.to_array(weight)[:, ::-1])
    weight.CopyFrom(numpy_helper.from_array(swapped, stem))
    onnx.save(model, folder / "ruined.onnx")
    assert main(["build", str(folder / "ruined.onnx"), "--target", "cpu", "-o", str(folder / "ruined")]) == 0
    return folder / "ruined"


def test_people_show_what_an_engine_lost(trained: Path, ruined: Path, tmp_path: Path) -> None:
    people, written = tmp_path / "people", tmp_path / "result.json"
    write_set(people, train_identities=0, test_identities=30, cameras=2, pictures_per_camera=2, seed=0)
    given = ["--reference", str(trained), "--data", str(people), "--batch", "1", "--duration", "0.01"]
    assert main(["bench", str(ruined), *given, "--json", str(written)]) == 0
    change = from_json(written.read_text()).accuracy_changes()[1]
    assert change.intervals is not None
    for share, (low, high) in (
        (change.mean_ap, change.intervals.mean_ap),
        (change.rank1, change.intervals.rank1),
    ):
        assert low < share < high < 0


@pytest.mark.parametrize("contrast", [1.0, 0.1])
def test_noise_does_not(contrast: float, trained: Path, ruined: Path, rng: np.random.Generator) -> None:
    """Why no engine is proven on noise here: raw cosine stays above 0.99 with nine tenths of mAP gone.

    The noise is what engines are often checked with: normal, where the network expects normalised images
    (as torch.randn), and a tenth of it. Two different noises agree no worse than the two engines do: to a
    network, noise is a texture, always the same, whose red is like its blue.
    """
    reference, engine = ReferenceRunner(trained, threads=1), PackageRunner(ruined, threads=1)
    preprocessing = reference.preprocessing
    values = (
        contrast * rng.standard_normal((16, preprocessing.height, preprocessing.width, 3)) * preprocessing.std
        + preprocessing.mean
    )
    noise = list(np.rint(255 * values).clip(0, 255).astype(np.uint8))
    expected, got = reference.embed(noise), engine.embed(noise)
    assert (expected * got).sum(axis=1).mean() > 0.99
    assert (expected[::2] * expected[1::2]).sum(axis=1).mean() > 0.99
