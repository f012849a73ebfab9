"""All that a run must know to go on as if it had not stopped, in one weights-only file."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from osnet_edge.runtime.errors import InputError, first_line
from osnet_edge.runtime.schema import from_json, to_json
from osnet_edge.train.checkpoint import save_tensors
from osnet_edge.train.recipe import Recipe
from osnet_edge.train.run_folder import EpochReport


@dataclass
class RunState:
    """Where a run stands; order, augmentation and rate follow from it, so no random state is kept.

    Attributes:
        model: the network, classifier included.
        optimizer: with its moments.
        scaler: of float16 gradients.
        recipe: of the run.
        data: fingerprint of the pictures.
        epoch: epochs done.
        step: steps done in the epoch at hand.
        loss_sum: of those steps.
        hits: pictures of those steps put to the right identity.
        seconds: spent on those steps.
        reports: of the epochs done.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    recipe: Recipe
    data: str
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    hits: int = 0
    seconds: float = 0.0
    reports: list[EpochReport] = field(default_factory=list)

    def add(self, loss: float, hits: int, seconds: float) -> None:
        """Count a step."""
        self.step += 1
        self.loss_sum, self.hits, self.seconds = (
            self.loss_sum + loss,
            self.hits + hits,
            self.seconds + seconds,
        )

    def close_epoch(self, report: EpochReport) -> None:
        """Count an epoch."""
        self.epoch += 1
        self.step, self.loss_sum, self.hits, self.seconds = 0, 0.0, 0, 0.0
        self.reports.append(report)

    def save(self, path: Path) -> None:
        """Write the state to `path`, whole or not at all."""
        content = {
            "state_dict": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "recipe": to_json(self.recipe),
            "reports": to_json(self.reports),
            **{name: getattr(self, name) for name in _PLAIN},
        }
        save_tensors(content, path)

    def load(self, path: Path) -> None:
        """Go back to a saved state.

        Raises:
            InputError: the file cannot be read, or is of another recipe or other pictures.
        """
        content = _read(path)
        recipe = from_json(Recipe, content["recipe"], f"{path}: recipe")
        if different := _first_difference(to_json(self.recipe), to_json(recipe)):
            raise InputError(
                f"{path} was made with another recipe: {different}; resume with the same one, or start "
                "a new run"
            )
        if content["data"] != self.data:
            raise InputError(f"{path} was made with other pictures; give the same --data, or start a new run")
        self.model.load_state_dict(content["state_dict"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.scaler.load_state_dict(content["scaler"])
        self.reports = [from_json(EpochReport, item, f"{path}: reports") for item in content["reports"]]
        for name in _PLAIN:
            setattr(self, name, content[name])


_PLAIN = ("data", "epoch", "step", "loss_sum", "hits", "seconds")


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise InputError(f"{path} cannot be read ({first_line(error)}); start a new run") from None
    wanted = {"state_dict", "optimizer", "scaler", "recipe", "reports", *_PLAIN}
    if not isinstance(content, dict) or not wanted <= set(content):
        raise InputError(f"{path} is not the state of a run; start a new one")
    return content


def _first_difference(ours: dict[str, Any], theirs: dict[str, Any], where: str = "") -> str:
    """Name the first field that differs, and both values; empty where none does."""
    for key, value in ours.items():
        if isinstance(value, dict):
            if inner := _first_difference(value, theirs[key], f"{where}{key}."):
                return inner
        elif value != theirs[key]:
            return f"{where}{key} was {theirs[key]!r} and is {value!r}"
    return ""
