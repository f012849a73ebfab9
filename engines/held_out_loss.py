"""What an engine loses on held-out pictures: bench's metrics, for a build that must stay within a budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.metrics.average_precision import average_precisions
from osnet_edge.bench.metrics.cmc import first_hits
from osnet_edge.bench.metrics.paired_bootstrap import paired_bootstrap
from osnet_edge.bench.metrics.retrieval import feature_ranks
from osnet_edge.runtime.package.decisions import Loss

#: Two-sided, so that the lower end alone is passed in 5 % of samples.
_CONFIDENCE = 0.9


def held_out_loss(
    reference: npt.NDArray[np.float32],
    other: npt.NDArray[np.float32],
    identities: Sequence[int],
    cameras: Sequence[int],
) -> Loss:
    """Return what `other` loses: every picture is a query, and all of other cameras are its gallery.

    Args:
        reference: (N, D) embeddings of float32.
        other: (N, D) embeddings of the engine.
        identities: (N,) numbers of people.
        cameras: (N,) numbers of cameras.

    Raises:
        InputError: nobody was seen by two cameras.
    """
    precisions, hits = [], []
    for rows in (reference, other):
        ranks = feature_ranks(rows, rows, identities, identities, cameras, cameras)
        precisions.append(100 * average_precisions(ranks))
        hits.append(100 * first_hits(ranks))
    mean_ap = paired_bootstrap(*precisions, confidence=_CONFIDENCE)
    rank1 = paired_bootstrap(*hits, confidence=_CONFIDENCE)
    return Loss(-mean_ap.mean, -mean_ap.low, -rank1.mean, -rank1.low)
