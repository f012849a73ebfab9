"""The training loop: epochs of steps that can stop, and go on, anywhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from osnet_edge.runtime.errors import CheckError, InputError, InterruptedRunError
from osnet_edge.runtime.files import write_json
from osnet_edge.train.checkpoint import save_osnet
from osnet_edge.train.data import Picture
from osnet_edge.train.distributed import Group, process_group
from osnet_edge.train.events import EventLog
from osnet_edge.train.interrupt import deferred_interrupt
from osnet_edge.train.learner import Learner
from osnet_edge.train.loader import TrainingLoader
from osnet_edge.train.machine import Machine
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.recipe import Recipe
from osnet_edge.train.run_folder import EpochReport, RunFolder, fingerprint, run_facts
from osnet_edge.train.run_state import RunState
from osnet_edge.train.sampling import Order, epoch_order, places_in
from osnet_edge.train.schedule import rate_factor

#: Seconds after which a run saves itself in the middle of an epoch.
SAVE_EVERY_S = 600.0

Test = Callable[[OSNet, int], dict[str, dict[str, float]]]


def train(
    pictures: Sequence[Picture],
    recipe: Recipe,
    folder: Path | str,
    *,
    machine: Machine | None = None,
    weights: OSNet | None = None,
    teacher: OSNet | None = None,
    facts: dict[str, Any] | None = None,
    resume: bool = False,
    test: Test = lambda model, epoch: {},
    progress: Callable[[int, str], None] = lambda count, note: None,
    report: Callable[[EpochReport], None] = lambda epoch: None,
) -> OSNet:
    """Train an OSNet to tell identities apart.

    A run that stops, by Ctrl-C or by a power cut, resumes from its last checkpoint to the weights that it
    would have reached without (bit for bit on a CPU with as many threads).

    Args:
        pictures: the training split.
        recipe: what to do.
        folder: the run's folder, see `osnet_edge.train.run_folder`; made unless `resume`.
        machine: how this machine trains.
        weights: a network to start from; its classifier counts where it has as many identities.
        teacher: a network to learn similarities from.
        facts: what else the run's record should say.
        resume: whether to go on with the run in `folder`.
        test: called with the model in eval mode and the number of epochs done, after each; gives scores.
        progress: told how many pictures were just trained on, and how it goes.
        report: told of each epoch when it ends.

    Returns:
        The model in eval mode, on its device; `folder` holds its checkpoint.

    Raises:
        InputError: too little to train on, a folder that is taken, another recipe than the run to resume.
        CheckError: the loss is no longer a number; the run's folder lists the batch that did it.
        InterruptedRunError: Ctrl-C; the run is saved.
        UnavailableError: the machine lacks what was asked for.
    """
    machine, run = (machine or Machine()).resolved(), RunFolder(Path(folder))
    if (identities := len({picture.identity for picture in pictures})) < 2:
        raise InputError(f"expected 2 identities or more to train on, got {identities}")
    with process_group(machine.torch_device()) as group, deferred_interrupt() as interrupted:
        recipe.batches.require_divisible(group.size)
        # Before anything is written: a set too small for a batch makes no run.
        epoch_order([picture.identity for picture in pictures], recipe.batches, recipe.seed, 0)
        learner = Learner(pictures, recipe, machine, group, weights=weights, teacher=teacher)
        if group.rank == 0:
            run.open(resume=resume)
            run.write_recipe(recipe)
        record = {**run_facts(recipe, machine, pictures, group.size), **(facts or {})}
        trainer = _Trainer(pictures, recipe, run, machine, learner, group, record)
        if resume:
            trainer.state.load(run.state)
            if trainer.state.epoch:
                progress(trainer.state.epoch * trainer.pictures_an_epoch(), "resumed")
        trainer.run_epochs(test, progress, report, interrupted)
    return learner.model.eval()


class _Trainer:
    def __init__(
        self,
        pictures: Sequence[Picture],
        recipe: Recipe,
        run: RunFolder,
        machine: Machine,
        learner: Learner,
        group: Group,
        facts: dict[str, Any],
    ) -> None:
        self._pictures, self._recipe, self._run, self._facts = pictures, recipe, run, facts
        self._learner, self._group = learner, group
        self.state = RunState(learner.model, learner.optimizer, learner.scaler, recipe, fingerprint(pictures))
        self._loader = TrainingLoader(
            pictures,
            learner.preprocessing,
            recipe.augmentation,
            seed=recipe.seed,
            workers=machine.workers or 0,
        )
        self._saved_at = time.monotonic()

    def pictures_an_epoch(self) -> int:
        return self._order().size

    def run_epochs(
        self,
        test: Test,
        progress: Callable[[int, str], None],
        report: Callable[[EpochReport], None],
        interrupted: Callable[[], bool],
    ) -> None:
        epochs = self._recipe.batches.epochs
        with EventLog(self._run.events, self.state.epoch, write=self._group.rank == 0) as events:
            self._save()
            while self.state.epoch < epochs:
                steps = self._epoch(progress, interrupted)
                closed = self._close_epoch(steps, test)
                events.write(closed)
                report(closed)
                self._save()
        if self._group.rank == 0:
            save_osnet(self._learner.model, self._run.checkpoint)
            self._run.write_record(self._facts, self.state.reports, finished=True)

    def _order(self) -> Order:
        return epoch_order(
            self._learner.labels.tolist(), self._recipe.batches, self._recipe.seed, self.state.epoch
        )

    def _epoch(self, progress: Callable[[int, str], None], interrupted: Callable[[], bool]) -> int:
        """Take the steps that are left of the epoch at hand; return how many it has in all."""
        state, recipe = self.state, self._recipe
        size, epochs = recipe.batches.size, recipe.batches.epochs
        order = self._order()
        self._learner.begin_epoch(classifier_only=state.epoch < recipe.schedule.classifier_epochs)
        left, places = (self._group.share(of[state.step :]) for of in (order, places_in(order)))
        begun = time.monotonic()
        for images, chosen in zip(self._loader.epoch(state.epoch, left, places), left, strict=True):
            result = self._learner.gradients(images, chosen, stop=interrupted())
            if not math.isfinite(result.loss):
                self._stop_at_bad_loss(result.own_loss, chosen)
            done = state.epoch + state.step / len(order)
            self._learner.step(recipe.optimizer.learning_rate * rate_factor(recipe.schedule, done, epochs))
            now = time.monotonic()
            state.add(result.loss, result.hits, now - begun)
            begun = now
            accuracy = state.hits / (state.step * size)
            progress(size, f"loss {state.loss_sum / state.step:.3f}, accuracy {accuracy:.1%}")
            if result.stop or now - self._saved_at > SAVE_EVERY_S:
                self._save()
            if result.stop:
                raise InterruptedRunError(
                    f"interrupted in epoch {state.epoch + 1} of {epochs}; what was learnt is saved in "
                    f"{self._run.state}, go on with --resume"
                )
        return len(order)

    def _stop_at_bad_loss(self, loss: float, chosen: Order) -> None:
        where = f"epoch {self.state.epoch + 1}, step {self.state.step + 1}"
        if math.isfinite(loss):
            raise CheckError(f"the loss of another process is no number in {where}; see its message")
        listed = self._run.root / "bad-batch.json"
        write_json(listed, {"where": where, "pictures": [str(self._pictures[i].path) for i in chosen]})
        raise CheckError(
            f"the loss became {loss} in {where}; {listed} names the pictures; lower the learning rate, or "
            "start from other weights"
        )

    def _close_epoch(self, steps: int, test: Test) -> EpochReport:
        state, shown = self.state, steps * self._recipe.batches.size
        tests = test(self._learner.model.eval(), state.epoch + 1) if self._group.rank == 0 else {}
        closed = EpochReport(
            epoch=state.epoch + 1,
            loss=state.loss_sum / steps,
            accuracy=state.hits / shown,
            learning_rate=self._learner.optimizer.param_groups[0]["lr"],
            images_per_second=shown / max(state.seconds, 1e-9),
            tests=tests,
        )
        state.close_epoch(closed)
        return closed

    def _save(self) -> None:
        if self._group.rank:
            return
        if not all(bool(torch.isfinite(value).all()) for value in self._learner.model.parameters()):
            raise CheckError(
                f"the weights are no numbers any more; {self._run.state} holds the last good ones; lower the "
                "learning rate"
            )
        self.state.save(self._run.state)
        self._run.write_record(self._facts, self.state.reports, finished=False)
        self._saved_at = time.monotonic()
