"""What training makes small, beside torch's own cross-entropy."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def batch_hard_triplet(embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Ask the farthest picture of the same person to be nearer than the nearest of another, by a margin.

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
    # Difference by difference: exact between near pictures, 0 of each to itself, and no gradient where 0.
    distances = torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")
    same = labels[:, None] == labels[None]
    farthest = torch.where(same, distances, 0.0).amax(1)
    nearest = torch.where(same, torch.inf, distances).amin(1)
    return F.relu(margin + farthest - nearest).mean()


def teacher_alignment(student: Tensor, teacher: Tensor) -> Tensor:
    """Ask each embedding to point where the teacher's of the same picture points.

    `mean over pictures of 1 - cos(s - mean s, t - mean t)`. Once they point the same way, all similarities
    agree: between the student's pictures, and between the student's and the teacher's, so that a gallery
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
