"""The Pareto front: what nothing is better than in both of two things, and the line that it is drawn as."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")
#: In drawing units: x and y.
Place = tuple[float, float]


def pareto_front(items: Iterable[T], place: Callable[[T], tuple[float, float]]) -> list[T]:
    """Return the items that no other beats in both, from the left: none is further left and at least as high.

    Example:
        >>> pareto_front([(2, 45), (1, 44), (3, 44.5), (4, 46)], lambda point: point)
        [(1, 44), (2, 45), (4, 46)]
    """
    front: list[T] = []
    for item in sorted(items, key=lambda each: (place(each)[0], -place(each)[1])):
        if not front or place(item)[1] > place(front[-1])[1]:
            front.append(item)
    return front


def corners(front: Sequence[Place]) -> list[Place]:
    """Return where the line of a front turns: what is below and to the right of it is beaten.

    Example:
        >>> corners([(1, 9), (2, 5)])
        [(1, 9), (2, 9), (2, 5)]
    """
    return [*front[:1], *(turn for (_, y), (x, up) in pairwise(front) for turn in ((x, y), (x, up)))]


def steps(front: Sequence[Place]) -> str:
    """Return the line of a front, in drawing units; none of a single place."""
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in corners(front))
    return f'<path class="front" d="M{path}"/>' if len(front) > 1 else ""
