"""`calibrate --threshold`, and what a package then says of the similarity that means the same person."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from osnet_edge.cli.main import main
from osnet_edge.runtime import Embedder, read_manifest
from osnet_edge.ship.publish.archive import write_archive
from osnet_edge.train.synthetic import write_set

SET = ["--threads", "1", "--data"]


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen drawn people on two cameras: 364 pairs of two people."""
    root = tmp_path_factory.mktemp("sets") / "street"
    write_set(root, train_identities=0, test_identities=14, cameras=2, pictures_per_camera=2, seed=0)
    return root


@pytest.fixture
def own(package: Path, tmp_path: Path) -> Path:
    """A package to change."""
    return shutil.copytree(package, tmp_path / "osnet-cpu")


def test_a_threshold_goes_into_the_package_and_from_there_to_its_readers(
    own: Path, street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_manifest(own)
    assert (before.threshold, Embedder.load(own).threshold) == (None, None)
    assert main(["calibrate", "--threshold", str(own), *SET, str(street), "--far", "0.1", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["threshold"]
    assert main(["eval", str(own), *SET, str(street), "--far", "0.1", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)["verification"]["osnet-cpu on street"]
    assert said["cosine"] == figures["points"][0]["threshold"]
    assert said["interval"] == figures["points"][0]["threshold_interval"]
    assert (said["far"], said["set"], said["images"], said["people"]) == (0.1, "street", 56, 14)
    after = read_manifest(own)
    assert after.files == before.files
    embedder = Embedder.load(own)
    embedder.prove()
    assert embedder.threshold == said["cosine"]
    assert sorted(path.name for path in own.iterdir()) == ["golden.npz", "manifest.json", "model.onnx"]
    assert main(["inspect", str(own)]) == 0
    assert f"cosine {said['cosine']:.4f}" in capsys.readouterr().out
    # What is published of it from now on has it too.
    write_archive(own, tmp_path / "package.tar")
    with tarfile.open(tmp_path / "package.tar") as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None
        assert json.load(manifest)["threshold"] == said


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        pytest.param("--far 0.001", "0.1 is resolved there", id="a rate that so few pairs do not resolve"),
        pytest.param("--far 0.1,0.01", "expected one rate", id="two rates"),
        pytest.param("--far much", "--far", id="no rate"),
        pytest.param("-o calib.json", "-o", id="an option of drawing a set"),
    ],
)
def test_nothing_is_written_where_there_is_no_threshold(
    typed: str, message: str, own: Path, street: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (own / "manifest.json").read_bytes()
    assert main(["calibrate", "--threshold", str(own), *SET, str(street), *typed.split()]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert (own / "manifest.json").read_bytes() == before


def test_a_set_of_one_camera_says_so(own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_set(
        tmp_path / "gate", train_identities=0, test_identities=4, cameras=2, pictures_per_camera=2, seed=0
    )
    for side in ("query", "bounding_box_test"):
        for path in (tmp_path / "gate" / side).iterdir():
            if "_c2" in path.name:
                path.unlink()
    assert main(["calibrate", "--threshold", str(own), *SET, str(tmp_path / "gate")]) == 2
    assert "2 cameras or more" in capsys.readouterr().err


def test_thresholds_of_a_benchmark_need_a_set(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(package), "--far", "0.01"]) == 2
    assert "expected --data SET for --far" in capsys.readouterr().err


def test_a_benchmark_finds_the_thresholds_of_each_engine(
    package: Path, street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "result.json"
    quick = ["--batch", "1", "--duration", "0.01", "--json", str(written)]
    assert main(["bench", str(package), *SET, str(street), "--far", "0.2", *quick]) == 0
    assert "against reference" in capsys.readouterr().out
    result = json.loads(written.read_text())
    assert "--far 0.2" in result["settings"]["command"]
    reference, engine = result["engines"]
    assert [point["far"] for point in reference["verification"]["points"]] == [0.2, 0.1, 0.01, 0.001, 0.0001]
    # The package has the reference's own graph.
    assert [each["interval"] for each in engine["threshold_changes"]] == [[0.0, 0.0]] * 2
    assert main(["bench", "diff", str(written), str(written)]) == 0
