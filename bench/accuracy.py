"""Accuracy of an engine on a data set of pictures: read, embed, score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from osnet_edge.bench.retrieval import score_retrieval
from osnet_edge.bench.scores import RetrievalScores
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
        The scores.

    Raises:
        InputError: a side is empty, a picture cannot be read, `embed` returns something else than one row per
            picture, or there is nothing to score (see `score_retrieval`).
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
    return score_retrieval(
        features[0],
        features[1],
        [picture.identity for picture in query],
        [picture.identity for picture in gallery],
        [picture.camera for picture in query],
        [picture.camera for picture in gallery],
        distance=distance,
    )
