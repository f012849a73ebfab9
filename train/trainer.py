"""The training loop, which can be interrupted and resumed at any step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from osnet_edge.runtime.errors import CheckError, InputError, InterruptedRunError
from osnet_edge.runtime.files import write_json
from osnet_edge.train.checkpoint import save_osnet, weights_digest
from osnet_edge.train.data import Picture
from osnet_edge.train.learner import Learner, StepResult
from osnet_edge.train.loader import TrainingLoader
from osnet_edge.train.machine import Group, Machine, OtherProcessError, process_group
from osnet_edge.train.optimizer import rate_factor
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.quantize import NetworkRounding
from osnet_edge.train.recipe import Recipe
from osnet_edge.train.run_folder import EventLog, RunFolder, fingerprint, run_facts
from osnet_edge.train.run_state import EpochReport, Origin, RunState
from osnet_edge.train.sampling import Order, epoch_order, places_in, steps_an_epoch
from osnet_edge.train.stopping import deferred_interrupt, told_in_one_line

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
    rounding: NetworkRounding | None = None,
    facts: dict[str, Any] | None = None,
    resume: bool = False,
    test: Test = lambda model, epoch: {},
    progress: Callable[[int, str], None] = lambda count, note: None,
    report: Callable[[EpochReport], None] = lambda epoch: None,
    stopping: Callable[[], None] = lambda: None,
) -> OSNet:
    """Train an OSNet on images with identities.

    A run that was interrupted, by Ctrl-C or a power cut, resumes from its last checkpoint. It reaches the
    same weights as without the interruption (bit for bit on a CPU with the same number of threads).

    Args:
        pictures: the training split.
        recipe: the training recipe.
        folder: the run's folder, see `osnet_edge.train.run_folder`; it is created unless `resume`.
        machine: device, precision and workers.
        weights: a network to start from; its classifier is kept if it has the same number of identities.
        teacher: a network for distillation; by default none, and `weights` if the recipe quantises.
        rounding: if the recipe quantises, how `weights` are rounded.
        facts: further entries for the run's record.
        resume: whether to continue the run in `folder`.
        test: called after each epoch with the model in eval mode and the number of epochs done; returns
            scores.
        progress: called with the number of images just trained on, and a short status.
        report: called with the report of each epoch.
        stopping: called at once on Ctrl-C, before the current step is finished and the run is saved.

    Returns:
        The model in eval mode, on its device; `folder` has its checkpoint.

    Raises:
        InputError: there are too few images, the recipe needs weights that are not given, the folder is in
            use, or the run to resume is missing or has another recipe, data, teacher or precision.
        CheckError: the loss or the gradient became NaN or infinite; the run's folder lists the batch.
        InterruptedRunError: Ctrl-C; the run is saved.
        UnavailableError: the machine lacks what was asked for, or ran out of memory.
        OtherProcessError: another process of the group failed.
    """
    machine, run = (machine or Machine()).resolved(), RunFolder(Path(folder))
    if not (weights or resume):
        recipe.require_no_weights()
    if (identities := len({picture.identity for picture in pictures})) < 2:
        raise InputError(f"expected 2 identities or more to train on, got {identities}")
    with (
        process_group(machine.torch_device()) as group,
        deferred_interrupt(stopping) as interrupted,
        told_in_one_line(),
        ExitStack() as stack,
    ):
        with group.together():
            recipe.batches.require_divisible(group.size)
            # Before anything is written: a set too small for a batch makes no run.
            steps = steps_an_epoch([picture.identity for picture in pictures], recipe.batches)
            quantized = recipe.network.quantize != "none"
            teacher = teacher or (weights if quantized else None)
            learner = Learner(
                pictures, recipe, machine, group, weights=weights, teacher=teacher, rounding=rounding
            )
            origin = Origin(
                recipe,
                fingerprint(pictures),
                weights_digest(teacher) if teacher else "",
                machine.precision,
                f"{weights_digest(weights)} {rounding.sha256}" if weights and rounding else "",
            )
            record = {**run_facts(machine, pictures, origin, group.size), **(facts or {})}
            state = RunState(learner.model, learner.optimizer, learner.scaler, origin, steps, record)
            if group.rank == 0:
                stack.enter_context(run.held(resume=resume, room=state.room))
            if resume:
                state.load(run.state)
            # Not before a run to resume is known to be of the same recipe.
            if group.rank == 0:
                run.write_recipe(recipe)
        at = state.progress
        if done := (at.epoch * steps + at.step) * recipe.batches.size:
            progress(done, "resumed")
        _Trainer(pictures, recipe, run, machine, learner, group, state).run_epochs(
            test, progress, report, interrupted
        )
    return learner.finished()


class _Trainer:
    def __init__(
        self,
        pictures: Sequence[Picture],
        recipe: Recipe,
        run: RunFolder,
        machine: Machine,
        learner: Learner,
        group: Group,
        state: RunState,
    ) -> None:
        self._pictures, self._recipe, self._run = pictures, recipe, run
        self._learner, self._group = learner, group
        self._state, self._at = state, state.progress
        self._loader = TrainingLoader(
            pictures,
            learner.preprocessing,
            recipe.augmentation,
            seed=recipe.seed,
            workers=machine.workers or 0,
        )
        self._saved_at = time.monotonic()

    def run_epochs(
        self,
        test: Test,
        progress: Callable[[int, str], None],
        report: Callable[[EpochReport], None],
        interrupted: Callable[[], bool],
    ) -> None:
        with EventLog(self._run.events, self._at.epoch, write=self._group.rank == 0) as events:
            self._save()
            while self._at.epoch < self._recipe.batches.epochs:
                self._epoch(progress, interrupted)
                closed = self._close_epoch(test)
                events.write(closed)
                report(closed)
                self._save()
        if self._group.rank == 0:
            save_osnet(self._learner.model, self._run.checkpoint)
            self._run.write_record(self._state, finished=True)

    def _epoch(self, progress: Callable[[int, str], None], interrupted: Callable[[], bool]) -> None:
        """Take the remaining steps of the current epoch."""
        at, recipe = self._at, self._recipe
        size, epochs = recipe.batches.size, recipe.batches.epochs
        order = epoch_order(self._learner.labels.tolist(), recipe.batches, recipe.seed, at.epoch)
        self._learner.begin_epoch(classifier_only=at.epoch < recipe.schedule.classifier_epochs)
        left, places = (self._group.share(of[at.step :]) for of in (order, places_in(order)))
        begun = time.monotonic()
        for images, chosen in zip(self._loader.epoch(at.epoch, left, places), left, strict=True):
            result = self._learner.gradients(images, chosen, stop=interrupted())
            if not (math.isfinite(result.loss) and math.isfinite(result.gradient)):
                self._stop_at_bad_numbers(result, chosen, order[at.step])
            skipped = self._learner.step(self._rate(at.step))
            now = time.monotonic()
            at.add(result.loss, result.hits, now - begun, skipped=skipped)
            begun = now
            progress(size, f"loss {at.loss_sum / at.step:.3f}, accuracy {at.hits / (at.step * size):.1%}")
            if result.stop or now - self._saved_at > SAVE_EVERY_S:
                self._save()
            if result.stop:
                raise InterruptedRunError(
                    f"interrupted in epoch {at.epoch + 1} of {epochs}; what was learnt is saved in "
                    f"{self._run.state}, go on with --resume"
                )

    def _rate(self, step: int) -> float:
        """Return the learning rate of a step of the current epoch, counted from 0."""
        done = self._at.epoch + step / self._state.steps
        factor = rate_factor(self._recipe.schedule, done, self._recipe.batches.epochs)
        return self._recipe.optimizer.learning_rate * factor

    def _stop_at_bad_numbers(self, result: StepResult, own: Order, whole: Order) -> None:
        """Raise, and list the images: this process's if its loss is at fault, all if the gradient is."""
        where = f"epoch {self._at.epoch + 1}, step {self._at.step + 1}"
        if not math.isfinite(result.own_loss):
            what, chosen = f"the loss became {result.own_loss}", own
        elif math.isfinite(result.loss) and self._group.rank == 0:
            what, chosen = f"the gradient became {result.gradient}", whole
        else:
            raise OtherProcessError(f"another process came to no number in {where}; see its message")
        listed = self._run.bad_batch
        write_json(listed, {"where": where, "pictures": [str(self._pictures[i].path) for i in chosen]})
        raise CheckError(
            f"{what} in {where}; {listed} names the images; lower the learning rate, or start from other "
            "weights"
        )

    def _close_epoch(self, test: Test) -> EpochReport:
        at, steps = self._at, self._state.steps
        shown = steps * self._recipe.batches.size
        tests = test(self._learner.model.eval(), at.epoch + 1) if self._group.rank == 0 else {}
        closed = EpochReport(
            epoch=at.epoch + 1,
            loss=at.loss_sum / steps,
            accuracy=at.hits / shown,
            learning_rate=self._rate(steps - 1),
            images_per_second=shown / max(at.seconds, 1e-9),
            skipped_steps=at.skipped,
            tests=tests,
        )
        at.close_epoch(closed)
        return closed

    def _save(self) -> None:
        if self._group.rank:
            return
        # Running statistics too: an infinite variance does not show in the loss, but turns its channel to 0.
        if not all(bool(torch.isfinite(value).all()) for value in self._learner.model.state_dict().values()):
            raise CheckError(
                f"the weights are no numbers any more; {self._run.state} holds the last good ones; lower the "
                "learning rate"
            )
        self._state.save(self._run.state)
        self._run.write_record(self._state, finished=False)
        self._saved_at = time.monotonic()
