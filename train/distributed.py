"""Several processes that train one network, started by torchrun; one process alone is a group of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from osnet_edge.train.sampling import Order


@dataclass(frozen=True)
class Group:
    """The processes that train together.

    Attributes:
        rank: of this process; 0 writes files and speaks.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    def share(self, order: Order) -> Order:
        """Return this process's columns of `order` (steps, batch): neighbours stay together."""
        width = order.shape[1] // self.size
        return order[:, self.rank * width : (self.rank + 1) * width]

    def wrap(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Return a network whose gradients are averaged over all processes."""
        if self.size == 1:
            return network
        return DistributedDataParallel(network, device_ids=[device.index] if device.type == "cuda" else None)

    def total(self, figures: Tensor) -> Tensor:
        """Return the sum of `figures` over all processes."""
        if self.size > 1:
            dist.all_reduce(figures)
        return figures


@contextmanager
def process_group(device: torch.device) -> Iterator[Group]:
    """Join the group that torchrun's environment names, and leave it when the block ends."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Group()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Group(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()


def is_first_process() -> bool:
    """Return whether this process speaks for its group; also before it has joined one."""
    return os.environ.get("RANK", "0") == "0"
