"""What the adapters share: what they call, and rows where a tracker takes none that is NaN."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from osnet_edge.runtime.embedder import BoxEmbeddings, Embeddings
from osnet_edge.runtime.errors import InputError, first_line


class BoxEmbedder(Protocol):
    """An `Embedder`, a `FollowingEmbedder`, or whatever else embeds the boxes of a frame as they do."""

    def embed_boxes(self, frame: object, boxes: ArrayLike, *, bgr: bool = False) -> BoxEmbeddings:
        """Embed the people in a frame, as `Embedder.embed_boxes` does."""


def check_embedder(embedder: object) -> None:
    """Refuse what embeds no boxes where it is given, since a tracker calls it many frames later.

    Raises:
        InputError: it is the path of a package, or no embedder.
    """
    if not callable(getattr(embedder, "embed_boxes", None)) or isinstance(embedder, type):
        got = first_line(repr(embedder), 60)
        raise InputError(f"expected an embedder, got {got}; load one with Embedder.load(package)")


def zeros_for_none(found: BoxEmbeddings) -> Embeddings:
    """Return one row a box, (N, D) float32, with zeros for a box that holds no pixel.

    Its cosine similarity to every row is 0, and a mean of a track's rows stays finite, as with NaN it would
    not.
    """
    return np.where(found.valid[:, None], found.embeddings, np.float32(0))


def embedding_size(embedder: BoxEmbedder) -> int:
    """Return the length of a row, D, without running the engine."""
    nobody = embedder.embed_boxes(np.zeros((1, 1, 3), np.uint8), np.empty((0, 4)))
    return int(nobody.embeddings.shape[1])
