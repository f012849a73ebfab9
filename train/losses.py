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
    # Half precision has no room for squares.
    distances = _distances(embeddings.float())
    same = labels[:, None] == labels[None]
    farthest = torch.where(same, distances, 0.0).amax(1)
    nearest = torch.where(same, torch.inf, distances).amin(1)
    return F.relu(margin + farthest - nearest).mean()


def teacher_similarities(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Ask each picture's neighbours, as the student sees them, to be those that the teacher sees.

    Cosines between the pictures of a batch, each row a softmax over the others; the loss is the
    Kullback-Leibler divergence of the student's rows from the teacher's. Both sides are centred on the
    batch first, since embeddings behind a ReLU all point one way. The two may differ in width. After Fang et
    al., "SEED: Self-supervised Distillation for Visual Representation" (ICLR 2021), eq. 3, with the batch in
    place of a queue.

    Args:
        student: (N, D) embeddings that learn.
        teacher: (N, E) embeddings to learn from.
        temperature: of both softmaxes.

    Returns:
        A scalar, 0 when both see the same neighbours.
    """
    theirs = _neighbours(teacher.float(), temperature)
    ours = _neighbours(student.float(), temperature)
    return F.kl_div(ours, theirs, reduction="batchmean", log_target=True)


def _neighbours(embeddings: Tensor, temperature: float) -> Tensor:
    """Return (N, N - 1) log-probabilities: a softmax over the cosines to the other pictures."""
    unit = F.normalize(embeddings - embeddings.mean(0))
    cosines = unit @ unit.T
    others = ~torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    return F.log_softmax(cosines[others].view(len(unit), -1) / temperature, dim=1)


def _distances(rows: Tensor) -> Tensor:
    """Return Euclidean distances with a gradient that stays finite between equal rows."""
    squares = rows.square().sum(1)
    squared = squares[:, None] + squares[None] - 2 * rows @ rows.T
    return squared.clamp_min(1e-12).sqrt()
