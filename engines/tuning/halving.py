"""Successive halving: many candidates timed a little, the better of them more, the best few for long.

"Non-stochastic Best Arm Identification and Hyperparameter Optimization", Jamieson & Talwalkar, AISTATS 2016,
algorithm 1 (arXiv:1502.07943): every rung costs about the same, since it has a quarter of the candidates and
four times the rounds. Two things are added: candidates stand against each other within a round only, and
some stay for as long as another does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from osnet_edge.engines.tuning.race import Race, Round

#: Times candidates in turns: which rung, who, and how many rounds at least. Who could not be run is left out.
TimeGroup = Callable[[int, tuple[str, ...], int], Iterable[Round]]


@dataclass(frozen=True)
class Plan:
    """How many are timed how often.

    Attributes:
        part: one of so many stays; the paper's eta.
        first: rounds of the first rung; each further one has `part` times as many.
        last: rounds of the last rung at least, so that a difference can be told from noise.
        most: rounds of any rung at most.
        slots: candidates in memory at once; a rung of more is run in groups, each with the reference, but the
            last one.
        gain: how much faster one must surely be than another to be taken in its place: what rounds, or its
            loss bought nothing; and a rewrite, for a graph that was rewritten for nothing is one more thing
            to explain.
    """

    part: int = 4
    first: int = 3
    last: int = 21
    most: int = 48
    slots: int = 9
    gain: float = 1.01

    def rungs(self, count: int) -> list[tuple[int, int]]:
        """Return for each rung how many candidates it has by their merit, and its rounds.

        Example:
            >>> Plan().rungs(40)
            [(40, 3), (10, 12), (3, 48)]
        """
        sizes = [count]
        while sizes[-1] > self.part:
            sizes.append(math.ceil(sizes[-1] / self.part))
        rounds = [min(self.first * self.part**rung, self.most) for rung in range(len(sizes))]
        rounds[-1] = max(rounds[-1], self.last)
        return list(zip(sizes, rounds, strict=True))


DEFAULT_PLAN = Plan()


@dataclass(frozen=True)
class Field:
    """Who takes part.

    Attributes:
        names: of the candidates, the reference first, which stays to the end.
        kinds: of each, the reference's being the one that is always allowed. Of that kind, and of those
            that are faster, some stay in each rung, for what is faster still may turn out not to be allowed.
        stay_for: who stays for as long as a candidate does, to be compared with it to the end.
    """

    names: tuple[str, ...]
    kinds: Mapping[str, str]
    stay_for: Mapping[str, tuple[str, ...]]


def halve(field: Field, time_group: TimeGroup, plan: Plan = DEFAULT_PLAN) -> tuple[Race, list[Round]]:
    """Find the fastest candidates in a fraction of the time that timing all of them would take.

    Args:
        field: who takes part.
        time_group: times some of them.
        plan: how often.

    Returns:
        All rounds, and those of the last rung alone, by which nobody was picked.
    """
    race = Race(field.names[0])
    last: list[Round] = []
    rungs = plan.rungs(len(field.names))
    for rung, (size, rounds) in enumerate(rungs):
        chosen = _stay(field, race, size, plan.part) if rung else field.names
        # Those of the last rung are few, and any two of them may have to be compared: they share one group.
        groups = _groups(chosen, plan.slots) if rung < len(rungs) - 1 else [chosen]
        last = [one for some in groups for one in time_group(rung, some, rounds)]
        race.add(last)
    return race, last


def exhaust(field: Field, time_group: TimeGroup, rounds: int, plan: Plan = DEFAULT_PLAN) -> list[Round]:
    """Time all candidates alike, for comparison."""
    return [one for some in _groups(field.names, plan.slots) for one in time_group(0, some, rounds)]


def _stay(field: Field, race: Race, size: int, part: int) -> tuple[str, ...]:
    """Return the best, the best of some kinds, and who stays for them, in the order of the field."""
    timed = race.names()
    order = sorted((name for name in field.names if name in timed), key=race.score)
    safe = field.kinds[field.names[0]]
    first_safe = next(index for index, name in enumerate(order) if field.kinds[name] == safe)
    kept = {field.names[0], *order[:size]}
    for kind in {safe, *(field.kinds[name] for name in order[:first_safe])}:
        kept |= set([name for name in order if field.kinds[name] == kind][: math.ceil(size / part)])
    kept |= {other for name in kept for other in field.stay_for.get(name, ()) if other in timed}
    return tuple(name for name in field.names if name in kept)


def _groups(names: Sequence[str], slots: int) -> list[tuple[str, ...]]:
    """Split a rung into groups of even size, each with the reference, which is the first of the names."""
    reference, others = names[0], names[1:]
    count = max(1, math.ceil(len(others) / (slots - 1)))
    return [(reference, *others[index::count]) for index in range(count)]
