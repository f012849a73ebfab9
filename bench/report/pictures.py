"""Pictures for a page: people, and queries with what was found for them, right or wrong."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image

from osnet_edge.bench.metrics.distances import measure
from osnet_edge.bench.metrics.evaluate import LabelledPicture
from osnet_edge.bench.metrics.ranking import top_ranked
from osnet_edge.runtime.embedder import Embeddings
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.preprocessing import Picture

if TYPE_CHECKING:
    from osnet_edge.bench.measure.accuracy import EmbeddedSet

T = TypeVar("T")
Labelled = TypeVar("Labelled", bound=LabelledPicture)

# A page that must stay whole when it is mailed may hold images, but must not fetch any.
_DATA_URI = re.compile(r"data:image/(png|jpeg|webp);base64,[A-Za-z0-9+/]+={0,2}")

#: Pixels a side: twice what is shown, for screens of two pixels a point.
_LARGEST = 400


@dataclass(frozen=True)
class InlinePicture:
    """An image inside the page.

    Attributes:
        data: a data URI, `data:image/png;base64,...` (or jpeg, webp).
        caption: what it shows; also read aloud in its place.
    """

    data: str
    caption: str

    @classmethod
    def of(cls, pixels: Picture, caption: str) -> InlinePicture:
        """Make one of H x W x 3 uint8 RGB, as JPEG, smaller where it is larger than a page shows."""
        file = io.BytesIO()
        image = Image.fromarray(pixels)
        image.thumbnail((_LARGEST, _LARGEST))
        image.save(file, "JPEG", quality=85)
        return cls(f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}", caption)

    def __post_init__(self) -> None:
        if not _DATA_URI.fullmatch(self.data):
            raise InputError(
                "expected an image as data:image/png;base64,... (or jpeg, webp), but got "
                f"{self.data[:40]!r}; encode the file's bytes in base64"
            )


@dataclass(frozen=True)
class Ranking:
    """A query and the gallery images nearest to it, nearest first, each with whether it is right."""

    query: InlinePicture
    found: tuple[tuple[InlinePicture, bool], ...]


@dataclass(frozen=True)
class PictureSection:
    """A section of the page: a heading, a sentence, images in a row, and rankings in rows of five."""

    title: str
    note: str
    pictures: tuple[InlinePicture, ...] = ()
    rankings: tuple[Ranking, ...] = ()


def spread(items: Sequence[T], count: int) -> list[T]:
    """Return `count` of the items, evenly spread from the first to the last; all where there are fewer.

    Example:
        >>> spread("abcdefgh", 3)
        ['a', 'e', 'h']
    """
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in places.tolist()]


def rankings(
    embed: Callable[[Sequence[Labelled]], Embeddings],
    queries: Sequence[Labelled],
    gallery: Sequence[Labelled],
    *,
    distance: str = "cosine",
) -> tuple[Ranking, ...]:
    """Return, for each query, the five gallery images nearest to it, as they are scored.

    Args:
        embed: gives the embeddings (N, D) of images.
        queries: to look for.
        gallery: to look among; those of the query's own identity and camera are left out.
        distance: "cosine" or "euclidean".
    """
    nearest = top_ranked(
        measure(embed(queries), embed(gallery), distance).rows(),
        [item.identity for item in queries],
        [item.identity for item in gallery],
        [item.camera for item in queries],
        [item.camera for item in gallery],
    )
    shown = []
    for query, row in zip(queries, nearest, strict=True):
        found = [gallery[index] for index in row]
        marked = tuple((inline(item), item.identity == query.identity) for item in found)
        shown.append(Ranking(inline(query), marked))
    return tuple(shown)


def ranking_section(
    title: str,
    embedded: EmbeddedSet,
    queries: Sequence[LabelledPicture],
    distance: str,
    maps: tuple[InlinePicture, ...] = (),
) -> PictureSection:
    """Show what is nearest to some queries of a set.

    Args:
        title: of the section.
        embedded: the set; of its first split the gallery is shown.
        queries: to show.
        distance: "cosine" or "euclidean".
        maps: each query with its attention map; empty where there are none.
    """
    seen = (
        "Each query with its attention map, light where the features that become the embedding are strong. "
    )
    return PictureSection(
        title,
        f"{seen if maps else ''}Below, the nearest gallery images by {distance} distance, as scored: "
        "without those of the query's own person and camera.",
        maps,
        rankings(embedded.rows.of, queries, embedded.splits[0].gallery, distance=distance),
    )


def inline(item: LabelledPicture) -> InlinePicture:
    """Return an image of a set for the page."""
    return InlinePicture.of(read_picture(item.path), caption(item))


def caption(item: LabelledPicture) -> str:
    """Say who is in an image, and by which camera."""
    return f"person {item.identity}, camera {item.camera}"
