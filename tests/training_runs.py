"""Small training runs that tests share: on drawn people, on one thread, in seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from osnet_edge.train.data import ReidSet
from osnet_edge.train.machine import Machine
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.recipe import Recipe, read_recipe
from osnet_edge.train.synthetic import write_set
from osnet_edge.train.trainer import train

HERE = Machine(device="cpu", workers=0)
#: One of each that a run can have: crops, light and patches, AMSGrad, a falling rate, a frozen start.
CHANGES = [
    "network.height=64",
    "network.width=32",
    "batches.epochs=3",
    "batches.size=8",
    "augmentation.crop=0.5",
    "augmentation.patch=0.5",
    "optimizer.name=amsgrad",
    "schedule.classifier_epochs=1",
]
SMALL = read_recipe("quick", CHANGES)


def few_people(folder: Path) -> ReidSet:
    """Draw people enough for eight steps an epoch."""
    return write_set(
        folder,
        train_identities=8,
        test_identities=0,
        cameras=2,
        pictures_per_camera=4,
        seed=6,
        height=128,
        width=64,
    )


def finished(few: ReidSet, folder: Path) -> Recipe:
    """Train for an epoch on some of them; return the recipe."""
    recipe = read_recipe("quick", [*CHANGES, "batches.epochs=1"])
    train(few.train[:32], recipe, folder, machine=HERE)
    return recipe


def weights_of(model: OSNet) -> torch.Tensor:
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])


def command_for(few: ReidSet, *options: str, changes: list[str] = CHANGES) -> list[str]:
    """Return the command of such a run into the folder `run`, in a process of its own."""
    command = [sys.executable, "-m", "osnet_edge.cli.main", "train", "quick", "--data", str(few.root)]
    return [*command, "-o", "run", *options, *(item for change in changes for item in ("--set", change))]


def start(command: list[str], folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Start a command in a process group of its own."""
    return subprocess.Popen(
        command,
        cwd=folder,
        # As many threads as the test itself, so that sums are added in the same order.
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def epochs_listed(run: Path) -> int:
    record = run / "run.json"
    return len(json.loads(record.read_text())["epochs"]) if record.exists() else -1


def until(holds: Callable[[], bool], running: subprocess.Popen[str]) -> None:
    """Wait for a process to come to something."""
    deadline = time.monotonic() + 60
    while not holds():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
