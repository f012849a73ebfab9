"""Energy counters of Intel and AMD processors (RAPL), where the kernel lets this user read them.

Since Linux 5.10 `energy_uj` is readable by root alone, so on most machines this says nothing; virtual
machines have none. Source: the kernel's Documentation/power/powercap/powercap.rst.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from osnet_edge.bench.devices.sysfs import number, text


@dataclass(frozen=True)
class Package:
    """A processor's counter: microjoules since some moment, which fall back to 0 above `range_uj`."""

    name: str
    counter: Path
    range_uj: int


def find_packages(root: Path = Path("/")) -> list[Package]:
    """Return the processors whose counter can be read; the whole package of each, not its parts."""
    found = []
    for folder in sorted(root.glob("sys/class/powercap/intel-rapl:*")):
        name, counter = text(folder / "name"), folder / "energy_uj"
        # A part, such as intel-rapl:0:0, is counted in its package, and psys counts the packages again.
        if name.startswith("package") and folder.name.count(":") == 1 and number(counter) is not None:
            most = number(folder / "max_energy_range_uj") or 0
            found.append(Package(name, counter, most))
    return found


def joules_between(package: Package, before: int, after: int) -> float:
    """Return the energy between two readings, of which the second may have fallen back to 0 once.

    Example:
        >>> package = Package("package-0", Path("energy_uj"), range_uj=10_000_000)
        >>> joules_between(package, 1_000_000, 4_000_000), joules_between(package, 9_000_000, 1_000_000)
        (3.0, 2.0)
    """
    spent = after - before
    return (spent if spent >= 0 else spent + package.range_uj) / 1e6
