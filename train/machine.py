"""How a machine trains: what changes speed and not the recipe."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import torch

from osnet_edge.runtime.errors import InputError, UnavailableError
from osnet_edge.train.distributed import local_rank

Precision = Literal["auto", "fp32", "bf16", "fp16"]
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Machine:
    """How to train here.

    Attributes:
        device: "cpu", "cuda", or "auto" for a GPU where there is one.
        precision: of convolutions and matrix products; weights stay float32. "auto" is bf16 on a GPU that
            has it, fp16 on an older one, and float32 on a CPU.
        compile: whether torch.compile makes kernels for the network first, which takes minutes once.
        workers: processes that decode pictures; None chooses.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Precision = "auto"
    compile: bool = False
    workers: int | None = None

    def __post_init__(self) -> None:
        """Refuse a number of workers that makes no sense."""
        if self.workers is not None and not 0 <= self.workers <= 256:
            raise InputError(f"expected 0 to 256 workers, got {self.workers}")

    def resolved(self) -> Machine:
        """Return the same with nothing left to choose.

        Raises:
            UnavailableError: this machine lacks what was asked for.
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
        """Return the context in which the network runs; the loss is computed in float32 in it too."""
        dtype = _DTYPES.get(self.precision, torch.bfloat16)
        return torch.autocast(self.device, dtype, enabled=self.precision in _DTYPES)

    def _chosen_workers(self, device: str) -> int:
        if self.workers is not None:
            return self.workers
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        # On a CPU the network wants the cores; one process ahead of it hides the decoding.
        return 1 if device == "cpu" else max(1, min(8, cores - 1))
