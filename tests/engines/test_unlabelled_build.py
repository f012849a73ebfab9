"""The whole way without identities: drawn crops, a calibration set, an INT8 package, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_people import draw_people

from osnet_edge.cli.main import main
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.package.manifest import read_manifest
from osnet_edge.train.synthetic import sample_crops


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A set of 12 crops to calibrate on, and 6 to measure on."""
    folder = tmp_path_factory.mktemp("unlabelled")
    crops = draw_people(folder / "people", train=8) / "bounding_box_train"
    file = str(folder / "calib.json")
    assert main(["calibrate", "--crops", str(crops), "--images", "12", "--held-out", "6", "-o", file]) == 0
    return ["--calibration", file]


def test_an_int8_package_is_proven_and_says_how_far_embeddings_move(
    graph: Path, calibration: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["build", str(graph), "--target", "cpu", "--precision", "int8", "--batch", "1,1,4"]
    assert main([*command, *calibration, "-o", str(tmp_path / "out")]) == 0
    embedder = Embedder.load(tmp_path / "out")
    assert embedder.prove() < 1e-1
    np.testing.assert_allclose(np.linalg.norm(embedder(list(sample_crops(3, 90, 40))), axis=1), 1, atol=1e-5)
    int8 = read_manifest(tmp_path / "out").int8
    assert int8 is not None
    assert (int8.pictures, int8.held_out, int8.loss) == (12, 0, None)
    assert int8.drift is not None
    # Random weights give everybody next to the same embedding, and so large distances.
    assert (int8.drift.pictures, 0 < int8.drift.mean <= int8.drift.most <= 2) == (6, True)
    capsys.readouterr()
    assert main(["inspect", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert f"embeddings {int8.drift.mean:.4f} from float32 (worst {int8.drift.most:.4f}; " in text
    assert "held-out images" not in text


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["build", "--precision", "auto"], id="auto before its budget"),
        pytest.param(["build", "--precision", "auto", "--budget", "1"], id="auto"),
        pytest.param(["build", "--precision", "int8", "--budget", "1"], id="a budget"),
        pytest.param(["tune", "--budget", "1"], id="tune"),
        pytest.param(["tune"], id="tune before its budget"),
    ],
)
def test_what_needs_points_of_map_is_refused_at_once_with_what_helps(
    graph: Path,
    calibration: list[str],
    tmp_path: Path,
    command: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    name, *options = command
    given = ["--target", "cpu", *calibration, "-o", str(tmp_path / "out")]
    assert main([name, str(graph), *given, *options]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if not line.endswith("..."))
    assert "is of images without identities; build --precision int8 without a budget" in line
    assert "osnet-edge calibrate --data SET beside --crops or --detections" in line
