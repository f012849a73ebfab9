"""What NVIDIA publishes of its devices: the ceilings that a cost model counts against. Data, with sources."""

from __future__ import annotations

from dataclasses import dataclass

from osnet_edge.runtime.errors import InputError


@dataclass(frozen=True)
class Ceilings:
    """Published peaks of a device, dense (without sparsity).

    Attributes:
        device: its name.
        capability: CUDA compute capability.
        bandwidth: of its memory, in GB/s.
        fp32: TFLOP/s outside of tensor cores, in any precision.
        fp16: TFLOP/s of tensor cores, accumulating in float16 where that is faster.
        int8: TOP/s of tensor cores.
        source: the document.
    """

    device: str
    capability: str
    bandwidth: float
    fp32: float
    fp16: float
    int8: float
    source: str


#: The first of each compute capability stands for it where no device is named.
DEVICES = (
    Ceilings("T4", "7.5", 320, 8.1, 65, 130, "NVIDIA T4 datasheet, 2019"),
    Ceilings("A100 40GB", "8.0", 1555, 19.5, 312, 624, "NVIDIA A100 datasheet, 2021"),
    Ceilings("A10", "8.6", 600, 31.2, 125, 250, "NVIDIA A10 datasheet, 2021"),
    Ceilings("A2", "8.6", 200, 4.5, 18, 36, "NVIDIA A2 datasheet, 2021"),
    Ceilings("RTX 3090", "8.6", 936, 35.6, 142, 284, "NVIDIA Ampere GA102 white paper, 2021, appendix A"),
    Ceilings(
        "Jetson AGX Orin 64GB",
        "8.7",
        204.8,
        5.3,
        42.5,
        85,
        "NVIDIA Jetson AGX Orin technical brief, 2022: 170 sparse INT8 TOPS of the GPU; FP16 is half of INT8",
    ),
    Ceilings(
        "Jetson Orin Nano 8GB",
        "8.7",
        68,
        1.28,
        10,
        20,
        "NVIDIA Jetson Orin Nano data sheet, 2023: 40 sparse INT8 TOPS; FP16 is half of INT8",
    ),
    Ceilings("L4", "8.9", 300, 30.3, 121, 242, "NVIDIA L4 datasheet, 2023"),
    Ceilings("RTX 4090", "8.9", 1008, 82.6, 330.3, 660.6, "NVIDIA Ada white paper, 2022, appendix A"),
    Ceilings("H100 PCIe", "9.0", 2000, 51, 756, 1513, "NVIDIA H100 datasheet, 2022"),
    Ceilings("RTX 5090", "12.0", 1792, 104.8, 419, 838, "NVIDIA RTX Blackwell white paper, 2025, appendix A"),
)


def find_ceilings(device: str | None, capabilities: tuple[str, ...]) -> Ceilings:
    """Return the ceilings of a named device, or of the one that stands for a compute capability.

    Args:
        device: its name, in any spelling of case and spaces; None goes by capabilities.
        capabilities: those that a plan is for; the first that is known counts.

    Raises:
        InputError: no such device is known, or none of these capabilities.

    Example:
        >>> find_ceilings(None, ("8.9",)).device
        'L4'
    """
    known = ", ".join(each.device for each in DEVICES)
    if device is not None:
        for each in DEVICES:
            if _plain(each.device) == _plain(device):
                return each
        raise InputError(f"expected --device as one of {known}; got {device!r}")
    for capability in capabilities:
        for each in DEVICES:
            if each.capability == capability:
                return each
    raise InputError(
        f"no device stands for compute capability {' or '.join(capabilities) or 'none'}; pass --device, "
        f"one of {known}"
    )


def _plain(name: str) -> str:
    return "".join(name.lower().split())
