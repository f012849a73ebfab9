"""Golden pairs: synthetic crops in a package, and the embeddings that its engine must give for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osnet_edge.runtime.errors import CheckError, InputError, first_line
from osnet_edge.runtime.package.manifest import Manifest
from osnet_edge.runtime.preprocessing import Picture

Rows = NDArray[np.float32]


def read_golden(package: Path, manifest: Manifest) -> tuple[Picture, Rows]:
    """Read a package's golden pairs.

    Returns:
        Crops, uint8 (K, H, W, 3) RGB, and their embeddings, float32 (K, D), of length 1.

    Raises:
        InputError: the file is not what `osnet-edge build` writes.
    """
    path = package / manifest.golden.file
    try:
        with np.load(path, allow_pickle=False) as pairs:
            crops, embeddings = pairs["crops"], pairs["embeddings"]
    except Exception as error:
        # A damaged npz makes numpy and zipfile raise nearly anything.
        raise InputError(
            f"{path}: expected golden pairs (crops, embeddings), got {first_line(error)}; build it again"
        ) from None
    fits = (
        crops.dtype == np.uint8
        and crops.ndim == 4
        and crops.shape[3:] == (3,)
        and embeddings.dtype == np.float32
        and embeddings.shape == (len(crops), manifest.model.embedding_size)
        and len(crops) > 1
    )
    if not fits:
        raise InputError(
            f"{path}: crops {crops.shape} of {crops.dtype} and embeddings {embeddings.shape} of "
            f"{embeddings.dtype} are no golden pairs; build it again"
        )
    return crops, embeddings


def hold_to_golden(got: Rows, expected: Rows, limit: float) -> float:
    """Hold an engine's embeddings to the golden ones.

    The mean of the golden embeddings is taken off first: with it on, any two images look alike.

    Args:
        got: (K, D), of any length.
        expected: (K, D).
        limit: the mean-centred cosine distance that a row may have.

    Returns:
        The largest distance of a row.

    Raises:
        CheckError: it is over the limit; the message does not say of which engine.
    """
    middle = expected.mean(axis=0)
    got, expected = (normalize_rows(rows - middle) for rows in (normalize_rows(got), expected))
    distance = float(np.max(1 - np.sum(got * expected, axis=1)))
    # Written so that NaN fails too.
    if not distance <= limit:
        raise CheckError(
            "embeddings differ from the golden ones by a mean-centred cosine distance of "
            f"{distance:.2g}, over {limit:.2g}"
        )
    return max(distance, 0.0)


def normalize_rows(embeddings: Rows) -> Rows:
    """Scale each row of (N, D) to length 1; a row of zeros stays as it is."""
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    scaled: Rows = embeddings / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled
