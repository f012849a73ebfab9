"""Held-out people: training people who calibrate nothing, on whom a build measures what precision costs.

The evaluation set is for the end. What a build decides it decides on others, and on others than those whose
ranges it has taken, who would flatter it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from osnet_edge.engines.calibration.draw import Candidate
from osnet_edge.runtime.errors import InputError

#: With fewer people, one query more or less moves mAP by more than any budget.
LEAST_PEOPLE = 32
_PICTURES_EACH = 4


def hold_out(
    candidates: Sequence[Candidate], people: int, *, seed: int = 0
) -> tuple[list[Candidate], list[Candidate]]:
    """Set people apart by chance, who were seen by 2 cameras or more and so can be looked for across them.

    At most half of those are, so that as many stay to be calibrated on; nobody is where that leaves fewer
    than `LEAST_PEOPLE`. No picture is opened.

    Args:
        candidates: what there is; the same in the same order is divided in the same way.
        people: how many to hold out, `LEAST_PEOPLE` or more; 0 for nobody.
        seed: of the choice.

    Returns:
        Pictures of the people held out, 4 each at most, from their cameras in turn; and all those of others.

    Raises:
        InputError: no such number of people, or a seed below 0.
    """
    if 0 != people < LEAST_PEOPLE or seed < 0:
        raise InputError(
            f"expected {LEAST_PEOPLE} held-out people or more, or 0 for none, and a seed of 0 or more, got "
            f"{people} people and the seed {seed}"
        )
    rng = np.random.default_rng((seed, 1))
    seen: dict[int, dict[int, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
    for index in rng.permutation(len(candidates)).tolist():
        candidate = candidates[index]
        seen[candidate.identity][candidate.camera].append(candidate)
    able = [who for who, cameras in seen.items() if len(cameras) > 1]
    count = min(people, len(able) // 2)
    chosen = dict.fromkeys(able[:count] if count >= LEAST_PEOPLE else ())
    held = [each for who in chosen for each in _in_turn(list(seen[who].values()))]
    return held, [each for each in candidates if each.identity not in chosen]


def _in_turn(cameras: list[list[Candidate]]) -> list[Candidate]:
    """Take one of each camera, then another of each, to `_PICTURES_EACH`."""
    most = max(map(len, cameras))
    turns = [camera[turn] for turn in range(most) for camera in cameras if turn < len(camera)]
    return turns[:_PICTURES_EACH]
