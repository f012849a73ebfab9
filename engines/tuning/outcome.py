"""Who wins: the fastest that is surely faster than what it must beat, and within the budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from osnet_edge.engines.tuning.candidate import Candidate, must_beat


@dataclass(frozen=True)
class Times:
    """A candidate's times: milliseconds a batch and their spread by batch size, rounds, and launches."""

    milliseconds: tuple[float, ...]
    spread: tuple[float, ...] = ()
    rounds: int = 0
    launches: int | None = None


@dataclass(frozen=True)
class Outcome:
    """How a tuning ended.

    Attributes:
        winner: what was taken.
        times: of who could be built.
        dropped: why the others were not taken.
    """

    winner: Candidate
    times: dict[Candidate, Times]
    dropped: dict[Candidate, str]


def pick(
    order: Sequence[Candidate],
    others: Sequence[Candidate],
    faster: Callable[[Candidate, Candidate], bool],
    refuse: Callable[[Candidate], str | None],
) -> tuple[Candidate, dict[Candidate, str]]:
    """Go from the fastest on until one may be taken; the reference always may.

    Args:
        order: who is left, fastest first.
        others: all candidates, the reference first.
        faster: whether one is surely faster than another.
        refuse: why one is not within the budget, or None; asked of as few as possible, since it takes time.

    Returns:
        The winner, and why each was dropped that seemed faster.
    """
    dropped: dict[Candidate, str] = {}
    for candidate in order:
        rival = next((other for other in must_beat(candidate, others) if not faster(candidate, other)), None)
        if rival is not None:
            dropped[candidate] = f"not surely faster than {rival}"
        elif reason := refuse(candidate):
            dropped[candidate] = reason
        else:
            return candidate, dropped
    raise AssertionError("the reference is among them")
