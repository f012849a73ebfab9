"""How fast this machine trains a network, from a few steps: to size a run before it begins."""

from __future__ import annotations

import time

import torch
from torch.nn import functional as F

from osnet_edge.train.osnet import OSNet
from osnet_edge.train.variants import variant_named

#: Steps in which memory is allocated and kernels are chosen; they are not timed.
_WARM_UP_STEPS = 2


def measure_training_speed(
    arch: str, height: int, width: int, *, batch: int = 32, seconds: float = 4.0
) -> float:
    """Return how many images a second the network learns from on this CPU, without reading them.

    Args:
        arch: variant, see `osnet_edge.train.variants.variant_named`.
        height: rows of an image, in pixels.
        width: columns of an image, in pixels.
        batch: images of a step.
        seconds: how long to measure.

    Returns:
        Images a second; forward and backward pass of random images.
    """
    network = OSNet(variant_named(arch), num_classes=batch).train()
    images, labels = torch.rand(batch, 3, height, width), torch.arange(batch)
    steps, started = -_WARM_UP_STEPS, time.monotonic()
    while steps < 1 or time.monotonic() - started < seconds:
        if steps == 0:
            started = time.monotonic()
        network.zero_grad()
        _, logits = network(images)
        F.cross_entropy(logits, labels).backward()  # type: ignore[no-untyped-call]
        steps += 1
    return steps * batch / (time.monotonic() - started)
