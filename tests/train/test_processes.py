"""The processes of a run: those that decode, those that train together, and what is said when one ends."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import pytest
import torch
from training_runs import CHANGES, HERE, SMALL, command_for, epochs_listed, start, until
from web_server import free_port

from osnet_edge.runtime.errors import UnavailableError
from osnet_edge.train.checkpoint import load_osnet
from osnet_edge.train.data import ReidSet
from osnet_edge.train.recipe import read_recipe
from osnet_edge.train.stopping import told_in_one_line
from osnet_edge.train.trainer import train


def test_two_processes_learn_what_one_learns_in_two_parts(few: ReidSet, tmp_path: Path) -> None:
    # Batch norms see half a batch either way, so gradients are the same sums.
    changes = [*CHANGES, "batches.epochs=2", "optimizer.name=sgd", "optimizer.learning_rate=0.05"]
    alone = read_recipe("quick", [*changes, "batches.accumulate=2"])
    one = train(few.train, alone, tmp_path / "one", machine=HERE)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    torchrun += ["--master-port", str(free_port())]
    command = command_for(few, "--device", "cpu", "--workers", "0", changes=changes)[1:]
    ran = start([*torchrun, *command], tmp_path)
    out, err = ran.communicate(timeout=300)
    assert ran.returncode == 0, err
    assert out.count("run/osnet.pth: osnet_x0_25, 8 identities") == 1
    two = load_osnet(tmp_path / "run/osnet.pth")
    for (name, a), (_, b) in zip(one.named_parameters(), two.named_parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5, msg=name)
    assert json.loads((tmp_path / "run/run.json").read_text())["machine"]["processes"] == 2


#: The command, which tells at its end what threads it still has.
WATCHED = """
import atexit, os, sys
from osnet_edge.cli.main import main
tasks = "/proc/self/task"
names = lambda: [open(f"{tasks}/{each}/comm").read().strip() for each in os.listdir(tasks)]
if os.path.exists(tasks):
    atexit.register(lambda: print(*names()))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("ranks", "spoil", "message"),
    [
        # Another machine's disk lacks the images.
        ([1], ["--data", "nowhere"], "error: expected a set"),
        # All machines' do, and once is enough to be told.
        ([0, 1], ["--data", "nowhere"], "error: expected a set"),
        # What is found out from the options alone.
        ([0, 1], ["--calibration", "calib.json"], "error: expected --calibration only with --quantize"),
        # The folder is the first one's to make.
        ([0], ["-o", "none/run"], "error: the folder none does not exist; make it first, or write elsewhere"),
    ],
)
def test_a_process_that_cannot_begin_says_why_and_the_others_end_quietly(
    few: ReidSet, tmp_path: Path, ranks: list[int], spoil: list[str], message: str
) -> None:
    port = str(free_port())
    running = []
    for number in (0, 1):
        environment = {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": "2"}
        command = command_for(few, "--device", "cpu", "--workers", "0")
        command[1:3] = ["-c", WATCHED]
        command += spoil if number in ranks else []
        running.append(start(command, tmp_path, MASTER_ADDR="127.0.0.1", MASTER_PORT=port, **environment))
    left, told = zip(*(each.communicate(timeout=60) for each in running), strict=True)
    speaker = ranks[0]
    assert [each.returncode for each in running] == [2 if n == speaker else 1 for n in (0, 1)], told
    assert told[speaker].startswith(message), told
    assert told[1 - speaker] == ""
    assert not list(tmp_path.iterdir())
    # A thread of the group's that lets go of a tensor while Python ends would abort the process.
    assert not any(word in names for names in left for word in ("gloo", "tcpstore")), left


@pytest.mark.parametrize(
    ("stop", "everybody"),
    [
        # Ctrl-C reaches all processes of a terminal; pressed by kill, only the one.
        (signal.SIGINT, True),
        (signal.SIGINT, False),
        # So does the end of a service, or of a batch job.
        (signal.SIGTERM, True),
    ],
)
def test_a_run_that_is_asked_to_stop_saves_and_says_how_to_go_on(
    few: ReidSet, tmp_path: Path, stop: signal.Signals, everybody: bool
) -> None:
    running = start(command_for(few, "--workers", "2"), tmp_path)
    until(lambda: epochs_listed(tmp_path / "run") >= 0, running)
    (os.killpg if everybody else os.kill)(running.pid, stop)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "stopping: saving the state" in err
    assert err.splitlines()[-1].endswith("saved in run/last.ckpt, go on with --resume")
    assert "Traceback" not in err
    # Nobody is left behind.
    with pytest.raises(ProcessLookupError):
        os.killpg(running.pid, 0)


def test_memory_that_there_is_not_is_told_in_one_line() -> None:
    with (
        pytest.raises(UnavailableError, match=r"too little memory .* batches.accumulate=2"),
        told_in_one_line(),
    ):
        torch.empty(2**50, dtype=torch.uint8)
    # A fault of ours keeps its traceback.
    with pytest.raises(RuntimeError, match="shape"), told_in_one_line():
        torch.ones(2).view(3)


def test_a_decoding_process_that_is_killed_ends_the_run_in_one_line(few: ReidSet, tmp_path: Path) -> None:
    def kill(count: int, note: str) -> None:
        multiprocessing.active_children()[0].kill()

    machine = dataclasses.replace(HERE, workers=1)
    with pytest.raises(UnavailableError, match=r"decodes images ended .* go on with --resume"):
        train(few.train, SMALL, tmp_path / "run", machine=machine, progress=kill)
    train(few.train, SMALL, tmp_path / "run", machine=HERE, resume=True)
