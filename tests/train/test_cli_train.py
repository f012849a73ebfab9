"""`osnet-edge train` by its command line."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest
import torch
import train_throughput
from click.testing import CliRunner
from training_runs import epochs_listed, start, until

from osnet_edge.cli.main import main
from osnet_edge.runtime.errors import InputError
from osnet_edge.train.checkpoint import load_osnet
from osnet_edge.train.data import training_pictures
from osnet_edge.train.recipe import read_recipe
from osnet_edge.train.run_folder import threads_of
from osnet_edge.train.synthetic import write_set
from osnet_edge.train.trainer import train
from osnet_edge.train.variants import PUBLISHED


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "street"
    write_set(
        folder,
        train_identities=4,
        test_identities=2,
        cameras=2,
        pictures_per_camera=2,
        seed=3,
        height=64,
        width=32,
    )
    return folder


SMALL = ["--size", "64x32", "--set", "batches.size=4", "--workers", "0"]


def test_a_run_says_how_it_went_and_can_be_repeated_from_its_record(
    street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    typed = ["train", "quick", "--data", str(street), "-o", "run", "--epochs", "2", *SMALL]
    typed += ["--test", str(street), "--test-every", "2"]
    assert main(typed) == 0
    out, err = capsys.readouterr()
    assert out == "run/osnet.pth: osnet_x0_25, 4 identities, 2 epochs\n"
    assert "epoch 2: loss" in err
    assert "street Rank-1" in err
    record = json.loads(Path("run/run.json").read_text())
    assert sorted(record["command"].split()) == sorted(["osnet-edge", *typed])
    assert record["sources"] == [str(street)]
    assert [sorted(epoch["tests"]) for epoch in record["epochs"]] == [[], ["street"]]
    assert all(0 < record["epochs"][1]["tests"]["street"][name] <= 1 for name in ("mean_ap", "mean_inp"))


def test_a_network_trained_by_a_placement_file_carries_it_to_the_package(
    street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    placement = json.loads((PUBLISHED / "ain.json").read_text())
    placement["blocks"][2] = "both"
    Path("placement.json").write_text(json.dumps(placement))
    options = ["--placement", "placement.json", "--arch", "osnet_x0_25", "--epochs", "1", *SMALL]
    assert main(["train", "quick", "--data", str(street), "-o", "run", *options]) == 0
    assert load_osnet("run/osnet.pth").variant.name == "osnet_siibiip_x0_25"
    assert main(["export", "run/osnet.pth", "-o", "osnet.onnx", "--size", "64x32"]) == 0
    assert main(["build", "osnet.onnx", "-o", "osnet-cpu", "--target", "cpu"]) == 0
    manifest = json.loads(Path("osnet-cpu/manifest.json").read_text())
    assert manifest["model"]["placement"]["blocks"] == placement["blocks"]
    assert manifest["model"]["placement"]["stem"] is True


def test_a_placement_takes_its_width_from_the_recipe(
    street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--placement", str(PUBLISHED / "ain.json"), "--epochs", "1", *SMALL]
    assert main(["train", "quick", "--data", str(street), "-o", "run", *options]) == 0
    assert load_osnet("run/osnet.pth").variant.name == "osnet_ain_x0_25"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"WORLD_SIZE": "two"}, "expected the variable WORLD_SIZE as torchrun sets it, got 'two'"),
        ({"WORLD_SIZE": "2"}, "expected the variable RANK as torchrun sets it, got none"),
        (
            {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_PORT": "x"},
            "expected the variable MASTER_PORT as torchrun sets it, got 'x'",
        ),
        (
            {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_PORT": "1"},
            "expected the variable MASTER_ADDR as torchrun sets it, got none",
        ),
    ],
)
def test_half_of_what_torchrun_sets_is_refused_in_one_line(
    street: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environment: dict[str, str],
    message: str,
) -> None:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["train", "quick", "--data", str(street), "-o", str(tmp_path / "run"), *SMALL]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: {message}; start with torchrun, or unset WORLD_SIZE"


def test_a_precision_that_throughput_does_not_know_is_refused_in_one_line() -> None:
    ran = CliRunner().invoke(train_throughput.main, ["--precision", "fp32,fp64"])
    assert ran.exit_code == 1
    assert ran.output == "Error: expected --precision of fp32, bf16 or fp16, got 'fp64'\n"


def test_given_weights_choose_the_network_and_a_new_classifier_is_said(
    street: Path,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--weights", str(checkpoint), "--teacher", str(checkpoint), "--epochs", "1", *SMALL]
    assert main(["train", "finetune_x1_0", "--data", f"{street},{street}", "-o", "run", *options]) == 0
    out, err = capsys.readouterr()
    assert "the weights have 5 identities; a new classifier for 8 takes its place" in err
    # The same set twice is two sets: nobody is the same person in both.
    assert "osnet_x0_25, 8 identities" in out
    record = json.loads(Path("run/run.json").read_text())
    assert len(record["weights"]["sha256"]) == len(record["teacher"]["sha256"]) == 64
    options = ["--weights", "run/osnet.pth", "--epochs", "1", *SMALL]
    assert main(["train", "finetune_x1_0", "--data", f"{street},{street}", "-o", "next", *options]) == 0
    assert "the weights have 8 identities as well, so their classifier is kept" in capsys.readouterr().err


def test_a_recipe_that_starts_from_weights_asks_for_them(
    street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    typed = ["train", "adapt", "--data", str(street), "-o", "run", "--epochs", "1", *SMALL]
    typed += ["--set", "batches.pictures_per_identity=2"]
    assert main(typed) == 2
    assert "error: expected --weights with this recipe" in capsys.readouterr().err
    assert not Path("run").exists()
    with pytest.raises(InputError, match="expected --weights with this recipe"):
        train(training_pictures([str(street)]), read_recipe("finetune_x0_25"), "run")
    assert main([*typed, "--set", "network.start=random"]) == 0


def test_a_run_keeps_its_number_of_threads_when_it_resumes(
    street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = torch.get_num_threads()
    try:
        typed = ["train", "quick", "--data", str(street), "-o", "run", "--epochs", "1", *SMALL]
        assert main([*typed, "--threads", "1"]) == 0
        assert json.loads(Path("run/run.json").read_text())["machine"]["threads"] == 1
        torch.set_num_threads(2)
        assert main([*typed, "--resume"]) == 0
        assert json.loads(Path("run/run.json").read_text())["machine"]["threads"] == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("record", "threads"),
    [
        ('{"machine": {"threads": 3}}', 3),
        # No run, another's file, a file that was cut short, and one that nests without end.
        (None, None),
        ('["machine"]', None),
        ('{"machine": {"threads": 0}}', None),
        ('{"machine": {"thr', None),
        ("[" * 100_000, None),
        ("\udcff", None),
    ],
)
def test_a_record_that_tells_no_threads_stops_no_run(
    record: str | None, threads: int | None, tmp_path: Path
) -> None:
    if record is not None:
        (tmp_path / "run.json").write_text(record, errors="surrogateescape")
    assert threads_of(tmp_path) == threads


def test_ctrl_c_says_at_once_that_the_state_is_being_saved(street: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "osnet_edge.cli.main", "train", "quick", "--data", str(street)]
    command += ["-o", "run", "--epochs", "100000", *SMALL]
    running = start(command, tmp_path)
    until(lambda: epochs_listed(tmp_path / "run") > 0, running)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 1
    told = [line.split(";")[0] for line in err.splitlines() if "epoch " not in line or "interrupted" in line]
    assert told[-2] == "  stopping: saving the state"
    assert told[-1].startswith("error: interrupted in epoch")
