"""Tuning on the machine that runs the engines: successive halving by real calls, then the budget."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from osnet_edge.engines.int8 import HeldOut
from osnet_edge.engines.tuning.accuracy import Accuracy
from osnet_edge.engines.tuning.candidate import Candidate, must_beat
from osnet_edge.engines.tuning.choice import NONE_UNPROVEN, Outcome, Times, pick
from osnet_edge.engines.tuning.halving import DEFAULT_PLAN, Field, Plan, halve
from osnet_edge.engines.tuning.race import Race, Round, surely_faster
from osnet_edge.engines.tuning.stopwatch import Stopwatch
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.package.decisions import AccuracyLoss

#: Rungs from here on are the last one once more.
_AGAIN = 100


def field_of(candidates: Sequence[Candidate]) -> Field:
    """Return candidates as `halve` takes them: the best of each precision stays, and who must be beaten."""
    return Field(
        names=tuple(map(str, candidates)),
        kinds={str(each): each.precision for each in candidates},
        stay_for={str(each): tuple(map(str, must_beat(each, candidates))) for each in candidates},
    )


def measure(
    candidates: Sequence[Candidate],
    stopwatch: Stopwatch,
    accuracy: Accuracy,
    plan: Plan,
    progress: Callable[[str], None] = lambda step: None,
    unproven: Mapping[Candidate, str] = NONE_UNPROVEN,
    *,
    complete: bool = True,
) -> Iterator[Outcome]:
    """Time candidates against each other and pick one; and the next best, for as long as one is asked for.

    Args:
        candidates: the reference first.
        stopwatch: times them, by their names.
        accuracy: holds them to the budget, as they compute here.
        plan: how many are timed how often.
        progress: called with a line for each step.
        unproven: why the proofs of earlier winners failed; whoever asks for the next one fills it.
        complete: whether losses of finalists are measured that nobody needs to choose: a table that shows
            what speed costs is worth a few seconds.

    Yields:
        How it ended, given whose proof failed until then.

    Raises:
        OsnetEdgeError: the reference cannot be run.
        CheckError: nobody is left to be taken.
    """
    named = {str(each): each for each in candidates}
    timed_as = {each: accuracy.digest(each) for each in candidates}
    race, last = halve(field_of(candidates), stopwatch, plan)
    finalists = finalists_of(candidates, last)

    def refuse(candidate: Candidate) -> str | None:
        if candidate in unproven:
            return unproven[candidate]

        def lose(people: HeldOut) -> AccuracyLoss:
            engine = stopwatch.engine(str(candidate))
            accuracy.hold_to_graph(candidate, engine, stopwatch.largest)
            return people.loss_by(engine, stopwatch.largest)

        return accuracy.refuse(candidate, lose)

    retimed = 0
    while True:
        winner, dropped = choose(candidates, race, last, refuse, plan.gain, unproven)
        decided = accuracy.decided.get(winner)
        if not (decided is None or decided.whole or accuracy.digest(winner) == timed_as[winner]):
            # It was timed with all of its layers in INT8, and keeps some of them in floating point.
            progress(f"timing {winner} with {counted(len(decided.groups), 'group')} in INT8")
            timed_as[winner], retimed = accuracy.digest(winner), retimed + 1
            race.forget(str(winner))
            last = stopwatch(_AGAIN + retimed, tuple(map(str, finalists)), plan.last)
            race.add(last)
            continue
        for each in finalists if complete else ():
            if not each.quantized and each not in accuracy.losses:
                refuse(each)
        dropped.update({named[name]: why for name, why in stopwatch.failed.items()})
        slower = _slower(candidates, finalists, race, winner)
        # A winner's build wants their memory; one that is asked for again is opened again.
        stopwatch.close()
        yield Outcome(winner, _times(named, race), {**dropped, **unproven}, slower)


def finalists_of(candidates: Sequence[Candidate], last: Sequence[Round]) -> list[Candidate]:
    """Return who was timed in the last rung."""
    return [each for each in candidates if any(str(each) in one for one in last)]


def choose(
    candidates: Sequence[Candidate],
    race: Race,
    last: Sequence[Round],
    refuse: Callable[[Candidate], str | None] = lambda candidate: None,
    gain: float = DEFAULT_PLAN.gain,
    unproven: Collection[Candidate] = NONE_UNPROVEN,
) -> tuple[Candidate, dict[Candidate, str]]:
    """Pick from the finalists: by all rounds who comes first, by the last rung's whether that is sure.

    Args:
        candidates: the reference first.
        race: all rounds.
        last: those of the last rung.
        refuse: why one is not within the budget, or None.
        gain: see `Plan`.
        unproven: whose own proof failed: nobody has to be faster than what cannot be had.

    Returns:
        The winner, and why each was dropped that seemed faster.
    """
    finalists = finalists_of(candidates, last)
    return pick(
        sorted(finalists, key=lambda each: race.score(str(each))),
        [each for each in finalists if each not in unproven],
        lambda one, other: surely_faster(last, str(one), str(other), gain),
        refuse,
    )


def _slower(
    candidates: Sequence[Candidate], finalists: Sequence[Candidate], race: Race, winner: Candidate
) -> dict[Candidate, str]:
    """Say of everyone but the winner that it was slower, and after how many rounds."""
    reasons = {}
    for each in candidates:
        count = race.count(str(each))
        if count and each != winner:
            times = race.score(str(each)) / race.score(str(winner))
            longer = f"{times:.2f} times as long as the winner"
            dropped = f"dropped after {counted(count, 'round')}, {longer}"
            reasons[each] = longer if each in finalists else dropped
    return reasons


def _times(named: dict[str, Candidate], race: Race) -> dict[Candidate, Times]:
    return {
        named[name]: Times(
            race.milliseconds(name), race.spread(name), race.count(name), calls=race.calls(name)
        )
        for name in race.names()
    }
