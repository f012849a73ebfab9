"""The budget: which groups of layers compute in INT8, so that no more accuracy is lost than may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.decisions import AccuracyLoss


@dataclass(frozen=True)
class Budget:
    """The largest accepted loss in points; None for no limit.

    Attributes:
        mean_ap: of mAP on the held-out images, at most.
        rank1: of Rank-1 on them, at most.
        idf1: of IDF1 in sequences, as measured: few sequences tell little of how much it may be.
    """

    mean_ap: float | None
    rank1: float | None = None
    idf1: float | None = None

    def __post_init__(self) -> None:
        """Refuse an invalid budget."""
        limits = {"--budget": self.mean_ap, "--budget-rank1": self.rank1, "--budget-idf1": self.idf1}
        for name, points in limits.items():
            if points is not None and not 0 <= points <= 100:
                raise InputError(f"expected {name} of 0 to 100 points, got {points}")
        if all(points is None for points in limits.values()):
            raise InputError("--precision auto needs --budget POINTS of mAP (or --budget-rank1), such as 0.5")

    def allows(self, loss: AccuracyLoss) -> bool:
        """Whether a loss is within it, under changed cameras and in sequences too."""
        in_sequences = loss.tracks is not None and self.idf1 is not None and loss.tracks.idf1 <= self.idf1
        return self.allows_ranks(loss) and (self.idf1 is None or in_sequences)

    def allows_ranks(self, loss: AccuracyLoss) -> bool:
        """Whether a loss of mAP and Rank-1 is within it."""
        return all(
            (self.mean_ap is None or each.mean_ap_most <= self.mean_ap)
            and (self.rank1 is None or each.rank1_most <= self.rank1)
            for each in (loss, loss.changed or loss)
        )


@dataclass(frozen=True)
class Choice:
    """What was chosen: the groups in INT8, what they lose together, and what each loses alone."""

    groups: tuple[str, ...]
    loss: AccuracyLoss
    alone: dict[str, AccuracyLoss]


def choose_groups(
    groups: Sequence[str],
    gains: Callable[[], Mapping[str, float]],
    measure: Callable[[Sequence[str]], AccuracyLoss],
    budget: Budget,
    progress: Callable[[str], None] = lambda step: None,
) -> Choice | None:
    """Choose the groups that gain most within a budget.

    All of them, if they are. Else each is measured alone, they are put in the order of what they gain for
    what they lose, and the longest part of that order that stays within the budget is found by halving; what
    is behind it is tried once more, one by one. Losses do not add up, so only choices that were measured as
    a whole are returned.

    Args:
        groups: names.
        gains: what each brings, such as milliseconds saved or its share of the work; asked for if needed.
        measure: what a choice loses.
        budget: what it may lose.
        progress: called with a line for each step.

    Returns:
        The choice, or None where not even one group is within the budget.
    """
    progress(f"measuring all {len(groups)} groups in INT8 together")
    together = measure(groups)
    if budget.allows(together):
        return Choice(tuple(groups), together, {})
    gain = gains()
    useful = [name for name in groups if gain[name] > 0]
    alone = {}
    for index, name in enumerate(useful, start=1):
        progress(f"measuring {name} in INT8 ({index} of {len(useful)})")
        alone[name] = measure([name])
    # What loses nothing comes first, whatever it gains.
    order = sorted(useful, key=lambda name: max(alone[name].worse.mean_ap, 0.0) / gain[name])
    kept, loss = _longest_part(order, measure, budget, progress)
    for name in order[len(kept) :]:
        if not budget.allows(alone[name]):
            continue
        progress(f"trying {name} beside {counted(len(kept), 'group')}")
        tried = measure([*kept, name])
        if budget.allows(tried):
            kept, loss = [*kept, name], tried
    return Choice(tuple(kept), loss, alone) if kept and loss else None


def _longest_part(
    order: Sequence[str],
    measure: Callable[[Sequence[str]], AccuracyLoss],
    budget: Budget,
    progress: Callable[[str], None],
) -> tuple[list[str], AccuracyLoss | None]:
    """Find by halving how many of the first stay within the budget together; all of them do not."""
    within, beyond, loss = 0, len(order), None
    while beyond - within > 1:
        middle = (within + beyond) // 2
        progress(f"measuring the best {middle} groups together")
        tried = measure(order[:middle])
        if budget.allows(tried):
            within, loss = middle, tried
        else:
            beyond = middle
    return list(order[:within]), loss
