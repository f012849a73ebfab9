"""Drawing calibration images: evenly over people, cameras and time, by a seed, without near-duplicates.

First people are held out, who calibrate nothing, and on whom a build measures what a precision costs. The
evaluation set is for the end. What a build decides it decides on others, and on others than those whose
ranges it has taken, who would flatter it.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import sqrt
from pathlib import Path

import numpy as np

from osnet_edge.engines.calibration.calibration_set import UNKNOWN
from osnet_edge.engines.calibration.sieve import Candidate, Sieve
from osnet_edge.runtime.errors import InputError

#: With fewer people held out, one query more or less moves mAP by more than any budget.
MIN_PEOPLE = 32
_IMAGES_EACH = 4
#: What is set aside, as a part of all that is drawn, where that is less than was asked for.
_ASIDE = 3
_GOLDEN = (sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    Attributes:
        pictures: in the order of drawing; boxes are clipped to their frames.
        aside: as above, drawn after them, to measure on.
        near_duplicates: how many were passed over because they look like one that was drawn before.
        outside: how many boxes were passed over because they hold no pixel of their frame.
        grey: how many of `pictures` have (nearly) no colour.
    """

    pictures: tuple[Candidate, ...]
    aside: tuple[Candidate, ...]
    near_duplicates: int
    outside: int
    grey: int


def hold_out(
    candidates: Sequence[Candidate], people: int, *, seed: int = 0
) -> tuple[list[Candidate], list[Candidate]]:
    """Set people apart by chance, who were seen by 2 cameras or more and so can be looked for across them.

    At most half of those are, so that as many stay to be calibrated on; nobody is where that leaves fewer
    than `MIN_PEOPLE`. No image is opened.

    Args:
        candidates: what there is; the same in the same order is divided in the same way.
        people: how many to hold out, `MIN_PEOPLE` or more; 0 for nobody.
        seed: of the choice.

    Returns:
        Images of the people held out, 4 each at most, from their cameras in turn; and all those of others.

    Raises:
        InputError: no such number of people, or a seed below 0.
    """
    if 0 != people < MIN_PEOPLE or seed < 0:
        raise InputError(
            f"expected {MIN_PEOPLE} held-out people or more, or 0 for none, and a seed of 0 or more, got "
            f"{people} people and the seed {seed}"
        )
    rng = np.random.default_rng((seed, 1))
    seen: dict[int, dict[int, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
    for index in rng.permutation(len(candidates)).tolist():
        candidate = candidates[index]
        if candidate.identity != UNKNOWN:
            seen[candidate.identity][candidate.camera].append(candidate)
    able = [who for who, cameras in seen.items() if len(cameras) > 1]
    count = min(people, len(able) // 2)
    chosen = dict.fromkeys(able[:count] if count >= MIN_PEOPLE else ())
    held = [each for who in chosen for each in _in_turn(list(seen[who].values()))]
    return held, [each for each in candidates if each.identity not in chosen]


def _in_turn(cameras: list[list[Candidate]]) -> list[Candidate]:
    """Take one of each camera, then another of each, to `_IMAGES_EACH`."""
    rounds = range(max(map(len, cameras)))
    chosen = [camera[k] for k in rounds for camera in cameras if k < len(camera)]
    return chosen[:_IMAGES_EACH]


def draw_pictures(
    candidates: Sequence[Candidate],
    count: int,
    *,
    aside: int = 0,
    seed: int = 0,
    progress: Callable[[int], None] = lambda count: None,
) -> Drawn:
    """Draw images, from each camera as many as from another as far as it has them.

    People who are known are drawn in rounds: in each, every person who has any left gives one, people in
    random order. It is taken from the camera that gave the fewest so far, so cameras come out even as far as
    people were seen by several. A near-duplicate makes room for the person's next image in the same round.

    Where nobody knows who is who, frames stand for people: consecutive ones show the same. They give one box
    each in an order that is spread over the whole time however soon it ends. A crop is a frame of one.

    Only images whose turn comes are opened.

    Args:
        candidates: what there is, those without identities in the order of time; the same in the same order
            is drawn from in the same way.
        count: how many to draw; all that there are if they are fewer.
        aside: how many more to draw, and set aside to measure on; where there are too few for both, a third
            of what there is.
        seed: of the drawing.
        progress: called with 1 for each that is drawn.

    Raises:
        InputError: count is below 1, the seed or what is set aside below 0, or an image cannot be read.
    """
    if count < 1 or aside < 0 or seed < 0:
        raise InputError(
            f"expected 1 image or more, 0 or more to set aside and a seed of 0 or more, got {count} images, "
            f"{aside} and the seed {seed}"
        )
    sieve = Sieve()
    known = [each for each in candidates if each.identity != UNKNOWN]
    unknown: dict[int, list[Candidate]] = defaultdict(list)
    for each in candidates:
        if each.identity == UNKNOWN:
            unknown[each.camera].append(each)
    turns = [_over_people(known, seed, sieve)] * len({each.camera for each in known})
    turns += [_over_time(each, (seed, 2, camera), sieve) for camera, each in unknown.items()]
    drawn = []
    for taken in islice(_taken(turns), count + aside):
        drawn.append(taken)
        progress(1)
    kept = min(count, len(drawn) - min(aside, len(drawn) // _ASIDE))
    return Drawn(
        tuple(drawn[:kept]), tuple(drawn[kept:]), sieve.near_duplicates, sieve.outside, sum(sieve.grey[:kept])
    )


def _taken(turns: Sequence[Iterator[Candidate]]) -> Iterator[Candidate]:
    """Yield one of each in turn, until none has any left."""
    waiting = deque(turns)
    while waiting:
        turn = waiting.popleft()
        if taken := next(turn, None):
            yield taken
            waiting.append(turn)


def _over_people(candidates: Sequence[Candidate], seed: int, sieve: Sieve) -> Iterator[Candidate]:
    """Yield what is drawn of people who are known, in rounds."""
    stacks = _Stacks(candidates, seed)
    while stacks.people:
        for who in stacks.people:
            taken = next((c for c in map(sieve.pass_through, stacks.give(who)) if c), None)
            if taken:
                stacks.cameras[taken.camera] += 1
                yield taken
        stacks.forget_the_empty()


def _over_time(candidates: Sequence[Candidate], seed: Sequence[int], sieve: Sieve) -> Iterator[Candidate]:
    """Yield what is drawn of one camera's frames, in rounds.

    Frames come in the order of the fractional parts of their numbers times the golden ratio. Of these, any
    that are next to one another are spread evenly over all frames (the three-gap theorem), and no rhythm in
    the frames, such as two cameras in turn, is met by one of theirs.
    """
    rng = np.random.default_rng(seed)
    frames: dict[Path, list[Candidate]] = {each.path: [] for each in candidates}
    for index in rng.permutation(len(candidates)).tolist():
        frames[candidates[index].path].append(candidates[index])
    order = np.argsort((rng.random() + _GOLDEN * np.arange(len(frames))) % 1)
    boxes_of = list(frames.values())
    left = [boxes_of[index] for index in order]
    while left:
        for boxes in left:
            while boxes:
                if taken := sieve.pass_through(boxes.pop()):
                    yield taken
                    break
        left = list(filter(None, left))


class _Stacks:
    """Images still to be had, shuffled, by person and camera.

    Args:
        candidates: all of them.
        seed: of the shuffling.
    """

    def __init__(self, candidates: Sequence[Candidate], seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._left: dict[int, dict[int, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
        for index in rng.permutation(len(candidates)).tolist():
            candidate = candidates[index]
            self._left[candidate.identity][candidate.camera].append(candidate)
        #: In the order of their turns: that of their first images in the shuffle.
        self.people = list(self._left)
        #: How many images each camera has given.
        self.cameras: Counter[int] = Counter()
        self._given: Counter[tuple[int, int]] = Counter()

    def give(self, who: int) -> Iterator[Candidate]:
        """Yield a person's images; those that are not asked for stay for later rounds."""
        left = self._left[who]
        while left:
            # Among even cameras, the one by which this person was seen least.
            camera = min(left, key=lambda k: (self.cameras[k], self._given[who, k]))
            candidate = left[camera].pop()
            self._given[who, camera] += 1
            if not left[camera]:
                del left[camera]
            yield candidate

    def forget_the_empty(self) -> None:
        """Leave people without images out of the next round."""
        self.people = [who for who in self.people if self._left[who]]
