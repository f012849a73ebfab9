"""Boxes as a detector gives them: some missed, some doubled, none quite in place, each with a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from osnet_edge.train.synthetic.stage import Box

#: Cells, down and across, that a box is cut into to see how much of it is hidden.
_GRID = (16, 8)
#: Standard deviation of a box's place and size, as parts of its height.
_JITTER = 0.025
#: How often a person in full view is missed, is found twice, and nobody is taken for somebody.
_MISSED, _DOUBLED, _GHOSTS = 0.04, 0.03, 0.04
#: How far a person must be in view, 0 to 1, to be found half of the time.
_HALF_FOUND = 0.4


@dataclass(frozen=True)
class Found:
    """A box of a detector.

    Attributes:
        box: x1, y1, x2, y2 in pixels, inside the frame.
        score: 0 to 1, how sure it is.
    """

    box: Box
    score: float


def visible_part(box: Box, nearer: Sequence[Box], size: tuple[int, int]) -> float:
    """Return how much of a box is in the frame and not behind nearer boxes, 0 to 1.

    Args:
        box: x1, y1, x2, y2 in pixels.
        nearer: boxes of what stands before it, each taken for solid.
        size: width and height of the frame in pixels.
    """
    down, across = ((np.arange(count) + 0.5) / count for count in _GRID)
    y = (box[1] + down * (box[3] - box[1]))[:, None]
    x = (box[0] + across * (box[2] - box[0]))[None, :]
    seen = (x >= 0) & (x < size[0]) & (y >= 0) & (y < size[1])
    for left, top, right, bottom in nearer:
        seen &= ~((x >= left) & (x < right) & (y >= top) & (y < bottom))
    return float(seen.mean())


def detect(
    people: Mapping[int, tuple[Box, float]], size: tuple[int, int], rng: np.random.Generator
) -> list[Found]:
    """Find people as a detector would.

    Args:
        people: by identity, the box (x1, y1, x2, y2 in pixels) and how much of it is visible, 0 to 1.
        size: width and height of the frame in pixels.
        rng: what is missed, doubled and moved.

    Returns:
        The boxes, in no order that tells who is who.
    """
    found = []
    for box, visible in people.values():
        chance = (1 - _MISSED) / (1 + np.exp(-14 * (visible - _HALF_FOUND)))
        if rng.random() < chance:
            found.append(_find(box, visible, size, rng))
            if rng.random() < _DOUBLED:
                found.append(_find(box, 0.6 * visible, size, rng))
    if rng.random() < _GHOSTS:
        high = float(rng.uniform(0.2, 0.5)) * size[1]
        left, top = (
            float(rng.uniform(0, size[0] - 0.4 * high)),
            float(rng.uniform(0.2 * size[1], size[1] - high)),
        )
        found.append(_find((left, top, left + 0.4 * high, top + high), 0.3, size, rng))
    return [found[k] for k in rng.permutation(len(found))]


def _find(box: Box, visible: float, size: tuple[int, int], rng: np.random.Generator) -> Found:
    high = box[3] - box[1]
    moved = np.array(box) + rng.normal(0, _JITTER * high, 4)
    left, top, right, bottom = moved.clip(0, [size[0], size[1], size[0], size[1]]).tolist()
    score = float(np.clip(rng.normal(0.45 + 0.5 * visible, 0.06), 0.05, 0.99))
    return Found((left, top, right, bottom), score)
