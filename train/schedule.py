"""The learning rate as a pure function of where a run stands, so that resuming needs no state of its own."""

from __future__ import annotations

import math

from osnet_edge.train.recipe import Schedule


def rate_factor(schedule: Schedule, epoch: float, epochs: int) -> float:
    """Return the factor on the learning rate.

    Args:
        schedule: how it goes.
        epoch: epochs done so far, a fraction within an epoch.
        epochs: of the whole run.

    Returns:
        From 0 to 1.

    Example:
        >>> [rate_factor(Schedule(milestones=(2,)), epoch, 4) for epoch in (0, 1.9, 2)]
        [1.0, 1.0, 0.1]
    """
    if schedule.name == "step":
        # The public schedules step between epochs, not within.
        factor = schedule.factor ** sum(milestone <= epoch for milestone in schedule.milestones)
    elif schedule.name == "cosine":
        factor = 0.5 * (1 + math.cos(math.pi * epoch / epochs))
    else:
        factor = min(1.0, 4 * (epochs - epoch) / epochs)
    if epoch < schedule.warmup_epochs:
        # Not from 0, where the first step would learn nothing.
        factor *= max(0.01, epoch / schedule.warmup_epochs)
    return factor
