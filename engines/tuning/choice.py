"""The winner: the fastest candidate that is significantly faster than its rivals, and within the budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from osnet_edge.bench.result.latency_stats import LatencyStats
from osnet_edge.engines.tuning.candidate import Candidate, must_beat
from osnet_edge.runtime.errors import CheckError

#: Of candidates whose own proof failed when their package was built, the reasons.
NONE_UNPROVEN: Mapping[Candidate, str] = {}


@dataclass(frozen=True)
class Times:
    """A candidate's times.

    Attributes:
        milliseconds: of a batch, by batch size.
        spread: of its own times, by batch size.
        rounds: how often it was timed.
        launches: of its plan.
        calls: what its own times say of the machine, by batch size.
    """

    milliseconds: tuple[float, ...]
    spread: tuple[float, ...] = ()
    rounds: int = 0
    launches: int | None = None
    calls: tuple[LatencyStats, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How a tuning ended.

    Attributes:
        winner: what was taken.
        times: of who could be built.
        dropped: why those were not taken that seemed faster, or could not be built or run.
        slower: of the others, by how much.
    """

    winner: Candidate
    times: dict[Candidate, Times]
    dropped: dict[Candidate, str]
    slower: dict[Candidate, str]


def pick(
    order: Sequence[Candidate],
    others: Sequence[Candidate],
    faster: Callable[[Candidate, Candidate], bool],
    refuse: Callable[[Candidate], str | None],
) -> tuple[Candidate, dict[Candidate, str]]:
    """Go from the fastest on until one may be taken; the reference may, unless its own proof failed.

    What a candidate loses must buy something: it has to be surely faster than everything slower that rounds
    less and is within the budget. NVIDIA's Model Optimizer has the same rule (its pull request 2318).

    Args:
        order: who is left, fastest first.
        others: all candidates that may have to be beaten, the reference first.
        faster: whether one is surely faster than another.
        refuse: why one is not within the budget, or None; asked of as few as possible, since it takes time.

    Returns:
        The winner, and why each was dropped that seemed faster.

    Raises:
        CheckError: every one is refused.
    """
    dropped: dict[Candidate, str] = {}
    for index, candidate in enumerate(order):
        close = [other for other in must_beat(candidate, others) if not faster(candidate, other)]
        close += [
            other
            for other in order[index + 1 :]
            if other.bits > candidate.bits and not faster(candidate, other) and refuse(other) is None
        ]
        if close:
            dropped[candidate] = f"is not surely faster than {close[0]}"
        elif reason := refuse(candidate):
            dropped[candidate] = reason
        else:
            return candidate, dropped
    reasons = "; ".join(f"{each} {why}" for each, why in dropped.items())
    raise CheckError(f"no candidate is left to build: {reasons}; tune for another --target")
