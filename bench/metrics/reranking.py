"""k-reciprocal re-ranking: two images are alike if they have the same neighbours, who know them too.

Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding" (CVPR 2017). The public
programs hold several matrices of all images by all images, 35 GB each for MSMT17. Here only an image's
few neighbours are kept, as sparse rows of SciPy, and rows of distances are made when they are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.metrics.distances import (
    Distances,
    FloatArray,
    IntArray,
    checked_feature_pair,
    in_chunks,
    measure,
)
from osnet_edge.runtime.errors import InputError, UnavailableError

#: (N, M) mostly zeros, a `scipy.sparse` array, which has no types.
Sparse = Any


@dataclass(frozen=True)
class Reranking:
    """The parameters of the paper, by its names, with its values for Market-1501.

    Attributes:
        k1: neighbours that must know each other (section 3.2).
        k2: neighbours whose codes are averaged (section 3.3, local query expansion).
        lambda_value: weight of the original distance in the sum (equation 12).
    """

    k1: int = 20
    k2: int = 6
    lambda_value: float = 0.3

    def __post_init__(self) -> None:
        """Refuse what the paper has no meaning for."""
        if not (1 <= self.k1 <= 1000 and 1 <= self.k2 <= 1000 and 0 <= self.lambda_value <= 1):
            raise InputError(
                f"expected k1 and k2 from 1 to 1000 and lambda_value from 0 to 1, got {self.k1}, {self.k2} "
                f"and {self.lambda_value}"
            )


@dataclass(frozen=True, eq=False)
class Reranked:
    """Distances after re-ranking, made a few rows at a time.

    Attributes:
        original: of every query to every gallery entry.
        farthest: (Q,) the largest original distance of each query, by which its distances are divided.
        query_codes: (Q, Q + G) k-reciprocal codes of the queries, by rows.
        gallery_codes: (G, Q + G) those of the gallery, by columns: which gallery entries have code c.
        lambda_value: weight of the original distance.
    """

    original: Distances
    farthest: FloatArray
    query_codes: Sparse
    gallery_codes: Sparse
    lambda_value: float

    def rows(self, part: slice = slice(None)) -> FloatArray:
        """Return `(1 - lambda) Jaccard + lambda original` (equation 12) of some queries to the gallery."""
        distances = _squared(self.original.rows(part)) / self.farthest[part, None]
        distances *= np.float32(self.lambda_value)
        for row, query in zip(distances, range(*part.indices(len(self.farthest))), strict=True):
            shared = self._shared(query)
            # Codes sum to 1, so the sum of the larger of two is 2 less the sum of the smaller (equation 10).
            row += (1 - self.lambda_value) * (1 - shared / (2 - shared))
        return distances

    def _shared(self, query: int) -> npt.NDArray[np.float64]:
        """Return, for each gallery entry, the sum of the smaller of its codes and the query's."""
        start, end = self.query_codes.indptr[query : query + 2]
        theirs = self.gallery_codes[:, self.query_codes.indices[start:end]]
        smaller = np.minimum(np.repeat(self.query_codes.data[start:end], np.diff(theirs.indptr)), theirs.data)
        shared = np.bincount(theirs.indices, smaller, minlength=len(self.original.gallery))
        return np.asarray(shared, np.float64)


def rerank(
    query_features: Any,
    gallery_features: Any,
    distance: str = "euclidean",
    settings: Reranking = Reranking(),
    *,
    threads: int = 1,
) -> Reranked:
    """Re-rank a gallery for its queries, by the neighbours that all images have among all.

    Distances are squared first, as in the authors' program and torchreid's: "euclidean", which is a square
    already, comes to the fourth power. Labels are not looked at.

    Time is that of a product of all images with all, and some. Memory is the features three times over,
    some 100 numbers an image for its neighbours, and a chunk for each thread.

    Args:
        query_features: (Q, D).
        gallery_features: (G, D).
        distance: "cosine" or "euclidean".
        settings: the paper's parameters.
        threads: chunks worked on at once.

    Returns:
        What gives the new distances, row by row.

    Raises:
        InputError: features are empty, not finite or of two widths, squares of distances overflow, or the
            distance has another name.
        UnavailableError: SciPy is not installed.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> rerank(rng.random((3, 8)), rng.random((50, 8))).rows().shape
        (3, 50)
    """
    sparse = scipy_sparse()
    query, gallery = checked_feature_pair(query_features, gallery_features)
    everything = np.concatenate([query, gallery])
    distances = measure(everything, everything, distance)
    # An image is its own nearest neighbour, so one more than k1 and its half are looked at.
    nearest, farthest = _neighbours(distances, settings.k1 + 1, threads)
    half = round(settings.k1 / 2) + 1
    codes = _codes(sparse, distances, nearest, farthest, half, threads)
    # The mean of the codes of each image's k2 nearest, itself the first (equation 11).
    chosen = nearest[:, : settings.k2]
    weights = np.full(chosen.size, 1 / chosen.shape[1], np.float32)
    starts = np.arange(0, chosen.size + 1, chosen.shape[1])
    codes = sparse.csr_matrix((weights, chosen.ravel(), starts), shape=codes.shape) @ codes
    return Reranked(
        measure(query, gallery, distance),
        farthest[: len(query)],
        codes[: len(query)],
        codes[len(query) :].tocsc(),
        settings.lambda_value,
    )


def scipy_sparse() -> ModuleType:
    """Return SciPy's sparse matrices, of which re-ranking is made.

    Raises:
        UnavailableError: SciPy is not installed.
    """
    try:
        from scipy import sparse
    except ModuleNotFoundError:
        raise UnavailableError(
            "re-ranking needs scipy, which is not installed: pip install 'osnet-edge[data]'"
        ) from None
    module: ModuleType = sparse
    return module


def _squared(distances: FloatArray) -> FloatArray:
    return np.square(distances, out=distances)


def _neighbours(distances: Distances, count: int, threads: int) -> tuple[IntArray, FloatArray]:
    """Return the nearest (N, count) of each image, nearest first, and the distance (N,) of the farthest."""
    total = distances.shape[1]
    count = min(count, total)

    def chunk(part: slice) -> tuple[IntArray, FloatArray]:
        rows = _squared(distances.rows(part))
        nearest = np.argpartition(rows, count - 1, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(rows, nearest, axis=1), axis=1, kind="stable")
        return np.take_along_axis(nearest, order, axis=1), rows.max(axis=1)

    parts = in_chunks(chunk, total, 3 * total, threads)
    farthest = np.concatenate([most for _, most in parts])
    if not np.isfinite(farthest).all():
        raise InputError(
            "expected features whose squared distances fit into float32, but some overflow; scale them down"
        )
    # Images that are all the same have no distances to compare, and none to divide by.
    return np.concatenate([nearest for nearest, _ in parts]), np.maximum(farthest, np.finfo(np.float32).tiny)


def _codes(
    sparse: ModuleType,
    distances: Distances,
    nearest: IntArray,
    farthest: FloatArray,
    half: int,
    threads: int,
) -> Sparse:
    """Return each image's k-reciprocal code: exp(-distance) to the members of R*, of sum 1 (equation 7)."""
    mutual, mutual_half = _mutual(nearest, threads), _mutual(nearest[:, :half], threads)

    def chunk(part: slice) -> Sparse:
        members = _expanded_sets(nearest, mutual, mutual_half, part)
        row, column = np.nonzero(members >= 0)
        picture, other = row + part.start, members[row, column]
        weights = np.exp(-_squared(distances.pairs(picture, other)) / farthest[picture])
        sums = np.bincount(row, weights, minlength=len(members))
        values = (weights / sums[row]).astype(np.float32)
        return sparse.csr_matrix((values, (row, other)), shape=(len(members), len(nearest)))

    width = nearest.shape[1]
    return sparse.vstack(in_chunks(chunk, len(nearest), width * width * half, threads), format="csr")


def _mutual(nearest: IntArray, threads: int) -> npt.NDArray[np.bool_]:
    """Return which of its neighbours (N, k) have an image among their own k: R(p, k) (equation 2)."""

    def chunk(part: slice) -> npt.NDArray[np.bool_]:
        itself = np.arange(len(nearest))[part, None, None]
        known: npt.NDArray[np.bool_] = (nearest[nearest[part]] == itself).any(axis=2)
        return known

    return np.concatenate(in_chunks(chunk, len(nearest), nearest.shape[1] ** 2, threads))


def _expanded_sets(
    nearest: IntArray,
    mutual: npt.NDArray[np.bool_],
    mutual_half: npt.NDArray[np.bool_],
    part: slice,
) -> IntArray:
    """Return R*(p, k1) of some images, each member once, in rows filled up with -1.

    To R(p, k1) are added the sets R(q, k1 / 2) of its members q, where it holds more than two thirds of them
    already (equation 3).
    """
    half = mutual_half.shape[1]
    own = np.where(mutual[part], nearest[part], -1)
    theirs = np.where(mutual_half[nearest[part]], nearest[nearest[part], :half], -1)
    held = (theirs[..., None] == own[:, None, None, :]).any(axis=3) & (theirs >= 0)
    taken = mutual[part] & (3 * held.sum(axis=2) > 2 * (theirs >= 0).sum(axis=2))
    added = np.where(taken[..., None], theirs, -1)
    members = np.sort(np.concatenate([own, added.reshape(len(own), -1)], axis=1), axis=1)
    members[:, 1:][members[:, 1:] == members[:, :-1]] = -1
    return members
