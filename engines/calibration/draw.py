"""Drawing calibration images: evenly over people and cameras, by a seed, without near-duplicates.

First people are held out, who calibrate nothing, and on whom a build measures what a precision costs. The
evaluation set is for the end. What a build decides it decides on others, and on others than those whose
ranges it has taken, who would flatter it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from osnet_edge.engines.calibration.calibration_set import Box, cut_box
from osnet_edge.engines.calibration.perceptual_hash import HASH_BITS, difference_hash, is_grey, is_near
from osnet_edge.runtime.boxes import clip_boxes
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.pictures import read_picture

#: With fewer people held out, one query more or less moves mAP by more than any budget.
MIN_PEOPLE = 32
_IMAGES_EACH = 4


@dataclass(frozen=True)
class Candidate:
    """An image that may be drawn.

    Attributes:
        path: the crop's file, or the frame's.
        identity: the number of the person, over all sources.
        camera: the number of the camera, as above.
        box: where in the frame the person is; None for a crop. It may reach over the frame's edges.
    """

    path: Path
    identity: int
    camera: int
    box: Box | None = None


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    Attributes:
        pictures: in the order of drawing; boxes are clipped to their frames.
        near_duplicates: how many were passed over because they look like one that was drawn before.
        outside: how many boxes were passed over because they hold no pixel of their frame.
        grey: how many of the images have (nearly) no colour.
    """

    pictures: tuple[Candidate, ...]
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
    seed: int = 0,
    progress: Callable[[int], None] = lambda count: None,
) -> Drawn:
    """Draw images in rounds: in each, every person who has any left gives one, people in random order.

    It is taken from the camera that gave the fewest so far, so cameras come out even as far as people were
    seen by several. A near-duplicate makes room for the person's next image in the same round. Only
    images whose turn comes are opened.

    Args:
        candidates: what there is; the same in the same order is drawn from in the same way.
        count: how many to draw; all that there are if they are fewer.
        seed: of the drawing.
        progress: called with 1 for each that is drawn.

    Raises:
        InputError: count is below 1, the seed below 0, or an image cannot be read.
    """
    if count < 1 or seed < 0:
        raise InputError(
            f"expected 1 image or more and a seed of 0 or more, got {count} images and the seed {seed}"
        )
    sieve = _Sieve()
    stacks = _Stacks(candidates, seed)
    while stacks.people and len(sieve.drawn) < count:
        for who in stacks.people:
            taken = next((c for c in map(sieve.pass_through, stacks.give(who)) if c), None)
            if taken:
                stacks.cameras[taken.camera] += 1
                progress(1)
            if len(sieve.drawn) == count:
                break
        stacks.forget_the_empty()
    return Drawn(tuple(sieve.drawn), sieve.near_duplicates, sieve.outside, sieve.grey)


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


class _Sieve:
    """Opens images, keeps what is new, and counts the rest."""

    def __init__(self) -> None:
        self.drawn: list[Candidate] = []
        self.near_duplicates = self.outside = self.grey = 0
        self._hashes = np.empty((0, HASH_BITS), np.bool_)

    def pass_through(self, candidate: Candidate) -> Candidate | None:
        """Return the candidate with its box clipped, or None if it is not to be drawn."""
        frame = read_picture(candidate.path)
        if candidate.box:
            clipped, valid = clip_boxes([candidate.box], *frame.shape[:2])
            if not valid[0]:
                self.outside += 1
                return None
            x1, y1, x2, y2 = clipped[0].tolist()
            candidate = Candidate(candidate.path, candidate.identity, candidate.camera, (x1, y1, x2, y2))
        crop = cut_box(frame, candidate.box, str(candidate.path))
        bits = difference_hash(crop)
        if is_near(bits, self._hashes):
            self.near_duplicates += 1
            return None
        self._hashes = np.vstack([self._hashes, bits])
        self.drawn.append(candidate)
        self.grey += is_grey(crop)
        return candidate
