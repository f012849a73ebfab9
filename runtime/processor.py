"""What this processor computes in: the instruction sets that INT8 and bf16 depend on, and the kind they make.

x86 without VNNI multiplies bytes by VPMADDUBSW, which adds two products of u8 and s8 in 16 bits and cuts the
sum off at 32,767 (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2): 2 x 255 x 127 does
not fit, and 2 x 255 x 63 does. So an engine with weights of 8 bits computes something else there than on a
processor with VNNI or on ARM, and one with weights of 7 bits computes the same everywhere.
"""

from __future__ import annotations

import ctypes
import functools
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osnet_edge.runtime.errors import InputError

#: What a package computes right on whatever runs it.
ANY = "any"
AVX2, VNNI, BF16 = "x86-64-v3", "x86-64-vnni", "x86-64-bf16"
AARCH64, DOTPROD = "aarch64", "aarch64-dotprod"

#: Kinds of processors, each with its architecture and with groups of instruction sets, of each of which a
#: processor has one at least. A later kind of an architecture can do what an earlier one can. `x86-64-v3` is
#: the level of that name in the psABI, with AVX2; VNNI has two encodings, and processors of 2021 to 2024 one
#: of them.
_AVX2, _VNNI, _BF16 = {"avx2"}, {"avx_vnni", "avx512_vnni"}, {"avx512_bf16", "amx_bf16"}
_KINDS: dict[str, tuple[str, tuple[set[str], ...]]] = {
    AVX2: ("x86_64", (_AVX2,)),
    VNNI: ("x86_64", (_AVX2, _VNNI)),
    BF16: ("x86_64", (_AVX2, _VNNI, _BF16)),
    AARCH64: ("aarch64", ()),
    DOTPROD: ("aarch64", ({"dotprod"},)),
}
#: What a package can be built for, as `--processor` and manifests say it.
PROCESSORS = (ANY, *_KINDS)

#: Of x86, in the spelling of /proc/cpuinfo: CPUID's leaf, as the C library numbers it, its register and bit.
_CPUID = {
    "avx2": (1, 1, 5),
    "avx512f": (1, 1, 16),
    "avx_vnni": (6, 0, 4),
    "avx512_vnni": (1, 2, 11),
    "avx512_bf16": (6, 0, 5),
    "amx_int8": (1, 3, 25),
    "amx_bf16": (1, 3, 22),
}
#: Of ARM: the entry of the auxiliary vector (AT_HWCAP, AT_HWCAP2), its bit (Linux, asm/hwcap.h), and what
#: /proc/cpuinfo calls it.
_HWCAP = {
    "neon": (16, 1, "asimd"),
    "fp16": (16, 10, "asimdhp"),
    "dotprod": (16, 20, "asimddp"),
    "i8mm": (26, 13, "i8mm"),
    "bf16": (26, 14, "bf16"),
}
_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True)
class Processor:
    """A processor.

    Attributes:
        architecture: such as `x86_64` or `aarch64`.
        features: those of its instruction sets that an engine's arithmetic or speed depends on.
    """

    architecture: str
    features: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The last of `PROCESSORS` that it is; `any` where it is none of them, or does not tell.

        Example:
            >>> Processor("x86_64", ("avx2", "avx512f")).kind
            'x86-64-v3'
        """
        return [name for name in PROCESSORS if self.is_a(name)][-1]

    def is_a(self, name: str) -> bool:
        """Whether it can do all that a kind can, so that it runs what was built for it."""
        if name == ANY:
            return True
        architecture, groups = _KINDS[name]
        return self.architecture == architecture and all(group & {*self.features} for group in groups)

    def multiplies_exactly(self, weight_bits: int) -> bool:
        """Whether sums of INT8 products are exact, and none is cut off at 16 bits.

        Args:
            weight_bits: of the engine's weights, 7 or 8.
        """
        return weight_bits < 8 or self.is_a(VNNI) or self.is_a(AARCH64)


@functools.cache
def this_processor() -> Processor:
    """Ask this machine, once a process."""
    machine = platform.machine().lower()
    architecture = _ARCHITECTURES.get(machine, machine)
    find = {"x86_64": _x86_features, "aarch64": _arm_features}.get(architecture, tuple)
    return Processor(architecture, tuple(find()))


def narrower(one: str, other: str) -> str | None:
    """Return which of two demands on a processor asks for more; None where no processor meets both.

    Args:
        one: an architecture, or a kind of `PROCESSORS` but `any`; empty asks for nothing.
        other: as above.

    Example:
        >>> narrower("x86-64-vnni", "x86_64")
        'x86-64-vnni'
    """
    if not one or not other:
        return one or other
    architectures = {_KINDS[name][0] if name in _KINDS else name for name in (one, other)}
    if len(architectures) > 1:
        return None
    # Kinds of one architecture stand in the order of what they can.
    return max(one, other, key=lambda name: PROCESSORS.index(name) if name in _KINDS else 0)


def resolve_processor(name: str) -> str:
    """Return what `--processor` names, which is this one's kind for `this`.

    Raises:
        InputError: it names none.
    """
    if name == "this":
        return this_processor().kind
    if name not in PROCESSORS:
        raise InputError(f"expected --processor this or one of {', '.join(PROCESSORS)}; got {name!r}")
    return name


def check_processor(name: str) -> None:
    """Hold what a document says of a processor to a kind, or to nothing, as older ones do.

    Raises:
        InputError: it is neither.
    """
    if name and name not in PROCESSORS:
        raise InputError(f"expected a processor of {', '.join(PROCESSORS)}, got {name!r}")


def _x86_features() -> Iterable[str]:
    """Ask the C library, which has asked the processor: /proc/cpuinfo tells of the host under emulation."""
    # Since glibc 2.33 (sys/platform/x86.h): four words of CPUID, then the same where the system lets them be
    # used.
    ask = _from_libc("__x86_get_cpuid_feature_leaf")
    if ask is None:
        return _from_cpuinfo("flags", {name: name for name in _CPUID})
    ask.restype = ctypes.POINTER(ctypes.c_uint32 * 8)
    found = []
    for name, (leaf, register, bit) in _CPUID.items():
        words = ask(ctypes.c_uint32(leaf))
        if words and words.contents[4 + register] >> bit & 1:
            found.append(name)
    return found


def _arm_features() -> Iterable[str]:
    ask = _from_libc("getauxval")
    if ask is None:
        return _from_cpuinfo("Features", {theirs: name for name, (_, _, theirs) in _HWCAP.items()})
    ask.restype = ctypes.c_ulong
    return [name for name, (entry, bit, _) in _HWCAP.items() if ask(ctypes.c_ulong(entry)) >> bit & 1]


def _from_libc(name: str) -> Any:
    """Return a function of the C library; None where it has none of that name."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None


def _from_cpuinfo(field: str, names: dict[str, str]) -> Iterable[str]:
    """Return what Linux says, for an older C library or another; `names` are ours by theirs."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    words = next((line.partition(":")[2].split() for line in lines if line.startswith(field)), [])
    return [ours for theirs, ours in names.items() if theirs in words]
