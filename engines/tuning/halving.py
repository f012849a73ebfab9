"""Successive halving: many candidates timed a little, the better of them more, the best few for long.

"Non-stochastic Best Arm Identification and Hyperparameter Optimization", Jamieson & Talwalkar, AISTATS 2016,
algorithm 1 (arXiv:1502.07943): every rung costs about the same, since it has a third of the candidates and
three times the rounds. Two things are added: candidates stand against each other within a round only, and
some stay for as long as another does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from osnet_edge.engines.tuning.race import Race, Round

#: Times candidates in turns: which rung, who, and how many rounds at least. Who could not be run is left out.
Heat = Callable[[int, tuple[str, ...], int], Iterable[Round]]


@dataclass(frozen=True)
class Plan:
    """How many are timed how often.

    Attributes:
        part: one of so many stays; the paper's eta.
        first: rounds of the first rung; each further one has `part` times as many.
        last: rounds of the last rung at least, so that a difference can be told from noise.
        seats: candidates in memory at once; a rung of more is run in heats, each with the reference.
    """

    part: int = 3
    first: int = 2
    last: int = 15
    seats: int = 9

    def rungs(self, count: int) -> list[tuple[int, int]]:
        """Return for each rung how many candidates it has by their merit, and its rounds.

        Example:
            >>> Plan().rungs(30)
            [(30, 2), (10, 6), (4, 18)]
        """
        sizes = [count]
        while sizes[-1] > self.part + 1:
            sizes.append(math.ceil(sizes[-1] / self.part))
        rounds = [self.first * self.part**rung for rung in range(len(sizes))]
        rounds[-1] = max(rounds[-1], self.last)
        return list(zip(sizes, rounds, strict=True))


DEFAULT_PLAN = Plan()


@dataclass(frozen=True)
class Field:
    """Who takes part.

    Attributes:
        names: of the candidates, the reference first, which stays to the end.
        kinds: of each; the best of every kind stays to the end, for others may turn out to be not allowed.
        stay_for: who stays for as long as a candidate does, to be compared with it to the end.
    """

    names: tuple[str, ...]
    kinds: Mapping[str, str]
    stay_for: Mapping[str, tuple[str, ...]]


def halve(field: Field, heat: Heat, plan: Plan = DEFAULT_PLAN) -> tuple[Race, list[Round]]:
    """Find the fastest candidates in a fraction of the time that timing all of them would take.

    Args:
        field: who takes part.
        heat: times some of them.
        plan: how often.

    Returns:
        All rounds, and those of the last rung alone, by which nobody was picked.
    """
    race = Race(field.names[0])
    last: list[Round] = []
    for rung, (size, rounds) in enumerate(plan.rungs(len(field.names))):
        chosen = _stay(field, race, size) if rung else field.names
        last = [one for some in _heats(chosen, plan.seats) for one in heat(rung, some, rounds)]
        race.add(last)
    return race, last


def _stay(field: Field, race: Race, size: int) -> tuple[str, ...]:
    """Return the best, the best of each kind, and who stays for them, in the order of the field."""
    timed = race.names()
    order = sorted((name for name in field.names if name in timed), key=race.score)
    best_of = {field.kinds[name]: name for name in reversed(order)}
    kept = {field.names[0], *order[:size], *best_of.values()}
    kept |= {other for name in kept for other in field.stay_for.get(name, ()) if other in timed}
    return tuple(name for name in field.names if name in kept)


def _heats(names: Sequence[str], seats: int) -> list[tuple[str, ...]]:
    """Split a rung into heats of even size, each with the reference, which is the first of the names."""
    reference, others = names[0], names[1:]
    count = max(1, math.ceil(len(others) / (seats - 1)))
    return [(reference, *others[index::count]) for index in range(count)]
