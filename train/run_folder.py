"""What a run leaves behind: the checkpoint, the recipe it really used, and a record of how it went.

osnet.pth      the trained network
last.ckpt      where to resume; also a checkpoint that `export` takes
recipe.toml    the recipe as it was used
run.json       seed, versions, machine, data and the figures of every epoch
events/        the same figures for TensorBoard
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import write_aside, write_json
from osnet_edge.runtime.schema import to_json
from osnet_edge.train.data import Picture
from osnet_edge.train.machine import Machine
from osnet_edge.train.recipe import Recipe
from osnet_edge.train.recipe_file import dump_recipe

_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class EpochReport:
    """How an epoch went.

    Attributes:
        epoch: its number, from 1.
        loss: mean over its steps.
        accuracy: share of pictures put to the right identity.
        learning_rate: at its end.
        images_per_second: trained on, waiting for pictures included.
        tests: scores on test sets after it, by name of the set, where they were asked for.
    """

    epoch: int
    loss: float
    accuracy: float
    learning_rate: float
    images_per_second: float
    tests: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class RunFolder:
    """The files of one run."""

    root: Path

    @property
    def checkpoint(self) -> Path:
        """The trained network."""
        return self.root / "osnet.pth"

    @property
    def state(self) -> Path:
        """Where to resume."""
        return self.root / "last.ckpt"

    @property
    def events(self) -> Path:
        """Figures for TensorBoard."""
        return self.root / "events"

    def open(self, *, resume: bool) -> None:
        """Make the folder, or hold that there is a run to resume.

        Raises:
            InputError: the folder is there without `resume`, or holds no run with it.
        """
        if resume:
            if not self.state.is_file():
                raise InputError(
                    f"expected a run to resume in {self.root}, found no {self.state.name} there; "
                    "leave out --resume"
                )
        elif self.root.exists():
            raise InputError(f"{self.root} is already there; go on with --resume, or name another output")
        elif not self.root.parent.is_dir():
            raise InputError(
                f"the folder {self.root.parent} does not exist; make it first, or write elsewhere"
            )
        else:
            self.root.mkdir()

    def write_recipe(self, recipe: Recipe) -> None:
        """Write the recipe as it is used."""
        with write_aside(self.root / "recipe.toml") as partial:
            partial.write_text(dump_recipe(recipe), encoding="utf-8")

    def write_record(self, facts: dict[str, Any], epochs: Sequence[EpochReport], *, finished: bool) -> None:
        """Write what is known of the run so far."""
        record = {"schema_version": _SCHEMA_VERSION, "finished": finished, **facts, "epochs": to_json(epochs)}
        write_json(self.root / "run.json", record)


def run_facts(
    recipe: Recipe, machine: Machine, pictures: Sequence[Picture], processes: int
) -> dict[str, Any]:
    """Return what should be known of a run to repeat it."""
    names = ("osnet-edge", "torch", "numpy", "pillow")
    return {
        "seed": recipe.seed,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in names}},
        "machine": {"name": platform.machine(), "processes": processes, **to_json(machine)},
        "data": {
            "pictures": len(pictures),
            "identities": len({picture.identity for picture in pictures}),
            "cameras": len({picture.camera for picture in pictures}),
            "sha256": fingerprint(pictures),
        },
    }


def fingerprint(pictures: Sequence[Picture]) -> str:
    """Return a SHA-256 of the names and labels of the pictures, in order; their content is not read."""
    lines = (f"{picture.path.name}\t{picture.identity}\t{picture.camera}\n" for picture in pictures)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
