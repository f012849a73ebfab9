"""The present training speed of this machine, measured by training for some seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence

from osnet_edge.train.data import Picture
from osnet_edge.train.learner import Learner
from osnet_edge.train.loader import TrainingLoader
from osnet_edge.train.machine import Group, Machine
from osnet_edge.train.recipe import Recipe
from osnet_edge.train.sampling import epoch_order

#: The first steps choose kernels and fill memory pools.
_WARM_UP_STEPS = 3


def images_per_second(pictures: Sequence[Picture], recipe: Recipe, seconds: float = 4.0) -> float:
    """Train with `recipe` for some seconds, discard the result, and return the speed in images per second.

    Args:
        pictures: the training split.
        recipe: the training recipe.
        seconds: how long to measure, after warm-up steps; at most one epoch.

    Raises:
        InputError: there are too few images.
    """
    machine = Machine().resolved()
    learner = Learner(pictures, recipe, machine, Group(device=machine.torch_device()))
    learner.begin_epoch(classifier_only=False)
    loader = TrainingLoader(
        pictures,
        learner.preprocessing,
        recipe.augmentation,
        seed=recipe.seed,
        workers=machine.workers or 0,
    )
    order = epoch_order(learner.labels.tolist(), recipe.batches, recipe.seed, 0)
    begun, steps = time.monotonic(), 0
    for images, chosen in zip(loader.epoch(0, order), order, strict=True):
        learner.gradients(images, chosen)
        learner.step(recipe.optimizer.learning_rate)
        steps += 1
        if steps == _WARM_UP_STEPS < len(order):
            begun = time.monotonic()
        elif steps > _WARM_UP_STEPS and time.monotonic() - begun >= seconds:
            break
    counted = steps - _WARM_UP_STEPS if len(order) > _WARM_UP_STEPS else steps
    return counted * recipe.batches.size / (time.monotonic() - begun)
