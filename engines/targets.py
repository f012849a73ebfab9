"""What `--target` and `--processor` say: `cpu`, `cpu:fastest`, `openvino`, `cuda`, `rtx:sm86` and so on."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from osnet_edge.runtime.backends.registry import BACKENDS, SPELLINGS, Backend, BackendName
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.processor import ANY, BF16, resolve_processor, this_processor


@dataclass(frozen=True)
class TargetSpec:
    """A parsed target.

    Attributes:
        backend: what will run the package.
        capabilities: the requested compute capabilities, such as `8.6` or `current`.
        fastest: whether a faster CPU backend, as timed on this machine, may take its place.
        processor: the kind of processor that a CPU backend's INT8 and bf16 are made for, one of
            `osnet_edge.runtime.processor.PROCESSORS`; empty for GPUs.
    """

    backend: BackendName
    capabilities: tuple[str, ...] = ()
    fastest: bool = False
    processor: str = ""

    @property
    def row(self) -> Backend:
        """The backend's row in the registry."""
        return BACKENDS[self.backend]

    @property
    def timed_here(self) -> bool:
        """Whether times that are taken on this machine are those of the target."""
        return self.processor in (ANY, this_processor().kind)


def parse_target(text: str, processor: str = "this") -> TargetSpec:
    """Parse a target.

    Args:
        text: the value of `--target`.
        processor: what `--processor` says; `this` is the kind of this machine's.

    Raises:
        InputError: one of them is spelt in no known way, or they do not go together.

    Example:
        >>> parse_target("rtx:sm86,sm120").capabilities
        ('8.6', '12.0')
        >>> parse_target("cpu", "aarch64").processor
        'aarch64'
    """
    spec = _parse(text)
    if spec.row.on_cpu:
        spec = replace(spec, processor=resolve_processor(processor))
    elif processor != "this":
        raise InputError(
            f"expected --processor for the targets cpu and openvino, got it for {text}; leave it out"
        )
    if spec.fastest and not spec.timed_here:
        raise InputError(
            f"cpu:fastest is timed on this machine, a {this_processor().kind}, and --processor says "
            f"{processor}; name cpu or openvino, or build on such a machine"
        )
    return spec


def _parse(text: str) -> TargetSpec:
    if text == "cpu:fastest":
        return TargetSpec("onnxruntime", fastest=True)
    name, colon, rest = text.partition(":")
    backend = next((each.name for each in BACKENDS.values() if each.target == name), None)
    if backend is None or (colon and name != "rtx"):
        raise InputError(f"expected a target of {SPELLINGS}; got {text!r}")
    if not colon:
        return TargetSpec(backend)
    capabilities = []
    for item in rest.split(","):
        if item.strip().lower() == "current":
            capabilities.append("current")
            continue
        match = re.fullmatch(r"sm_?([0-9]{1,2})([0-9])", item.strip().lower())
        if not match:
            raise InputError(f"expected GPU generations such as sm86 or sm120 after rtx:, got {item!r}")
        capabilities.append(f"{match[1]}.{match[2]}")
    return TargetSpec(backend, tuple(dict.fromkeys(capabilities)))


def check_precision(spec: TargetSpec, precision: str) -> None:
    """Check that a target computes in a precision.

    Raises:
        InputError: it is another; the message names the targets, or the processor, that have it.
    """
    if precision not in spec.row.precisions:
        having = [each.target for each in BACKENDS.values() if precision in each.precisions]
        elsewhere = f"; {precision} is for {' and '.join(having)}" if having else ""
        raise InputError(
            f"expected --precision {' or '.join(spec.row.precisions)} for the target {spec.row.target}, got "
            f"{precision}{elsewhere}"
        )
    needed = spec.row.int8_from.get(spec.processor)
    if precision == "int8" and needed:
        raise InputError(
            f"expected --processor {needed} for INT8 in {spec.row.title}, which has none for "
            f"{spec.processor}; name it, or build with --target cpu"
        )
    if precision == "bf16" and spec.processor not in (BF16, this_processor().kind):
        raise InputError(f"expected --processor {BF16} for --precision bf16, got {spec.processor}")
