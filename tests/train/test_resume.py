"""Runs that stop and go on, and what must not be gone on with."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from training_runs import (
    CHANGES,
    HERE,
    SMALL,
    command_for,
    epochs_listed,
    finished,
    start,
    until,
    weights_of,
)

from osnet_edge.runtime.errors import InputError, InterruptedRunError, UnavailableError
from osnet_edge.train.checkpoint import load_osnet
from osnet_edge.train.data import Picture, ReidSet, training_pictures
from osnet_edge.train.machine import Machine
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.recipe import read_recipe
from osnet_edge.train.trainer import train
from osnet_edge.train.variants import variant_named


@pytest.fixture(scope="module")
def whole(few: ReidSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was never stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(few.train, SMALL, folder, machine=HERE)
    return folder


@pytest.mark.parametrize(
    ("stop_in_step", "workers", "where"),
    [
        # In the frozen start.
        (2, 0, (0, 2)),
        # In the last step of an epoch, which is then closed by the run that goes on.
        (8, 0, (0, 8)),
        # In the first step of another one.
        (9, 0, (1, 1)),
        # In the middle of one, and resumed with workers.
        (14, 2, (1, 6)),
    ],
)
def test_a_run_that_was_stopped_goes_on_to_the_same_weights_bit_for_bit(
    few: ReidSet, whole: Path, tmp_path: Path, stop_in_step: int, workers: int, where: tuple[int, int]
) -> None:
    seen: list[int] = []

    def interrupt(count: int, note: str) -> None:
        seen.append(count)
        if len(seen) == stop_in_step - 1:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(InterruptedRunError, match="go on with --resume"):
        train(few.train, SMALL, tmp_path / "run", machine=HERE, progress=interrupt)
    saved = json.loads(torch.load(tmp_path / "run/last.ckpt", weights_only=True)["run"])["progress"]
    assert (saved["epoch"], saved["step"]) == where
    machine = replace(HERE, workers=workers)
    seen.clear()
    resumed = train(
        few.train,
        SMALL,
        tmp_path / "run",
        machine=machine,
        resume=True,
        progress=lambda count, note: seen.append(count),
    )
    assert torch.equal(weights_of(load_osnet(whole / "osnet.pth")), weights_of(resumed))
    # What was done before counts at once.
    assert (seen[0], sum(seen)) == (8 * stop_in_step, 3 * 64)
    records = [json.loads((run / "run.json").read_text())["epochs"] for run in (whole, tmp_path / "run")]
    figures = [
        [(e["epoch"], e["loss"], e["accuracy"], e["learning_rate"]) for e in epochs] for epochs in records
    ]
    assert figures[0] == figures[1]


def test_a_run_killed_outright_resumes_from_its_last_checkpoint(
    few: ReidSet, whole: Path, tmp_path: Path
) -> None:
    command = command_for(few, "--workers", "0")
    running = start(command, tmp_path)
    until(lambda: epochs_listed(tmp_path / "run") >= 1, running)
    running.kill()
    running.communicate()
    assert not (tmp_path / "run/osnet.pth").exists()
    _, err = start([*command, "--resume"], tmp_path).communicate(timeout=60)
    assert "epoch 3:" in err
    assert torch.equal(
        weights_of(load_osnet(tmp_path / "run/osnet.pth")), weights_of(load_osnet(whole / "osnet.pth"))
    )


@pytest.mark.parametrize(
    ("changes", "pictures", "message"),
    [
        # The folder is taken, and nobody asked to go on.
        (None, 32, "already there; go on with --resume"),
        # Another rate would not lead to the same weights.
        (["optimizer.learning_rate=0.5"], 32, "optimizer.learning_rate was 0.0025 and is 0.5"),
        # Nor would more epochs, but there is a way to have them.
        (["batches.epochs=9"], 32, "batches.epochs was 1 and is 9; .* with --weights .*/osnet.pth, to go on"),
        # Other images neither.
        ([], 40, "made with other images"),
    ],
)
def test_a_run_goes_on_only_as_it_began(
    few: ReidSet, tmp_path: Path, changes: list[str] | None, pictures: int, message: str
) -> None:
    run = tmp_path / "run"
    finished(few, run)
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    recipe = read_recipe("quick", [*CHANGES, "batches.epochs=1", *(changes or [])])
    with pytest.raises(InputError, match=message):
        train(few.train[:pictures], recipe, run, machine=HERE, resume=changes is not None)
    assert {path: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


def test_pictures_may_move_together_and_not_change(few: ReidSet, tmp_path: Path) -> None:
    shutil.copytree(few.root, tmp_path / "here")

    def pictures(folder: str) -> list[Picture]:
        root = tmp_path / folder
        return [replace(item, path=root / item.path.relative_to(few.root)) for item in few.train[:32]]

    recipe = read_recipe("quick", [*CHANGES, "batches.epochs=1"])
    train(pictures("here"), recipe, tmp_path / "run", machine=HERE)
    (tmp_path / "here").rename(tmp_path / "there")
    moved = pictures("there")
    train(moved, recipe, tmp_path / "run", machine=HERE, resume=True)
    shutil.copy(moved[0].path, moved[1].path)
    with pytest.raises(InputError, match="made with other images"):
        train(moved, recipe, tmp_path / "run", machine=HERE, resume=True)


def test_a_run_goes_on_with_the_same_teacher_and_precision_only(few: ReidSet, tmp_path: Path) -> None:
    recipe = read_recipe("quick", [*CHANGES, "batches.epochs=1"])
    torch.manual_seed(0)
    mine, other = (OSNet(variant_named("osnet_x0_25")) for _ in range(2))
    train(few.train[:16], recipe, tmp_path / "run", machine=HERE, teacher=mine)
    half = replace(HERE, precision="bf16")
    attempts: list[tuple[OSNet | None, Machine, str]] = [
        (None, HERE, "made with a teacher; give the same --teacher"),
        (other, HERE, "made with another teacher"),
        (mine, half, "made in fp32, and this is bf16; give --precision fp32"),
    ]
    for teacher, machine, message in attempts:
        with pytest.raises(InputError, match=message):
            train(few.train[:16], recipe, tmp_path / "run", machine=machine, teacher=teacher, resume=True)
    train(few.train[:16], recipe, tmp_path / "run", machine=HERE, teacher=mine, resume=True)


def test_the_record_keeps_how_a_run_began_and_tells_how_it_was_resumed(few: ReidSet, tmp_path: Path) -> None:
    recipe = read_recipe("quick", [*CHANGES, "batches.epochs=1"])
    first: dict[str, Any] = {"command": "train", "weights": {"file": "a.pth"}}
    train(few.train[:16], recipe, tmp_path / "run", machine=HERE, facts=first)
    for _ in range(2):
        train(
            few.train[:16],
            recipe,
            tmp_path / "run",
            machine=HERE,
            facts={"command": "train --resume"},
            resume=True,
        )
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert (record["command"], record["weights"]) == ("train", {"file": "a.pth"})
    assert record["resumed"] == [{"command": "train --resume"}] * 2


def test_a_folder_in_which_a_run_died_before_its_first_save_can_be_used_again(
    few: ReidSet, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    recipe = finished(few, tmp_path / "whole")
    (run / "events").mkdir(parents=True)
    (run / ".last.ckpt.abc123").mkdir()
    (run / ".last.ckpt.abc123/last.ckpt").write_bytes(b"half")
    (run / "recipe.toml").write_text("")
    (run / ".lock").touch()
    with pytest.raises(InputError, match=r"found no last.ckpt there; leave out --resume"):
        train(few.train[:32], recipe, run, machine=HERE, resume=True)
    train(few.train[:32], recipe, run, machine=HERE)
    assert read_recipe(str(run / "recipe.toml")) == recipe
    assert {path.name for path in run.iterdir()} == {path.name for path in (tmp_path / "whole").iterdir()}


@pytest.mark.parametrize("name", ["mine.txt", "recipe.toml"])
def test_a_folder_with_something_of_somebody_in_it_is_left_alone(
    few: ReidSet, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=rf"already there and holds other things \({name}\)"):
        train(few.train, SMALL, tmp_path, machine=HERE)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_two_runs_do_not_share_a_folder(few: ReidSet, tmp_path: Path) -> None:
    told: list[tuple[int, str]] = []

    def another(report: object) -> None:
        if not told:
            running = start(command_for(few, "--workers", "0", "--resume"), tmp_path)
            _, err = running.communicate(timeout=60)
            told.append((running.returncode, err.splitlines()[-1]))

    train(few.train, SMALL, tmp_path / "run", machine=HERE, report=another)
    assert told == [
        (2, "error: another run is training into run; wait for its end, or name another output"),
    ]


def test_a_finished_run_resumes_to_itself(few: ReidSet, tmp_path: Path) -> None:
    recipe = finished(few, tmp_path / "run")
    before = weights_of(load_osnet(tmp_path / "run/osnet.pth"))
    again = train(few.train[:32], recipe, tmp_path / "run", machine=HERE, resume=True)
    assert torch.equal(before, weights_of(again))


def test_a_run_older_than_the_field_that_says_what_it_starts_from_is_gone_on_with(
    few: ReidSet, tmp_path: Path
) -> None:
    """Such as one of adapt, whose recipe says today that it starts from weights."""
    recipe = finished(few, tmp_path / "run")
    content = torch.load(tmp_path / "run/last.ckpt", weights_only=True)
    account = json.loads(content["run"])
    del account["origin"]["recipe"]["network"]["start"]
    torch.save({**content, "run": json.dumps(account)}, tmp_path / "run/last.ckpt")
    today = replace(recipe, network=replace(recipe.network, start="weights"))
    train(few.train[:32], today, tmp_path / "run", machine=HERE, resume=True)


LIMITED = [
    sys.executable,
    "-c",
    "import resource, signal, sys\n"
    "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
    "from osnet_edge.cli.main import main\n"
    "sys.exit(main(sys.argv[1:]))\n",
]


def test_a_full_disk_leaves_the_last_checkpoint_as_it_was(few: ReidSet, tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk: writing past it fails in the same place."""
    run, listed = tmp_path / "run", tmp_path / "set.csv"
    rows = [f"{item.path},{item.identity},{item.camera}" for item in few.train[:32]]
    listed.write_text("\n".join(["path,identity,camera", *rows]))
    changes = [*CHANGES, "batches.epochs=1"]
    train(training_pictures([str(listed)]), read_recipe("quick", changes), run, machine=HERE)
    before = (run / "last.ckpt").read_bytes()
    command = [*LIMITED, "train", "quick", "--data", str(listed)]
    command += ["-o", str(run), "--resume"]
    command += ["--workers", "0", *(item for change in changes for item in ("--set", change))]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 1, ran.stderr
    assert "error: " in ran.stderr
    assert "Traceback" not in ran.stderr
    assert (run / "last.ckpt").read_bytes() == before
    assert read_recipe(str(run / "recipe.toml")) == read_recipe("quick", changes)
    assert [path.name for path in run.iterdir() if path.name.startswith(".")] == [".lock"]


def test_a_run_that_cannot_be_saved_once_leaves_nothing(few: ReidSet, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            train(few.train, SMALL, tmp_path / "run", machine=HERE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "run").exists()


def test_a_disk_without_room_for_a_run_is_told_how_much_it_needs(few: ReidSet, tmp_path: Path) -> None:
    """Before anything is made; and where others fill it later, the last state stays and is gone on with."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs to mount a small disk, which root may")
    needs = r"the run needs about \d+ MB in .*run, and 0 MB are free"
    others, run = disk / "others", disk / "run"

    def fill(model: OSNet, epoch: int) -> dict[str, dict[str, float]]:
        others.write_bytes(bytes(shutil.disk_usage(disk).free))
        return {}

    try:
        others.write_bytes(bytes(shutil.disk_usage(disk).free))
        with pytest.raises(UnavailableError, match=needs):
            train(few.train, SMALL, run, machine=HERE)
        assert [path.name for path in disk.iterdir()] == ["others"]
        others.unlink()
        with pytest.raises(UnavailableError, match=needs):
            train(few.train, SMALL, run, machine=HERE, test=fill)
        others.unlink()
        train(few.train, SMALL, run, machine=HERE, resume=True)
    finally:
        # Lazily: the log for TensorBoard may still be open.
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
