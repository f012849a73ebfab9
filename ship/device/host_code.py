"""Refuses TensorRT plans that contain code for the host's processor.

A version-compatible plan contains TensorRT's lean runtime as a shared library, which the loading process
executes if `engine_host_code_allowed` is set. Our backend never sets it, so TensorRT refuses such a plan;
here it is refused even before TensorRT sees it. GPU kernels are ELF files too; the machine in their header
tells them apart.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from osnet_edge.ship.device.refused import RefusedError

_ELF = b"\x7fELF"
#: EM_CUDA of elf.h.
_CUDA = 190
_NAMES = {3: "x86", 40: "ARM", 62: "x86-64", 183: "AArch64", 243: "RISC-V"}
#: ET_REL, ET_EXEC, ET_DYN: what can hold code.
_KINDS = (1, 2, 3)


def refuse_host_code(plan: Path) -> None:
    """Check that a plan contains no code for the host's processor.

    Raises:
        RefusedError: it contains some.
    """
    machine = find_host_code(plan)
    if machine is not None:
        raise RefusedError(
            "package",
            f"{plan.name} carries code for the processor ({machine}), which loading it would run; build the "
            "plan without version compatibility",
        )


def find_host_code(plan: Path) -> str | None:
    """Return the machine of the first ELF file in a plan that is not for a GPU; None if there is none."""
    if plan.stat().st_size == 0:
        return None
    with plan.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.find(_ELF)
        while at >= 0:
            machine = _host_machine(content[at : at + 24])
            if machine is not None:
                return machine
            at = content.find(_ELF, at + 1)
    return None


def _host_machine(header: bytes) -> str | None:
    # e_ident: class 1 or 2, data 1 (little-endian), version 1; then e_type, e_machine, e_version.
    if len(header) < 24 or header[4] not in (1, 2) or header[5] != 1 or header[6] != 1:
        return None
    kind, machine, version = struct.unpack_from("<HHI", header, 16)
    if kind not in _KINDS or machine == _CUDA or version != 1:
        return None
    return _NAMES.get(machine, f"machine {machine}")
