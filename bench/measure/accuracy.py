"""Accuracy of engines: a set embedded once, scored, and compared with another engine's embeddings of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.metrics.distances import FloatArray, IntArray, in_chunks, measure
from osnet_edge.bench.metrics.evaluate import PictureRows, Split, feature_ranks, score_splits, split_labels
from osnet_edge.bench.metrics.ranking import MatchRanks, top_ranked
from osnet_edge.bench.metrics.reranking import Reranking
from osnet_edge.bench.metrics.scores import RetrievalScores, first_hits
from osnet_edge.bench.metrics.verification import Verified, verify_splits
from osnet_edge.bench.result.measurements import Retention
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.preprocessing import Picture, Preprocessing, resize

TOP_K = 10


@dataclass(frozen=True, eq=False)
class EmbeddedSet:
    """The test splits of a set, and an engine's embeddings of their images.

    Attributes:
        splits: one or more.
        rows: embeddings of all images.
        protocol: how the set is scored; see `score_retrieval`.
    """

    splits: Sequence[Split]
    rows: PictureRows
    protocol: str = "market1501"

    def scores(
        self, distance: str = "cosine", *, reranking: Reranking | None = None, threads: int = 1
    ) -> RetrievalScores:
        """Return the mean of the scores over the splits.

        Raises:
            InputError: as `score_retrieval`, where the arguments are described.
        """
        return score_splits(
            self.rows,
            self.splits,
            distance=distance,
            protocol=self.protocol,
            reranking=reranking,
            threads=threads,
        )

    def verified(self, fars: Sequence[float]) -> Verified:
        """Return error rates and thresholds over the pairs of all splits; raises as `verify_splits` does."""
        return verify_splits(self.rows, self.splits, fars=fars)

    @cached_property
    def features(self) -> tuple[FloatArray, FloatArray]:
        """Embeddings of the first split's queries (Q, D) and gallery (G, D)."""
        return self.rows.of(self.splits[0].query), self.rows.of(self.splits[0].gallery)

    @cached_property
    def ranks(self) -> MatchRanks:
        """Ranks of the matches of every query of the first split, by cosine.

        The labels alone decide which queries have a match, so the ranks of two engines are of the same
        queries, in the same order.
        """
        labels = split_labels(self.splits[0])
        ids, cameras = (labels.query_ids, labels.gallery_ids), (labels.query_cameras, labels.gallery_cameras)
        return feature_ranks(*self.features, *ids, *cameras)

    @cached_property
    def tops(self) -> list[IntArray]:
        """The first gallery images of every query of the first split, by cosine."""
        rows, labels = measure(*self.features, "cosine").rows, split_labels(self.splits[0])

        def chunk(part: slice) -> list[IntArray]:
            some = labels.of_queries(part)
            return top_ranked(
                rows(part),
                some.query_ids,
                some.gallery_ids,
                some.query_cameras,
                some.gallery_cameras,
                count=TOP_K,
            )

        chunks = in_chunks(chunk, len(labels.query_ids), len(labels.gallery_ids), threads=1)
        return [row for part in chunks for row in part]


def embed_set(
    embed: Callable[[list[Path | str]], FloatArray], splits: Sequence[Split], protocol: str = "market1501"
) -> EmbeddedSet:
    """Embed the images of a set, each once, since splits share them.

    Args:
        embed: takes the paths of N images to (N, D); `partial(embed_files, embedder)`, or an engine in a
            process of its own.
        splits: the set's test splits, one or more.
        protocol: how it is scored.

    Raises:
        InputError: a split lacks queries or a gallery. What `embed` raises passes through.
    """
    for split in splits:
        if not split.query or not split.gallery:
            raise InputError(
                f"expected query and gallery images, but got {len(split.query)} and {len(split.gallery)}; "
                "check the folder of the data set"
            )
    paths = images_of(splits)
    rows = PictureRows(embed(paths), {path: place for place, path in enumerate(paths)})
    return EmbeddedSet(splits, rows, protocol)


def images_of(splits: Sequence[Split]) -> list[Path | str]:
    """Return the paths of the images of some splits, each once."""
    items = (item for split in splits for side in (split.query, split.gallery) for item in side)
    return list(dict.fromkeys(item.path for item in items))


class SetEmbedder(Protocol):
    """A network or a package that is scored: it embeds crops, and has a name and preprocessing."""

    @property
    def variant(self) -> str:
        """Name of the network."""

    @property
    def preprocessing(self) -> Preprocessing:
        """What its input must look like."""

    def __call__(self, crops: list[Picture]) -> FloatArray:
        """Embed N crops of any sizes to (N, D), as the network gives them."""

    def read(self, path: Path | str) -> Picture:
        """Read an image, resized to the input while the network embeds others."""


@dataclass(frozen=True)
class PackageEmbedder:
    """An engine package as a `SetEmbedder`.

    Attributes:
        embedder: of the runtime.
    """

    embedder: Embedder

    @property
    def variant(self) -> str:
        """Name of its network."""
        return self.embedder.manifest.model.variant

    @property
    def preprocessing(self) -> Preprocessing:
        """What its input must look like."""
        return self.embedder.manifest.preprocessing

    def __call__(self, crops: list[Picture]) -> FloatArray:
        """Embed N crops of any sizes to (N, D), as the engine gives them."""
        return self.embedder(crops, l2_normalize=False)

    def read(self, path: Path | str) -> Picture:
        """Read an image, resized to the engine's input."""
        into = self.preprocessing
        return resize(read_picture(path), into.height, into.width, into.interpolation)


def retention(reference: EmbeddedSet, other: EmbeddedSet) -> Retention:
    """Compare two engines' embeddings of the same set."""
    cosines = centred_cosines(np.concatenate(reference.features), np.concatenate(other.features))
    tops = zip(reference.tops, other.tops, strict=True)
    shared = [len(np.intersect1d(one, two)) / max(1, len(one)) for one, two in tops]
    hits = [first_hits(each.ranks) > 0 for each in (reference, other)]
    asked = [Path(reference.splits[0].query[place].path).name for place in reference.ranks.answerable]
    return Retention(
        top_k=TOP_K,
        top_k_agreement=float(np.mean(shared)),
        centred_cosine_mean=float(cosines.mean()),
        centred_cosine_min=float(cosines.min()),
        lost=_named(asked, hits[0] & ~hits[1]),
        gained=_named(asked, hits[1] & ~hits[0]),
    )


def centred_cosines(reference: FloatArray, other: FloatArray) -> npt.NDArray[np.float64]:
    """Return the cosine of each pair of rows, after subtracting the reference's mean from both.

    Args:
        reference: (N, D).
        other: (N, D).

    Example:
        >>> same = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
        >>> [round(float(cosine), 6) for cosine in centred_cosines(same, same[::-1])]
        [-1.0, -1.0]
    """
    one, two = (_unit(rows.astype(np.float64)) for rows in (reference, other))
    middle = one.mean(axis=0)
    one, two = _unit(one - middle), _unit(two - middle)
    cosines: npt.NDArray[np.float64] = np.sum(one * two, axis=1)
    return cosines


def _unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float64] = rows / np.maximum(lengths, np.finfo(np.float64).tiny)
    return scaled


def _named(names: Sequence[str], chosen: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(name for name, flag in zip(names, chosen, strict=True) if flag)
