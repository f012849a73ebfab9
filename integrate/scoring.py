"""mAP of embeddings that a consumer computes, among themselves and against a gallery of the package's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from osnet_edge.bench.measure.accuracy import images_of
from osnet_edge.bench.metrics.evaluate import PictureRows, Split, score_retrieval, split_labels
from osnet_edge.bench.metrics.scores import RetrievalScores
from osnet_edge.integrate.emulation import Embed
from osnet_edge.integrate.pipeline import Floats
from osnet_edge.runtime.embed_files import embed_files


@dataclass(frozen=True)
class TestImages:
    """A set on which configurations are scored.

    Attributes:
        splits: its test splits, one or more.
        protocol: how it is scored; see `score_retrieval`.
    """

    splits: Sequence[Split]
    protocol: str

    def embed(self, embed: Embed, progress: Callable[[int], None] = lambda count: None) -> PictureRows:
        """Embed every image once.

        Args:
            embed: takes H x W x 3 uint8 RGB crops to (N, D).
            progress: called with how many images were just done.
        """
        paths: list[Path | str] = images_of(self.splits)
        rows = embed_files(lambda crops: embed(crops), paths, progress=progress)
        return PictureRows(rows, {path: place for place, path in enumerate(paths)})

    @property
    def count(self) -> int:
        """How many images there are."""
        return len(images_of(self.splits))

    def mean_ap(self, query: PictureRows, gallery: PictureRows, *, by_angle: bool = True) -> float:
        """Return mAP in percent, the mean over splits.

        Args:
            query: embeddings of which the queries' are taken.
            gallery: embeddings of which the gallery's are taken.
            by_angle: whether similarity is the cosine, or the dot product of rows of any length.
        """
        score = partial(
            score_retrieval, protocol=self.protocol, distance="cosine" if by_angle else "euclidean"
        )
        scores = []
        for split in self.splits:
            labels, sides = split_labels(split), (query.of(split.query), gallery.of(split.gallery))
            scores.append(
                score(
                    *(sides if by_angle else _ranked_by_dot_product(*sides)),
                    labels.query_ids,
                    labels.gallery_ids,
                    labels.query_cameras,
                    labels.gallery_cameras,
                )
            )
        return RetrievalScores.mean(scores).mean_ap * 100


def _ranked_by_dot_product(query: Floats, gallery: Floats) -> tuple[Floats, Floats]:
    """Return rows whose Euclidean distances rank as the dot products of the given ones do.

    With a further number that makes all rows of the gallery equally long, |q - g|^2 is |q|^2 + c - 2 q.g.
    """
    squares = np.square(gallery).sum(axis=1)
    filled = np.sqrt(squares.max() - squares)[:, None]
    return np.hstack([query, np.zeros_like(query[:, :1])]), np.hstack([gallery, filled.astype(np.float32)])
