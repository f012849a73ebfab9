"""ARM processors that QEMU emulates, and what Linux says of each on a board of its own."""

from __future__ import annotations

#: What QEMU calls them, each with its main ID register (MIDR_EL1: maker, variant, part, revision), as QEMU
#: sets it (target/arm/cpu64.c).
MAIN_IDS = {
    "cortex-a53": 0x410FD034,
    "cortex-a72": 0x410FD083,
    "cortex-a76": 0x414FD0B1,
    "neoverse-n1": 0x414FD0C1,
    "a64fx": 0x461F0010,
    "max": 0x000F0510,
}
#: Armv8.0 without dot products, as on most cameras; Armv8.2 with them; and all that QEMU has.
DEFAULTS = ("cortex-a53", "neoverse-n1", "max")

#: /proc/cpuinfo's names of the bits of AT_HWCAP and AT_HWCAP2, from bit 0
#: (Linux, arch/arm64/kernel/cpuinfo.c).
_NAMES = (
    """
    fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop sha3
    sm3 sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs sb paca pacg
    """,
    """
    dcpodp sve2 sveaes svepmull svebitperm svesha3 svesm4 flagm2 frint svei8mm svef32mm svef64mm svebf16 i8mm
    bf16 dgh rng bti mte ecv afp rpres mte3 sme smei16i64 smef64f64 smei8i32 smef16f32 smeb16f32 smef32f32
    smefa64 wfxt
    """,
)


def feature_names(hwcap: int, hwcap2: int) -> list[str]:
    """Return what the bits of the auxiliary vector mean.

    Example:
        >>> feature_names(0b11, 1 << 13)
        ['fp', 'asimd', 'i8mm']
    """
    return [
        name
        for bits, names in zip((hwcap, hwcap2), _NAMES, strict=True)
        for bit, name in enumerate(names.split())
        if bits >> bit & 1
    ]


def describe(name: str, features: list[str], cores: int) -> str:
    """Return what a board with this processor has in /proc/cpuinfo.

    Emulation of a process, without a machine around it, shows the host's: ONNX Runtime's wheel dies of an
    x86 /proc/cpuinfo as it is imported. The features must be the processor's own, since OpenVINO goes by
    them: of one too many it dies of an illegal instruction. /sys stays the host's: without a complete one
    OpenVINO dies too, and of the main ID, which is not in it, it only says that it is not there.
    """
    main_id = MAIN_IDS[name]
    described = (
        f"BogoMIPS\t: 100.00\nFeatures\t: {' '.join(features)}\nCPU implementer\t: {main_id >> 24:#04x}\n"
        f"CPU architecture: 8\nCPU variant\t: {main_id >> 20 & 0xF:#x}\n"
        f"CPU part\t: {main_id >> 4 & 0xFFF:#05x}\nCPU revision\t: {main_id & 0xF}\n\n"
    )
    return "".join(f"processor\t: {core}\n{described}" for core in range(cores))
