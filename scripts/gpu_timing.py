"""Times on a GPU: calls of several runners in rounds, and what the device can do at best."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from osnet_edge.bench.measure.latency import Run, median_times

#: Sides of the matrices, and bytes copied: far past any cache, and well within any GPU's memory.
_SIDE, _BYTES = 8192, 1 << 28
_CPU_SIDE, _CPU_BYTES = 512, 1 << 24
#: Rounds of each run.
_ROUNDS = 5


@dataclass(frozen=True)
class Ceilings:
    """What a device does at best, measured here.

    Attributes:
        flops: operations a second (a multiplication and an addition are two) of a large matrix product, by
            precision.
        bytes: bytes read and written a second by a large copy within its memory.
    """

    flops: dict[str, float]
    bytes: float

    def floor_ms(self, work: Work, batch: int, precision: str) -> float:
        """Return the least time that a batch can take: arithmetic or memory, whichever takes longer.

        Args:
            work: of one image.
            batch: images.
            precision: `fp16` or `fp32`; others count as fp16.
        """
        flops = self.flops.get(precision) or self.flops.get("fp16") or self.flops["fp32"]
        weights = work.weights * (4 if precision == "fp32" else 2)
        moved = weights + batch * work.io_bytes
        return 1000 * max(2 * work.macs * batch / flops, moved / self.bytes)


@dataclass(frozen=True)
class Work:
    """What a network must do for an image, however its operations are arranged.

    Attributes:
        macs: multiplications of convolutions and matrix products, of the network as published.
        weights: its parameters, read once a batch.
        io_bytes: bytes of an image and of its embedding.
    """

    macs: int
    weights: int
    io_bytes: int


def count_work(osnet: nn.Module, height: int, width: int) -> Work:
    """Count a network's work by running it once on the CPU."""
    macs = 0

    def count(module: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal macs
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        # Each output is a sum over a filter, or over a row of the matrix.
        macs += output.numel() * weight[0].numel()

    counted = (nn.Conv2d, nn.Linear)
    hooks = [item.register_forward_hook(count) for item in osnet.modules() if isinstance(item, counted)]
    with torch.inference_mode():
        rows = osnet(torch.zeros(1, 3, height, width))
    for hook in hooks:
        hook.remove()
    parameters = sum(item.numel() for item in osnet.parameters())
    return Work(macs, parameters, 3 * height * width + 4 * rows.numel())


def measure_ceilings(device: str) -> Ceilings:
    """Measure a large matrix product in each precision, and a large copy."""
    on_gpu = device != "cpu"
    side, size = (_SIDE, _BYTES) if on_gpu else (_CPU_SIDE, _CPU_BYTES)
    flops = {}
    for name, dtype in (
        (("fp32", torch.float32), ("fp16", torch.float16)) if on_gpu else (("fp32", torch.float32),)
    ):
        left = torch.randn(side, side, device=device, dtype=dtype)
        ms = time_in_rounds({"product": lambda left=left: left @ left}, device, 0.5)["product"]  # type: ignore
        flops[name] = 2 * side**3 / (ms / 1000)
    source = torch.empty(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    ms = time_in_rounds({"copy": lambda: target.copy_(source)}, device, 0.5)["copy"]
    return Ceilings(flops, 2 * size / (ms / 1000))


def time_in_rounds(runs: Mapping[str, Run], device: str, seconds: float) -> dict[str, float]:
    """Return each run's median time of a call in ms, from the call until the device is idle.

    Args:
        runs: by name; each was called before, so that nothing is compiled now.
        device: `cpu` or `cuda`.
        seconds: for each run, over all rounds.
    """
    wait: Callable[[], object] = torch.cuda.synchronize if device != "cpu" else lambda: None

    def waited(run: Run) -> Run:
        return lambda: (run(), wait())

    waited_for = {name: waited(run) for name, run in runs.items()}
    return median_times(waited_for, rounds=_ROUNDS, round_s=seconds / _ROUNDS)
