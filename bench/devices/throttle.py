"""Whether the machine held itself back while something was measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from osnet_edge.bench.devices.nvml import open_nvml
from osnet_edge.bench.devices.sysfs import number, text


@dataclass(frozen=True)
class ThrottleMarks:
    """What counts the times that a machine was held back; more of them later means that it was in between.

    Attributes:
        events: counts by what counts them.
        now: reasons that hold at this moment.
    """

    events: dict[str, int]
    now: tuple[str, ...]

    def since(self, before: ThrottleMarks) -> tuple[str, ...]:
        """Return why the machine was held back since `before`; empty where it was not, or does not tell."""
        counted = [name for name, count in self.events.items() if count > before.events.get(name, count)]
        return tuple(dict.fromkeys([*counted, *before.now, *self.now]))


def throttle_marks(root: Path = Path("/")) -> ThrottleMarks:
    """Read the marks: thermal counters, a Jetson's events and alerts, NVML's times and reasons."""
    events: dict[str, int] = {}
    cores = root.glob("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count")
    counts = [count for file in cores if (count := number(file)) is not None]
    if counts:
        events["a core too hot"] = sum(counts)
    for folder in root.glob("sys/class/hwmon/hwmon*"):
        if text(folder / "name") == "soctherm_oc":
            for file in folder.glob("oc*_event_cnt"):
                if (count := number(file)) is not None:
                    events[f"over-current event {file.name.partition('_')[0]}"] = count
    # A Jetson's zones raise an alert when their clocks are cut.
    alerts = [
        name
        for device in sorted(root.glob("sys/class/thermal/cooling_device*"))
        if (name := text(device / "type")).endswith("-throttle-alert") and number(device / "cur_state")
    ]
    with open_nvml() as nvml:
        return ThrottleMarks(
            events | (nvml.held_back() if nvml else {}), (*alerts, *(nvml.throttled() if nvml else ()))
        )
