"""What `--target` says: `cpu`, `cpu:fastest`, `openvino`, `cuda`, `rtx`, `rtx:sm86`, `tensorrt` and so on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.manifest import Backend, Precision

#: The name of each backend's target.
TARGET_NAMES: dict[Backend, str] = {
    "onnxruntime": "cpu",
    "onnxruntime_cuda": "cuda",
    "openvino": "openvino",
    "tensorrt_rtx": "rtx",
    "tensorrt": "tensorrt",
}
#: What each backend computes in. ONNX Runtime has no half kernels for CPUs: it would cast to and fro.
PRECISIONS: dict[Backend, tuple[Precision, ...]] = {
    "onnxruntime": ("fp32", "int8"),
    "onnxruntime_cuda": ("fp32", "fp16"),
    "openvino": ("fp32", "bf16", "int8"),
    "tensorrt_rtx": ("fp32", "fp16", "int8"),
    "tensorrt": ("fp32", "fp16", "int8"),
}
_BACKENDS = {name: backend for backend, name in TARGET_NAMES.items()}
SPELLING = (
    "cpu, cpu:fastest (as timed here), openvino, cuda (ONNX Runtime on a GPU), rtx, rtx:sm86,sm89 (GPU "
    "generations), rtx:current (the GPU here) or tensorrt"
)


@dataclass(frozen=True)
class TargetSpec:
    """A parsed target.

    Attributes:
        backend: what will run the package.
        capabilities: the compute capabilities asked for, such as `8.6` or `current`.
        fastest: whether a faster CPU backend, as timed on this machine, may take its place.
    """

    backend: Backend
    capabilities: tuple[str, ...] = ()
    fastest: bool = False


def parse_target(text: str) -> TargetSpec:
    """Parse a target.

    Raises:
        InputError: it is spelt in no known way.

    Example:
        >>> parse_target("rtx:sm86,sm120")
        TargetSpec(backend='tensorrt_rtx', capabilities=('8.6', '12.0'), fastest=False)
    """
    if text == "cpu:fastest":
        return TargetSpec("onnxruntime", fastest=True)
    name, colon, rest = text.partition(":")
    if name not in _BACKENDS or (colon and name != "rtx"):
        raise InputError(f"expected a target of {SPELLING}; got {text!r}")
    if not colon:
        return TargetSpec(_BACKENDS[name])
    capabilities = []
    for item in rest.split(","):
        if item.strip().lower() == "current":
            capabilities.append("current")
            continue
        match = re.fullmatch(r"sm_?([0-9]{1,2})([0-9])", item.strip().lower())
        if not match:
            raise InputError(f"expected GPU generations such as sm86 or sm120 after rtx:, got {item!r}")
        capabilities.append(f"{match[1]}.{match[2]}")
    return TargetSpec(_BACKENDS[name], tuple(dict.fromkeys(capabilities)))


def check_precision(spec: TargetSpec, precision: str) -> None:
    """Hold a precision to what a target computes in.

    Raises:
        InputError: it is another; the message names the targets that have it.
    """
    if precision not in PRECISIONS[spec.backend]:
        having = [name for backend, name in TARGET_NAMES.items() if precision in PRECISIONS[backend]]
        elsewhere = f"; {precision} is for {' and '.join(having)}" if having else ""
        raise InputError(
            f"expected --precision {' or '.join(PRECISIONS[spec.backend])} for the target "
            f"{TARGET_NAMES[spec.backend]}, got {precision}{elsewhere}"
        )
