"""Pictures for a page: some queries with what was found for them, right or wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from osnet_edge.bench.measure.accuracy import EmbeddedSet
from osnet_edge.bench.metrics.accuracy import LabelledPicture
from osnet_edge.bench.metrics.distances import measure
from osnet_edge.bench.metrics.top import top_ranked
from osnet_edge.bench.report.pictures import InlinePicture, PictureSection, Ranking
from osnet_edge.runtime.embedder import Embeddings
from osnet_edge.runtime.pictures import read_picture

T = TypeVar("T")
Labelled = TypeVar("Labelled", bound=LabelledPicture)


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
    """Return, for each query, the five gallery pictures nearest to it, as they are scored.

    Args:
        embed: gives the embeddings (N, D) of pictures.
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
        f"{seen if maps else ''}Below, the nearest gallery pictures by {distance} distance, as scored: "
        "without those of the query's own person and camera.",
        maps,
        rankings(embedded.rows.of, queries, embedded.splits[0].gallery, distance=distance),
    )


def inline(item: LabelledPicture) -> InlinePicture:
    """Return a picture of a set for the page."""
    return InlinePicture.of(read_picture(item.path), caption(item))


def caption(item: LabelledPicture) -> str:
    """Say who is in a picture, and by which camera."""
    return f"person {item.identity}, camera {item.camera}"
