"""Accuracy of an engine on a data set of pictures: read, embed, rank, score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from osnet_edge.bench.metrics.ranking import MatchRanks
from osnet_edge.bench.metrics.retrieval import feature_ranks
from osnet_edge.bench.metrics.scores import RetrievalScores
from osnet_edge.runtime.embed_files import embed_files
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.preprocessing import Picture

Embed = Callable[[list[Picture]], Any]


class LabelledPicture(Protocol):
    """A picture of one person, and what is known about it."""

    @property
    def path(self) -> Path | str:
        """The picture's file."""

    @property
    def identity(self) -> int:
        """The number of the person."""

    @property
    def camera(self) -> int:
        """The number of the camera."""


def evaluate_retrieval(
    embed: Embed,
    query: Sequence[LabelledPicture],
    gallery: Sequence[LabelledPicture],
    *,
    batch: int = 32,
    distance: str = "cosine",
    progress: Callable[[float], None] | None = None,
) -> RetrievalScores:
    """Score the embeddings of `query` against those of `gallery` by the Market-1501 protocol.

    Args:
        embed: see `rank_pictures`, as are the rest.
        query: the pictures to look for.
        gallery: the pictures to look among.
        batch: how many pictures to embed at once.
        distance: "cosine" or "euclidean".
        progress: told the share of pictures done.

    Returns:
        The scores.

    Raises:
        InputError: see `rank_pictures`; or no query has a match.
    """
    ranks = rank_pictures(embed, query, gallery, batch=batch, distance=distance, progress=progress)
    return RetrievalScores.from_ranks(ranks)


def rank_pictures(
    embed: Embed,
    query: Sequence[LabelledPicture],
    gallery: Sequence[LabelledPicture],
    *,
    batch: int = 32,
    distance: str = "cosine",
    progress: Callable[[float], None] | None = None,
) -> MatchRanks:
    """Embed pictures and rank the matches of every query, which all metrics, also of one query, follow from.

    Pictures are read and embedded a batch at a time, see `embed_files`.

    Args:
        embed: takes a list of at most `batch` (H, W, 3) uint8 RGB crops of any sizes and returns one (D,) row
            for each, as an `Embedder` does.
        query: the pictures to look for.
        gallery: the pictures to look among.
        batch: how many pictures to embed at once.
        distance: "cosine" or "euclidean".
        progress: told the share of pictures done, in [0, 1], after every batch.

    Returns:
        The ranks. Which queries are answerable is a matter of the labels alone, so two engines ranked on the
        same pictures answer the same queries, in the same order.

    Raises:
        InputError: a side is empty, a picture cannot be read, `embed` returns something else than one row per
            picture, or the features cannot be ranked (see `feature_ranks`).
    """
    if not query or not gallery:
        raise InputError(
            f"expected query and gallery pictures, but got {len(query)} and {len(gallery)}; "
            "check the folder of the data set"
        )
    total = len(query) + len(gallery)
    done = 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done / total)

    features = [
        embed_files(embed, [picture.path for picture in side], batch=batch, progress=tell)
        for side in (query, gallery)
    ]
    return feature_ranks(
        features[0],
        features[1],
        [picture.identity for picture in query],
        [picture.identity for picture in gallery],
        [picture.camera for picture in query],
        [picture.camera for picture in gallery],
        distance=distance,
    )
