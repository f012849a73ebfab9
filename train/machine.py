"""Device and precision of a training run, and the processes that train one network together.

torchrun starts several processes; a single process is a group of one. None of this is part of a recipe.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from osnet_edge.runtime.errors import InputError, OsnetEdgeError, UnavailableError, first_line
from osnet_edge.train.sampling import Order

Precision = Literal["auto", "fp32", "bf16", "fp16"]
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Machine:
    """Settings of the machine that trains.

    Attributes:
        device: "cpu", "cuda", or "auto" for a GPU if there is one.
        precision: of convolutions and matrix products; weights stay float32. "auto" is bf16 on a GPU that
            has it, fp16 on an older one, and float32 on a CPU.
        compile: whether to use torch.compile, which takes minutes at the start.
        workers: number of processes that decode images; None chooses it.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Precision = "auto"
    compile: bool = False
    workers: int | None = None

    def __post_init__(self) -> None:
        """Refuse a number of workers that is out of range."""
        if self.workers is not None and not 0 <= self.workers <= 256:
            raise InputError(f"expected 0 to 256 workers, got {self.workers}")

    def resolved(self) -> Machine:
        """Return the settings with all automatic choices made.

        Raises:
            UnavailableError: this machine lacks the device or precision.
        """
        has_gpu = torch.cuda.is_available()
        device = ("cuda" if has_gpu else "cpu") if self.device == "auto" else self.device
        if device == "cuda" and not has_gpu:
            raise UnavailableError("expected a GPU for --device cuda, and torch finds none; use --device cpu")
        precision = self.precision
        if precision == "auto":
            # Older GPUs compute bf16 too, by way of float32, which takes longer than float32 itself.
            has_bf16 = has_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
            precision = "fp32" if device == "cpu" else "bf16" if has_bf16 else "fp16"
        if precision == "fp16" and device == "cpu":
            raise UnavailableError("expected fp32 or bf16 on a CPU, got fp16, which CPUs compute slowly")
        return Machine(device, precision, self.compile, self._chosen_workers(device))

    def torch_device(self) -> torch.device:
        """Return the device of this process; under torchrun each has its own GPU."""
        if self.device == "cuda":
            number, there = local_rank(), torch.cuda.device_count()
            if number >= there:
                raise UnavailableError(
                    f"expected a GPU for each process, got {there}; start {there} processes"
                )
            return torch.device("cuda", number)
        return torch.device("cpu")

    def autocast(self) -> torch.autocast:
        """Return the autocast context for the network; the loss is computed in float32 even inside it."""
        dtype = _DTYPES.get(self.precision, torch.bfloat16)
        return torch.autocast(self.device, dtype, enabled=self.precision in _DTYPES)

    def _chosen_workers(self, device: str) -> int:
        if self.workers is not None:
            return self.workers
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        # On a CPU the network wants the cores; one process ahead of it hides the decoding.
        return 1 if device == "cpu" else max(1, min(8, cores - 1))


#: The others wait while the first process scores a test set.
_PATIENCE = timedelta(hours=3)


class OtherProcessError(OsnetEdgeError):
    """Another process of the group failed, and reports the reason itself."""


@dataclass(frozen=True)
class Group:
    """The processes that train together.

    Attributes:
        rank: number of this process; 0 writes files and prints.
        size: number of processes.
        device: torch device of this process.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def share(self, order: Order) -> Order:
        """Return this process's columns of `order` (steps, batch), which are contiguous."""
        width = order.shape[1] // self.size
        return order[:, self.rank * width : (self.rank + 1) * width]

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return a network whose gradients are averaged over all processes."""
        if self.size == 1:
            return network
        on_gpu = self.device.type == "cuda"
        return DistributedDataParallel(network, device_ids=[self.device.index] if on_gpu else None)

    def total(self, figures: Tensor) -> Tensor:
        """Return the sum of `figures` over all processes."""
        if self.size > 1:
            dist.all_reduce(figures)
        return figures

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run a block that must succeed in every process, so that none waits for a process that has ended.

        Raises:
            Exception: the error of this process, if it is the first process with an error.
            OtherProcessError: another process has an error, and reports it.
        """
        error = None
        try:
            yield
        except Exception as caught:
            error = caught
        failed = torch.zeros(self.size, device=self.device)
        failed[self.rank] = error is not None
        self.total(failed)
        if error and self.rank == int(failed.argmax()):
            raise error
        if failed.any():
            raise OtherProcessError("another process failed; see its message")


@contextmanager
def process_group(device: torch.device) -> Iterator[Group]:
    """Join the process group of torchrun's environment, and leave it at the end of the block.

    Nested blocks use the same group; the outermost one leaves it.

    Raises:
        InputError: the environment names a group but lacks variables.
        UnavailableError: the other processes cannot be reached.
    """
    size = _number("WORLD_SIZE", 1)
    if size <= 1:
        yield Group(device=device)
        return
    if dist.is_initialized():
        yield Group(dist.get_rank(), size, device)
        return
    for name in ("RANK", "LOCAL_RANK", "MASTER_PORT"):
        _number(name)
    if not os.environ.get("MASTER_ADDR"):
        raise _incomplete("MASTER_ADDR", None)
    # Before there is a group: functions in there have the one that is there as a default, and would keep it,
    # with its threads, beyond its end. One that lets go of a tensor while Python ends aborts the process.
    import torch.distributed.nn.functional

    try:
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise UnavailableError(
            f"the {size} processes cannot be brought together ({first_line(error)}); start them with "
            "torchrun, one for each GPU"
        ) from None
    try:
        yield Group(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()


def local_rank() -> int:
    """Return this process's number on its machine, from 0.

    Raises:
        InputError: the environment variable is no valid number.
    """
    return _number("LOCAL_RANK", 0)


def _number(name: str, default: int | None = None) -> int:
    text = os.environ.get(name, "" if default is None else str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise _incomplete(name, os.environ.get(name))
    return int(text)


def _incomplete(name: str, value: str | None) -> InputError:
    got = "none" if value is None else repr(value)
    return InputError(
        f"expected the variable {name} as torchrun sets it, got {got}; start with torchrun, or unset "
        "WORLD_SIZE"
    )
