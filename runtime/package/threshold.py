"""What a manifest says of the similarity from which on two images show one person, and where that is from."""

from __future__ import annotations

from dataclasses import dataclass

from osnet_edge.runtime.errors import InputError


@dataclass(frozen=True)
class Threshold:
    """A threshold on the cosine of two embeddings, measured on this engine.

    It holds for the cameras of the set that it was measured on; on others, pairs of two people may be more
    alike, or less.

    Attributes:
        cosine: from which on a pair is accepted.
        far: share of the pairs of two people, by different cameras, that are accepted.
        interval: of the cosine, 95 %, for other people before the same cameras.
        set: name of the set.
        images: of it, queries and gallery.
        people: whom its queries show.
    """

    cosine: float
    far: float
    interval: tuple[float, float]
    set: str
    images: int
    people: int

    def __post_init__(self) -> None:
        """Refuse what no measurement gives."""
        low, high = self.interval
        if not (-1.001 <= self.cosine <= 1.001 and low <= high):
            raise InputError(
                f"expected a cosine and a rising interval, got {self.cosine} and {self.interval}"
            )
        if not 0 < self.far < 1:
            raise InputError(f"expected a false accept rate between 0 and 1, got {self.far}")
