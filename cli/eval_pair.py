"""One checkpoint on one set: its pictures embedded once, scored in every way asked for, and some shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from osnet_edge.bench import InlinePicture, PictureSection, Reranking
from osnet_edge.bench.metrics.splits import PictureRows, score_splits
from osnet_edge.bench.report.cross_domain import DomainScores
from osnet_edge.cli.package_embedder import PackageEmbedder
from osnet_edge.cli.ranked_pictures import caption, rankings, spread
from osnet_edge.runtime.embed_files import embed_files
from osnet_edge.train.attention import attention_maps, overlay
from osnet_edge.train.data import Picture, ReidSet
from osnet_edge.train.embed import TorchEmbedder


class Way(NamedTuple):
    """How a gallery is ranked: by which distance, and whether it is re-ranked."""

    distance: str
    reranked: bool


def ways(distance: str, rerank: bool) -> tuple[Way, ...]:
    """Return the ways to rank that `--distance` and `--rerank` ask for.

    Example:
        >>> [tuple(way) for way in ways("both", False)]
        [('cosine', False), ('euclidean', False)]
    """
    distances = ("cosine", "euclidean") if distance == "both" else (distance,)
    return tuple(Way(each, after) for each in distances for after in ((False, True) if rerank else (False,)))


@dataclass(frozen=True)
class Pair:
    """A checkpoint and a set.

    Attributes:
        source: the checkpoint's name.
        embedder: its network, or a package of it.
        target: the set's name.
        splits: the set's test splits.
    """

    source: str
    embedder: TorchEmbedder | PackageEmbedder
    target: str
    splits: tuple[ReidSet, ...]

    @property
    def name(self) -> str:
        """Both in words."""
        return f"{self.source} on {self.target}"

    @property
    def pictures(self) -> int:
        """How many different pictures the splits have."""
        return len(self._paths())

    def embed(self, batch: int, progress: Callable[[int], None]) -> PictureRows:
        """Embed the pictures of all splits, each once."""
        paths = self._paths()
        rows = embed_files(self.embedder, paths, batch=batch, read=self.embedder.read, progress=progress)
        return PictureRows(rows, {path: place for place, path in enumerate(paths)})

    def _paths(self) -> list[Path]:
        items = (item for split in self.splits for side in (split.query, split.gallery) for item in side)
        return list(dict.fromkeys(item.path for item in items))


def score_pair(pair: Pair, embedded: PictureRows, way: Way, threads: int) -> DomainScores:
    """Score a pair in one way."""
    protocol = pair.splits[0].protocol
    how = pair.embedder.preprocessing
    scores = score_splits(
        embedded,
        pair.splits,
        distance=way.distance,
        protocol=protocol,
        reranking=Reranking() if way.reranked else None,
        threads=threads,
    )
    return DomainScores(
        source=pair.source,
        variant=pair.embedder.variant,
        target=pair.target,
        protocol=protocol,
        splits=len(pair.splits),
        size=(how.height, how.width),
        distance=way.distance,
        reranked=way.reranked,
        scores=scores,
    )


def picture_section(pair: Pair, embedded: PictureRows, way: Way, count: int) -> PictureSection:
    """Show some queries: where the network looks, and what is nearest."""
    split = pair.splits[0]
    queries = spread(split.query, count)
    maps = _attention(pair.embedder, queries)
    seen = (
        "Each query with its attention map, light where the features that become the embedding are strong. "
    )
    return PictureSection(
        pair.name,
        f"{seen if maps else ''}Below, the nearest gallery pictures by {way.distance} distance, as scored: "
        "without those of the query's own person and camera.",
        maps,
        rankings(embedded.of, queries, split.gallery, distance=way.distance),
    )


def _attention(
    embedder: TorchEmbedder | PackageEmbedder, queries: list[Picture]
) -> tuple[InlinePicture, ...]:
    if isinstance(embedder, PackageEmbedder):
        # An engine gives nothing of what is inside of it.
        return ()
    crops = [embedder.read(item.path) for item in queries]
    maps = attention_maps(embedder.model, embedder.batch(crops))
    return tuple(
        InlinePicture.of(np.concatenate([crop, overlay(crop, seen)], axis=1), caption(item))
        for crop, seen, item in zip(crops, maps, queries, strict=True)
    )
