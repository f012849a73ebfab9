"""What training makes small: torch's cross-entropy, a triplet loss, and pointing where a teacher points."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from osnet_edge.train.recipe import Loss


def objective(
    embeddings: Tensor, logits: Tensor, labels: Tensor, how: Loss, teacher: Tensor | None = None
) -> Tensor:
    """Return the loss of a batch, computed in float32 also where the network ran in half precision.

    Args:
        embeddings: (N, 512).
        logits: (N, identities).
        labels: (N,).
        how: which losses, and their weights.
        teacher: (N, 512) a teacher's embeddings of the same images.
    """
    # Half precision has no room for squares and differences; autocast would go back to it by itself.
    with torch.autocast(embeddings.device.type, enabled=False):
        embeddings = embeddings.float()
        # With a weight of 0 too: processes that train together wait for every gradient.
        loss = how.classifier * F.cross_entropy(logits.float(), labels, label_smoothing=how.label_smoothing)
        if how.triplet:
            loss = loss + how.triplet * batch_hard_triplet(embeddings, labels, how.triplet_margin)
        if teacher is not None:
            loss = loss + how.teacher * teacher_alignment(embeddings, teacher.float())
    return loss


def batch_hard_triplet(embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Ask the farthest image of the same person to be nearer than the nearest of another, by a margin.

    `mean over pictures of max(0, margin + max d(same) - min d(other))`, Euclidean distances: Hermans et al.,
    "In Defense of the Triplet Loss for Person Re-Identification" (2017), eq. 5.

    Args:
        embeddings: (N, D).
        labels: (N,) identities.
        margin: in units of distance.

    Returns:
        A scalar; 0 where a batch shows a single person.

    Example:
        >>> apart = torch.tensor([[0.0], [1.0], [5.0], [5.5]])
        >>> batch_hard_triplet(apart, torch.tensor([0, 0, 1, 1]), margin=0.3).item()
        0.0
    """
    # Difference by difference: exact between near images, 0 of each to itself, and no gradient where 0.
    distances = torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")
    same = labels[:, None] == labels[None]
    farthest = torch.where(same, distances, 0.0).amax(1)
    nearest = torch.where(same, torch.inf, distances).amin(1)
    return F.relu(margin + farthest - nearest).mean()


def teacher_alignment(student: Tensor, teacher: Tensor) -> Tensor:
    """Ask each embedding to point where the teacher's of the same image points.

    `mean over pictures of 1 - cos(s - mean s, t - mean t)`. Once they point the same way, all similarities
    agree: between the student's images, and between the student's and the teacher's, so that a gallery
    of the one can be searched by the other. Both sides are centred on the batch, since embeddings behind a
    ReLU have most of their direction in common. After the similarity term of Fang et al., "SEED" (ICLR 2021),
    which compares a student with a teacher's embeddings; matching the similarities within a batch alone
    taught far less in as many steps (docs/RESULTS.md).

    Args:
        student: (N, D) embeddings that learn.
        teacher: (N, D) embeddings to learn from.

    Returns:
        A scalar from 0, when all point alike, to 2.

    Example:
        >>> rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> round(teacher_alignment(3 * rows + 1, rows).item(), 6)
        0.0
    """
    return 1 - F.cosine_similarity(student - student.mean(0), teacher - teacher.mean(0)).mean()
