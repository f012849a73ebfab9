"""The command line as a person and a script use it, on real files."""

from __future__ import annotations

import dataclasses
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from osnet_edge.bench import from_json
from osnet_edge.cli.main import cli, main
from osnet_edge.runtime import Embedder, read_manifest
from osnet_edge.train.synthetic import sample_crops


def commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield path + name, command


@pytest.mark.parametrize(("path", "command"), list(commands(cli)), ids=[path for path, _ in commands(cli)])
def test_every_command_explains_itself_with_an_example(
    path: str, command: click.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*path.split(), "--help"]) == 0
    out = capsys.readouterr().out
    assert "Example:" in out
    assert f"osnet-edge {path}" in out
    options = [item for item in command.params if isinstance(item, click.Option)]
    assert [option.name for option in options if not option.help] == []


def test_the_installed_command_answers() -> None:
    script = Path(sys.executable).parent / "osnet-edge"
    ran = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("osnet-edge, version ")
    wrong = subprocess.run([script, "inspect", "nowhere"], capture_output=True, text=True)
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_nothing_half_written(sign: signal.Signals, tmp_path: Path) -> None:
    script = Path(sys.executable).parent / "osnet-edge"
    draw = [script, "data", "synthesize", "-o", "set", "--train-people", "400"]
    with subprocess.Popen(draw, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as running:
        while not any(tmp_path.glob(".set.*/new/*/*.jpg")):
            time.sleep(0.01)
        running.send_signal(sign)
        _, err = running.communicate()
    assert running.returncode == 1
    assert err.strip() == "error: interrupted; nothing was left half-written"
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_becomes_embeddings(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    crops = sample_crops(3, 200, 90)
    Path("crops").mkdir()
    for index, crop in enumerate(crops):
        Image.fromarray(crop).save(f"crops/{index}.png")
    assert main(["export", str(checkpoint), "-o", "osnet.onnx", "--size", "128x64"]) == 0
    assert main(["build", "osnet.onnx", "--target", "cpu", "-o", "osnet-cpu"]) == 0
    assert main(["embed", "osnet-cpu", "crops", "crops/1.png", "-o", "e.npz"]) == 0
    with np.load("e.npz") as saved:
        assert saved["paths"].tolist() == ["crops/0.png", "crops/1.png", "crops/2.png", "crops/1.png"]
        np.testing.assert_allclose(saved["embeddings"][:3], Embedder.load("osnet-cpu")(crops), atol=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["crops", "e.npz", "osnet-cpu", "osnet.onnx"]
    assert "4 embeddings" in capsys.readouterr().out


def test_one_of_a_thing_is_said_in_the_singular(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crop, street = tmp_path / "crop.png", tmp_path / "street"
    Image.fromarray(sample_crops(1)[0]).save(crop)
    assert main(["embed", str(package), str(crop), "-o", f"{tmp_path}/e.npz"]) == 0
    assert "e.npz: 1 embedding in " in capsys.readouterr().out
    assert main(["data", "synthesize", "--frames", "1", "--people", "1", "-o", str(street)]) == 0
    assert "street: 1 frame of 1 person, " in capsys.readouterr().out


def test_inspect_shows_and_proves_a_package(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(package), "--prove"]) == 0
    out = capsys.readouterr().out
    assert "osnet_x0_25 from osnet.pth" in out
    assert "golden pairs   hold" in out
    assert main(["inspect", str(package), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["model"]["variant"] == read_manifest(package).model.variant


def test_bench_writes_a_result_that_reads_back_and_a_page(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = tmp_path / "people"
    counts = ["--train-people", "0", "--test-people", "3", "--cameras", "2", "--pictures", "2"]
    assert main(["data", "synthesize", "-o", str(people), *counts]) == 0
    files = ["--json", str(tmp_path / "r.json"), "--report", str(tmp_path / "r.html")]
    given = ["bench", str(package), "--data", str(people), "--batch", "1,2", "--duration", "0.05"]
    assert main([*given, *files]) == 0
    out = capsys.readouterr().out
    result = from_json((tmp_path / "r.json").read_text())
    assert [engine.name for engine in result.engines] == ["float32 reference", "osnet-cpu"]
    ours, reference = result.engines[1], result.reference
    assert ours.accuracy == reference.accuracy
    assert ours.change_intervals is not None
    assert (ours.change_intervals.mean_ap, ours.change_intervals.rank1) == ((0, 0), (0, 0))
    assert [each.batch for each in ours.batches] == [1, 2]
    assert ours.retention is not None
    assert (ours.retention.top_k_agreement, ours.retention.lost, ours.retention.gained) == (1, (), ())
    assert ours.retention.centred_cosine_min == pytest.approx(1, abs=1e-5)
    assert f"{100 * ours.accuracy.scores.mean_ap:.2f}" in out
    assert "osnet-cpu" in (tmp_path / "r.html").read_text()
    assert main([*given, "--json", "-"]) == 0
    assert from_json(capsys.readouterr().out).engines[1].name == "osnet-cpu"


def test_eval_and_bench_say_the_same_of_one_engine(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = str(tmp_path / "people")
    counts = ["--train-people", "0", "--test-people", "6", "--cameras", "3", "--pictures", "2"]
    assert main(["data", "synthesize", "-o", people, *counts]) == 0
    timed = ["--batch", "1", "--duration", "0.01", "--json", str(tmp_path / "r.json")]
    assert main(["bench", str(package), "--data", people, *timed]) == 0
    capsys.readouterr()
    assert main(["eval", str(package), "--data", people, "--json"]) == 0
    scored = json.loads(capsys.readouterr().out)
    found = dataclasses.asdict(from_json((tmp_path / "r.json").read_text()).engines[1].accuracy.scores)
    told = next(value for value in walk(scored) if isinstance(value, dict) and "mean_inp" in value)
    for name in ("rank1", "rank5", "mean_ap", "mean_inp"):
        assert found[name] == pytest.approx(told[name], abs=1e-6), name


def walk(value: object) -> Iterator[object]:
    yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(item)


def test_a_data_set_is_found_by_name(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = ["--train-people", "0", "--test-people", "2", "--cameras", "2", "--pictures", "2"]
    assert main(["data", "synthesize", "-o", str(tmp_path / "street"), *counts]) == 0
    monkeypatch.setenv("OSNET_EDGE_DATA", str(tmp_path))
    assert main(["bench", str(package), "--data", "street", "--batch", "1", "--duration", "0.01"]) == 0
    assert "on street" in capsys.readouterr().out


def test_doctor_says_what_can_be_built_and_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert "target cpu" in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["targets"]["cpu"]["run"] == ["this CPU"]
    assert set(found["targets"]) == {"cpu", "cuda", "litert", "openvino", "rtx", "tensorrt"}
    for target in found["targets"].values():
        assert target["build"] or target["problems"]


def test_the_demo_runs_from_nothing_to_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["--train-people", "6", "--test-people", "3", "--duration", "0.02"]
    assert main(["demo", *small]) == 0
    out, err = capsys.readouterr()
    # Of so few people any machine learns as long as the demo ever does.
    # As many as fit the time, which depends on what else the machine does; no more than are of use.
    sized = re.search(r"images a second, so (\d) epochs in about", err)
    assert sized
    assert 2 <= int(sized[1]) <= 9
    assert f"--epochs {sized[1]} --size 128x64" in out
    assert "$ osnet-edge export demo/run/osnet.pth -o demo/osnet.onnx" in out
    assert "The fit took mAP from" in out
    assert ("a network finds few people" in out) == (int(sized[1]) < 9)
    made = {path.name for path in Path("demo").iterdir()}
    assert {"people", "run", "osnet.onnx", "osnet-cpu", "result.json", "report.html"} <= made
    page = Path("demo/report.html").read_text()
    assert page.count("data:image/jpeg;base64,") >= 8
    assert re.search(r"IDF1 is [\d.]+ % with \d+ identity switch(es)?, and [\d.]+ % with", page)
    assert main(["demo", *small]) == 2


@pytest.mark.parametrize(
    ("weights", "rewrite", "rank1", "mean_ap"),
    [
        ("osnet_x0_25_msmt17", "none", 36.08, 45.79),
        ("osnet_x0_25_market1501", "none", 19.94, 26.81),
        ("osnet_x0_5", "none", 28.80, 38.24),
        ("osnet_x1_0_msmt17_8bit", "none", 36.55, 46.35),
        # Every pass on: the same network in other operations.
        ("osnet_x0_25_msmt17", "auto", 36.08, 45.79),
    ],
)
def test_real_weights_reach_their_figures_on_viper(
    weights: str,
    rewrite: str,
    rank1: float,
    mean_ap: float,
    shared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint = shared / "weights" / f"{weights}.pth"
    assert main(["export", str(checkpoint), "--rewrite", rewrite, "-o", "osnet.onnx"]) == 0
    assert main(["build", "osnet.onnx", "--target", "cpu", "--precision", "fp32", "-o", "osnet-cpu"]) == 0
    capsys.readouterr()
    # As bench scores it, which would embed all images a second time by the reference. On one thread: tests
    # run two at a time, and two threads of each would spin on the other's time.
    given = ["--data", str(shared / "data/viper"), "--threads", "1", "--json"]
    assert main(["eval", "osnet-cpu", *given]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert 100 * result["scores"]["rank1"] == pytest.approx(rank1, abs=0.01)
    assert 100 * result["scores"]["mean_ap"] == pytest.approx(mean_ap, abs=0.01)
