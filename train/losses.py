"""The training losses: cross-entropy, batch-hard triplets, and distillation from a teacher."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from osnet_edge.train.recipe import Loss


def objective(
    embeddings: Tensor, logits: Tensor, labels: Tensor, how: Loss, teacher: Tensor | None = None
) -> Tensor:
    """Return the loss of a batch, computed in float32 even if the network ran in half precision.

    Args:
        embeddings: (N, 512).
        logits: (N, identities).
        labels: (N,) identities.
        how: the losses and their weights.
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
    """Return the batch-hard triplet loss.

    `mean over images of max(0, margin + max d(same) - min d(other))`, with Euclidean distances: Hermans et
    al., "In Defense of the Triplet Loss for Person Re-Identification" (2017), eq. 5.

    Args:
        embeddings: (N, D).
        labels: (N,) identities.
        margin: a Euclidean distance.

    Returns:
        A scalar; 0 if the batch shows a single person.

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
    """Return the distillation loss: the distance in direction between student's and teacher's embeddings.

    `mean over images of 1 - cos(s - mean s, t - mean t)`. If the directions are equal, so are all
    similarities, also those between student and teacher, so that a gallery of the one can be searched with
    queries of the other. Embeddings are centred on the batch mean, since after a ReLU they have most of their
    direction in common. It follows the similarity term of Fang et al., "SEED" (ICLR 2021), which compares a
    student with a teacher's embeddings; matching only the similarities within a batch taught far less in the
    same number of steps (docs/RESULTS.md).

    Args:
        student: (N, D) embeddings of the network in training.
        teacher: (N, D) embeddings of the teacher.

    Returns:
        A scalar from 0, if all directions are equal, to 2.

    Example:
        >>> rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> round(teacher_alignment(3 * rows + 1, rows).item(), 6)
        0.0
    """
    return 1 - F.cosine_similarity(student - student.mean(0), teacher - teacher.mean(0)).mean()
