"""From a batch to the loss: the network, what it is asked for, and a teacher where there is one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osnet_edge.train.losses import batch_hard_triplet, teacher_alignment
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.recipe import Loss


class ClassifierOnly(nn.Module):
    """An OSNet of which only the classifier learns: the rest stands in eval mode and takes no gradients."""

    def __init__(self, model: OSNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, 3, H, W) to embeddings (N, 512) and logits (N, num_classes)."""
        with torch.no_grad():
            embeddings = self.model(x)
        return embeddings, self.model.classifier(embeddings)


def set_learning(model: OSNet, *, classifier_only: bool, fixed_statistics: bool = False) -> None:
    """Set modes and gradients for an epoch in which all learns, or only the classifier.

    Args:
        model: to set.
        classifier_only: whether all else stands still.
        fixed_statistics: whether batch norms use and keep the statistics that they have.
    """
    model.train(not classifier_only).requires_grad_(not classifier_only)
    model.classifier.requires_grad_(True)
    if fixed_statistics:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
                module.eval()


def objective(
    embeddings: Tensor, logits: Tensor, labels: Tensor, how: Loss, teacher: Tensor | None = None
) -> Tensor:
    """Return the loss of a batch, computed in float32 also where the network ran in half precision.

    Args:
        embeddings: (N, 512).
        logits: (N, identities).
        labels: (N,).
        how: which losses, and their weights.
        teacher: (N, 512) a teacher's embeddings of the same pictures.
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
