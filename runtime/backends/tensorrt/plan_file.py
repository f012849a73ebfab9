"""The header of a TensorRT plan, read without TensorRT or a GPU.

Layout: for TensorRT 8.6 and later, the check behind `trtexec --getPlanVersionOnly` (NVIDIA/TensorRT,
samples/common/sampleEngines.cpp); for TensorRT-RTX, observed on plans that 1.7.1 built for each list of
compute capabilities. All numbers are little-endian.

    offset  bytes  meaning
         0      4  `ftrt` TensorRT, `vtrt` TensorRT-RTX
         4      4  0
        16      8  size of the whole plan                 (RTX)
        24      4  version: major, minor, patch, build
        32      4  compute capabilities, one bit each     (RTX)
        56      8  bytes of weights                       (RTX)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from osnet_edge.runtime.backends.registry import BACKENDS
from osnet_edge.runtime.errors import InputError

TensorRTName = Literal["tensorrt", "tensorrt_rtx"]

_LIBRARIES: dict[bytes, TensorRTName] = {b"ftrt": "tensorrt", b"vtrt": "tensorrt_rtx"}
_HEADER_BYTES: dict[TensorRTName, int] = {"tensorrt": 28, "tensorrt_rtx": 64}
_CAPABILITY_BITS = {0: "7.5", 1: "8.0", 2: "8.6", 3: "8.9", 4: "12.0", 5: "12.1"}

#: First bytes of files that users give instead of plans by mistake.
_LOOKALIKES = (
    (b"PK\x03\x04", "a zip archive, as torch.save writes"),
    (b"\x08", "an ONNX graph, which must be built first"),
)


@dataclass(frozen=True)
class PlanHeader:
    """The header of a plan.

    Attributes:
        library: the library that built it, and the only one that runs it.
        version: of that library, such as `1.7.1.116`.
        compute_capabilities: those it was built for, such as `8.6`; None where the header does not say, as in
            every plan of full TensorRT.
        open_ended: whether it was also built for capabilities that the header does not list, which is
            TensorRT-RTX's default.
        weight_bytes: of its weights; None where the header does not say.
    """

    library: TensorRTName
    version: str
    compute_capabilities: tuple[str, ...] | None
    open_ended: bool = False
    weight_bytes: int | None = None

    def __str__(self) -> str:
        """Return the text for messages."""
        built_for = f" for {', '.join(self.compute_capabilities)}" if self.compute_capabilities else ""
        weights = f", {self.weight_bytes / 1e6:.2f} MB of weights" if self.weight_bytes else ""
        return f"{BACKENDS[self.library].title} {self.version}{built_for}{weights}"


def read_plan_header(plan: Path | str | bytes) -> PlanHeader:
    """Read the header of a plan.

    Args:
        plan: the file, or all of its bytes.

    Raises:
        InputError: it is no plan of TensorRT 8.6 or later or of TensorRT-RTX, or it was cut short.
    """
    if isinstance(plan, bytes):
        return _parse(plan[:64], len(plan), "the plan")
    path = Path(plan)
    try:
        with path.open("rb") as file:
            return _parse(file.read(64), path.stat().st_size, str(path))
    except OSError as error:
        raise InputError(f"cannot read the plan {path}: {error.strerror or error}") from None


def _parse(head: bytes, size: int, name: str) -> PlanHeader:
    library = _LIBRARIES.get(head[:4])
    if library is None:
        raise InputError(
            f"{name} is no plan of TensorRT 8.6 or later, which begins with ftrt, nor of TensorRT-RTX, which "
            f"begins with vtrt: found {_describe(head)}; build the engine again"
        )
    if len(head) < _HEADER_BYTES[library]:
        raise InputError(
            f"{name} is cut short: a header has {_HEADER_BYTES[library]} bytes, got {size}; copy it again"
        )
    if head[4:8] != bytes(4):
        raise InputError(
            f"{name} has a {BACKENDS[library].title} header of an unknown layout ({head[:8].hex()}); build "
            "the engine again with a version of TensorRT that this osnet-edge knows"
        )
    version = ".".join(str(number) for number in head[24:28])
    if library == "tensorrt":
        return PlanHeader(library, version, None)
    (expected,) = struct.unpack_from("<Q", head, 16)
    if size != expected:
        raise InputError(
            f"{name} is not whole: its header says {expected} bytes, got {size}; copy it or build it again"
        )
    (mask,) = struct.unpack_from("<I", head, 32)
    named = tuple(capability for bit, capability in _CAPABILITY_BITS.items() if mask >> bit & 1)
    (weights,) = struct.unpack_from("<Q", head, 56)
    open_ended = mask >> len(_CAPABILITY_BITS) != 0
    return PlanHeader(library, version, named, open_ended, weights)


def _describe(head: bytes) -> str:
    if not head:
        return "an empty file"
    for start, meaning in _LOOKALIKES:
        if head.startswith(start):
            return meaning
    if head[4:5] == b"{":
        return "JSON before the plan, as Ultralytics writes; it must be cut off"
    return f"the bytes {head[:8].hex(' ')}"
