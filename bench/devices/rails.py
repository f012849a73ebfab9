"""Power rails of a Jetson: its INA3221 monitors, found by their labels wherever the kernel put them.

Two layouts are known. JetPack 5 and later use the kernel's `ina3221` driver (hwmon): `inN_label`, `inN_input`
in mV and `currN_input` in mA. JetPack 4 has NVIDIA's `ina3221x` (IIO): `rail_name_N` and `in_powerN_input` in
mW. A Jetson has up to four of these chips, at addresses that differ from board to board, so nothing but the
label says what a number means.

Sources: the kernel's Documentation/hwmon/ina3221.rst; "Jetson Linux Developer Guide", Software-Based Power
Consumption Modeling, for the labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from osnet_edge.bench.devices.sysfs import number, text

#: Rails that feed the whole module; where one is there, the others are parts of it.
WHOLE_MODULE = ("VDD_IN", "POM_5V_IN", "5V_IN")
#: Rails that together feed the module, where no single one does: each board's whole set, by label.
_PARTS_OF_A_MODULE = (
    # AGX Orin; VDDQ_VDD2_1V8AO hangs behind VIN_SYS_5V0, and would count twice.
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
    # AGX Xavier.
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
)
#: The seventh channel is the sum of the shunt voltages, which is no rail.
_CHANNELS = range(1, 4)


@dataclass(frozen=True)
class Rail:
    """A rail that can be read now.

    Attributes:
        label: its name on the board.
        factors: files whose numbers, multiplied, give microwatts (two) or milliwatts (one).
    """

    label: str
    factors: tuple[Path, ...]

    def watts(self) -> float | None:
        """Return the power it carries now, or None where the chip does not answer."""
        values = [number(path) for path in self.factors]
        if any(value is None for value in values):
            return None
        if len(values) == 1:
            return (values[0] or 0) / 1e3
        return (values[0] or 0) * (values[1] or 0) / 1e6


def find_rails(root: Path = Path("/")) -> list[Rail]:
    """Return the rails that answer, by label."""
    found = {rail.label: rail for rail in (*_hwmon(root), *_iio(root)) if rail.watts() is not None}
    return [found[label] for label in sorted(found)]


def module_rails(rails: list[Rail]) -> list[Rail]:
    """Return the rails whose sum is the power of the whole module; none where the labels are not known.

    A sum of rails that feed each other counts twice, so a board that is not known gives no total.
    """
    named = {rail.label: rail for rail in rails}
    for label in WHOLE_MODULE:
        if label in named:
            return [named[label]]
    for labels in _PARTS_OF_A_MODULE:
        if set(labels) <= set(named):
            return [named[label] for label in labels]
    return []


def _hwmon(root: Path) -> Iterator[Rail]:
    for folder in sorted(root.glob("sys/class/hwmon/hwmon*")):
        if text(folder / "name") != "ina3221":
            continue
        for channel in _CHANNELS:
            label = text(folder / f"in{channel}_label")
            # NC is a channel that is not connected.
            if label and label != "NC":
                yield Rail(label, (folder / f"in{channel}_input", folder / f"curr{channel}_input"))


def _iio(root: Path) -> Iterator[Rail]:
    for folder in sorted(root.glob("sys/bus/i2c/drivers/ina3221x/*/iio:device*")):
        for file in sorted(folder.glob("rail_name_[0-9]")):
            channel = file.name.rpartition("_")[2]
            if (label := text(file)) and label != "NC":
                yield Rail(label, (folder / f"in_power{channel}_input",))
