"""The state of a training run in one file, with everything that is needed to resume it."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.schema import parse_document, to_json
from osnet_edge.train.checkpoint import check_tensor, save_tensors
from osnet_edge.train.recipe import Recipe
from osnet_edge.train.weights.kinds import read_tensors


@dataclass(frozen=True)
class EpochReport:
    """The figures of an epoch.

    Attributes:
        epoch: its number, from 1.
        loss: mean loss over its steps.
        accuracy: share of training images that were classified correctly, in [0, 1].
        learning_rate: at its end.
        images_per_second: training speed, including the time spent waiting for images.
        skipped_steps: number of steps skipped because float16 gradients overflowed; some do until the loss
            scale is found.
        tests: scores on test sets after it, by the set's name, if there are any.
    """

    epoch: int
    loss: float
    accuracy: float
    learning_rate: float
    images_per_second: float
    skipped_steps: int = 0
    tests: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass
class RunProgress:
    """The progress of a run; order, augmentation and learning rate follow from it, without a random state.

    Attributes:
        epoch: number of epochs done.
        step: number of steps done in the current epoch.
        loss_sum: sum of the losses of those steps.
        hits: number of images classified correctly in those steps.
        seconds: time spent on those steps.
        skipped: number of those steps that were skipped, see `EpochReport.skipped_steps`.
        reports: of the epochs done.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    hits: int = 0
    seconds: float = 0.0
    skipped: int = 0
    reports: tuple[EpochReport, ...] = ()

    def __post_init__(self) -> None:
        """Refuse values that no run can have."""
        if min(self.step, self.hits, self.seconds, self.skipped) < 0 or self.skipped > self.step:
            raise InputError(f"expected counts of 0 or more, got {self}"[:200])
        if [report.epoch for report in self.reports] != list(range(1, self.epoch + 1)):
            raise InputError(
                f"expected a report of each epoch done, got {len(self.reports)} for {self.epoch}"
            )

    def add(self, loss: float, hits: int, seconds: float, *, skipped: bool) -> None:
        """Count a step."""
        self.step += 1
        self.loss_sum += loss
        self.hits += hits
        self.seconds += seconds
        self.skipped += skipped

    def close_epoch(self, report: EpochReport) -> None:
        """Count an epoch."""
        self.epoch += 1
        self.step, self.loss_sum, self.hits, self.seconds, self.skipped = 0, 0.0, 0, 0.0, 0
        self.reports = (*self.reports, report)


@dataclass(frozen=True)
class Origin:
    """What must be the same when a run is resumed.

    Attributes:
        recipe: of the run.
        data: fingerprint of the images.
        teacher: digest of the teacher's weights; empty without one.
        precision: of the arithmetic.
        quantized: digests of the weights that quantisation-aware training starts from and of their rounding;
            otherwise empty.
    """

    recipe: Recipe
    data: str
    teacher: str
    precision: str
    quantized: str = ""

    def require_same(self, saved: Origin, path: Path) -> None:
        """Check that a saved run was begun with the same.

        Raises:
            InputError: it was not; the message says what to change.
        """
        # What a run began from is behind it, and runs that are older than the field do not say.
        started = replace(self.recipe.network, start=saved.recipe.network.start)
        ours = replace(self.recipe, network=started)
        if different := _first_difference(to_json(ours), to_json(saved.recipe)):
            epochs = different.startswith("batches.epochs")
            weights = shlex.quote(str(path.parent / "osnet.pth"))
            how = f"with --weights {weights}, to go on from there" if epochs else ""
            raise InputError(
                f"{path} was made with another recipe: {different}; resume with the same one, or start a new "
                f"run {how}".rstrip()
            )
        if saved.data != self.data:
            raise InputError(f"{path} was made with other images; give the same --data, or start a new run")
        if saved.quantized != self.quantized:
            raise InputError(
                f"{path} began from other weights, or another calibration set; give the same --weights and "
                "--calibration, or start a new run"
            )
        if saved.teacher != self.teacher:
            had = "another" if self.teacher and saved.teacher else "a" if saved.teacher else "no"
            raise InputError(
                f"{path} was made with {had} teacher; give the same --teacher, or start a new run"
            )
        if saved.precision != self.precision:
            raise InputError(
                f"{path} was made in {saved.precision}, and this is {self.precision}; give "
                f"--precision {saved.precision}, or start a new run"
            )


@dataclass(frozen=True)
class GradientScale:
    """The loss scale of float16 gradients.

    Attributes:
        scale: its present value.
        good_steps: number of steps since it last changed.
    """

    scale: float
    good_steps: int

    def __post_init__(self) -> None:
        """Refuse values that no scaler can have."""
        if not (self.scale > 0 and 0 <= self.good_steps < 2**31):
            raise InputError(f"expected a scale above 0 and steps of 0 or more, got {self}")


@dataclass(frozen=True)
class _Account:
    """The part of a state's file that is stored as JSON."""

    origin: Origin
    progress: RunProgress
    scaler: GradientScale | None
    facts: dict[str, Any]
    resumed: tuple[dict[str, Any], ...]


@dataclass
class RunState:
    """The state of a run that is saved and resumed.

    Attributes:
        model: the network with its classifier.
        optimizer: with its moments.
        scaler: loss scale of float16 gradients.
        origin: what must be the same when the run is resumed.
        steps: number of steps of an epoch.
        facts: entries of the run's record about its start.
        resumed: entries that differed each time it was resumed.
        progress: how far the run has come.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    origin: Origin
    steps: int
    facts: dict[str, Any]
    resumed: tuple[dict[str, Any], ...] = ()
    progress: RunProgress = field(default_factory=RunProgress)

    @property
    def room(self) -> int:
        """Bytes that a run's folder needs: the last state, a new one beside it, and the network."""
        weights = sum(int(value.nbytes) for value in self.model.state_dict().values())
        moments = len(_MOMENTS[self.origin.recipe.optimizer.name] - {"step"})
        return (2 * (1 + moments) + 1) * weights + _RECORDS

    def save(self, path: Path) -> None:
        """Write the state to `path` atomically."""
        known = self.scaler.state_dict()
        scale = GradientScale(known["scale"], known["_growth_tracker"]) if known else None
        account = _Account(self.origin, self.progress, scale, self.facts, self.resumed)
        content = {
            "state_dict": self.model.state_dict(),
            # Its groups follow from the recipe.
            "moments": self.optimizer.state_dict()["state"],
            "run": json.dumps(to_json(account)),
        }
        save_tensors(content, path)

    def load(self, path: Path) -> None:
        """Load a saved state; nothing changes before the whole file is checked.

        Raises:
            InputError: the file cannot be read, or is of another recipe, images, teacher or precision.
        """
        content = read_tensors(path, "start a new run")
        if not isinstance(content, dict) or not {"state_dict", "moments", "run"} <= content.keys():
            raise InputError(f"{path} is not the state of a run; start a new one")
        account = _read_account(content["run"], path)
        self.origin.require_same(account.origin, path)
        progress = account.progress
        most = self.origin.recipe.batches.size * progress.step
        if (
            progress.epoch > self.origin.recipe.batches.epochs
            or progress.step > self.steps
            or progress.hits > most
            or bool(account.scaler) != self.scaler.is_enabled()
        ):
            raise InputError(f"{path} stands past the end of its run, or is damaged; start a new run")
        _check_weights(content["state_dict"], self.model, path)
        _check_moments(content["moments"], self.optimizer, self.origin.recipe.optimizer.name, path)
        self.model.load_state_dict(content["state_dict"])
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": content["moments"], "param_groups": groups})
        if account.scaler:
            scale = {"scale": account.scaler.scale, "_growth_tracker": account.scaler.good_steps}
            self.scaler.load_state_dict({**self.scaler.state_dict(), **scale})
        now = {name: value for name, value in self.facts.items() if value != account.facts.get(name)}
        self.facts, self.resumed = account.facts, (*account.resumed, now)
        self.progress = progress


#: What each optimiser keeps of a parameter that has had a step.
_MOMENTS = {
    "sgd": {"momentum_buffer"},
    "amsgrad": {"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"},
    "adamw": {"step", "exp_avg", "exp_avg_sq"},
}
#: Of the run's record and the figures for TensorBoard.
_RECORDS = 1_000_000
_NEVER_NEGATIVE = {"step", "exp_avg_sq", "max_exp_avg_sq"}


def _read_account(text: Any, path: Path) -> _Account:
    advice = f"{path} is not the state of a run; start a new one"
    return parse_document(_Account, text, f"{path}: its account", None, advice)


def _check_weights(saved: Any, model: nn.Module, path: Path) -> None:
    ours = model.state_dict()
    if not isinstance(saved, dict) or saved.keys() != ours.keys():
        raise InputError(f"{path} holds other weights than this network has; start a new run")
    for name, value in saved.items():
        if ours[name].is_floating_point():
            check_tensor(value, name, path)
        elif not isinstance(value, Tensor) or value.dtype != ours[name].dtype:
            raise InputError(f"{path}: {name!r} is no count; start a new run")
        _check_shape(value, ours[name].shape, name, path)


def _check_moments(saved: Any, optimizer: torch.optim.Optimizer, kind: str, path: Path) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if not isinstance(saved, dict) or not saved.keys() <= set(range(len(parameters))):
        raise InputError(f"{path} holds moments of other parameters than this network's; start a new run")
    for number, moments in saved.items():
        if not isinstance(moments, dict) or set(moments) != _MOMENTS[kind]:
            raise InputError(f"{path}: the moments of parameter {number} are not those of {kind}")
        for name, value in moments.items():
            where = f"{name} of parameter {number}"
            check_tensor(value, where, path)
            _check_shape(value, torch.Size() if name == "step" else parameters[number].shape, where, path)
            if name in _NEVER_NEGATIVE and (value < 0).any():
                raise InputError(f"{path}: {where} is below 0; start a new run")


def _check_shape(value: Tensor, expected: torch.Size, name: str, path: Path) -> None:
    if value.shape != expected:
        raise InputError(f"{path}: {name!r} is {tuple(value.shape)}, expected {tuple(expected)}")


def _first_difference(ours: dict[str, Any], theirs: dict[str, Any], where: str = "") -> str:
    """Return the first field that differs, with both values; empty if none does."""
    for key, value in ours.items():
        if isinstance(value, dict):
            if inner := _first_difference(value, theirs[key], f"{where}{key}."):
                return inner
        elif value != theirs[key]:
            return f"{where}{key} was {theirs[key]!r} and is {value!r}"
    return ""
