"""CUHK03's old protocol: the gallery holds one picture of each person, drawn at random, again and again.

The public evaluations draw ten or a hundred galleries and average the curves. The mean over all galleries has
a closed form, so nothing is drawn here: no seed, and no noise of a few tenths of a point.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.metrics._checks import FloatArray, IntArray, Labels


def single_shot_matches(distances: FloatArray, labels: Labels, max_rank: int = 50) -> npt.NDArray[np.float64]:
    """Return, for each answerable query and each k, the chance that its match is among the first k.

    The gallery is one picture of each identity, every picture as likely as another, without those of the
    query's own identity and camera. With the match m drawn, identity p stands in front of it with chance
    `c_p / n_p`: of its n_p pictures, c_p are nearer than m. Identities are drawn independently, so how many
    stand in front is Poisson-binomial, and `CMC(k) = P(fewer than k stand in front)`, averaged over m.

    Source: Li et al., "DeepReID" (CVPR 2014) for the protocol.

    Args:
        distances: (Q, G), checked; equal distances keep the order of the gallery.
        labels: of both sides, checked.
        max_rank: length of the curves; a gallery of fewer identities ends them.

    Returns:
        (A, min(max_rank, identities)) float64 in [0, 1], rows in the order of the answerable queries.

    Example:
        One match. Of person 8's two pictures one is nearer, so in half of the galleries it comes first.

        >>> labels = Labels(*map(np.array, ([7], [7, 8, 8], [0], [1, 1, 1])))
        >>> single_shot_matches(np.array([[0.2, 0.1, 0.3]]), labels).tolist()
        [[0.5, 1.0]]
    """
    query, column = labels.same_identity()
    match = labels.query_cameras[query] != labels.gallery_cameras[column]
    query, column = query[match], column[match]
    in_front, own = _chances_in_front(distances, labels.gallery_ids, query, column)
    fewer = np.cumsum(_poisson_binomial(in_front, min(max_rank, len(own))), axis=1)
    answerable, starts, counts = np.unique(query, return_index=True, return_counts=True)
    if not len(answerable):
        return fewer
    curves: npt.NDArray[np.float64] = np.add.reduceat(fewer, starts, axis=0) / counts[:, None]
    return curves


def _chances_in_front(
    distances: FloatArray, gallery_ids: IntArray, query: IntArray, column: IntArray
) -> tuple[npt.NDArray[np.float64], IntArray]:
    """Return the chance (M, P) of each other identity to stand in front of each match, and the identities."""
    order = np.argsort(gallery_ids, kind="stable")
    identities, starts, counts = np.unique(gallery_ids[order], return_index=True, return_counts=True)
    chances = np.empty((len(query), len(identities)))
    for match, (row, place) in enumerate(zip(query.tolist(), column.tolist(), strict=True)):
        entries, value = distances[row], distances[row, place]
        nearer = entries < value
        nearer[:place] |= entries[:place] == value
        chances[match] = np.add.reduceat(nearer[order], starts, dtype=np.int64) / counts
    # The match stands for its identity.
    chances[np.arange(len(query)), np.searchsorted(identities, gallery_ids[column])] = 0
    return chances, identities


def _poisson_binomial(chances: npt.NDArray[np.float64], length: int) -> npt.NDArray[np.float64]:
    """Return (M, length): the chances that 0, 1, ... of the independent events (M, P) happen."""
    happened = np.zeros((len(chances), length))
    happened[:, 0] = 1
    for chance in chances.T:
        with_it = happened * chance[:, None]
        happened -= with_it
        happened[:, 1:] += with_it[:, :-1]
    return happened
