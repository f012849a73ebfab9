"""What a Jetson says of itself: board, L4T and JetPack, power mode, clocks, temperatures and fan.

All of it from files that anybody may read. Sources: "Jetson Linux Developer Guide" (nvpmodel, jetson_clocks,
thermal management), and the layouts that jetson-stats knows of JetPack 4 to 6.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from osnet_edge.bench.devices.rails import find_rails
from osnet_edge.bench.devices.sysfs import NOT_AVAILABLE, number, text
from osnet_edge.bench.devices.tegrastats import parse_rails, parse_temperatures
from osnet_edge.bench.devices.tegrastats import read_line as read_tegrastats


@dataclass(frozen=True)
class JetsonFacts:
    """Facts of a Jetson; what could not be read is `NOT_AVAILABLE`, or not in its dictionary.

    Attributes:
        model: of the board, from its device tree.
        l4t: version of NVIDIA's Linux for it, such as "36.4.3".
        jetpack: version of the package `nvidia-jetpack`, where it is installed.
        power_mode: of nvpmodel, such as "MAXN" or "15W".
        jetson_clocks: "on" where the clocks of all cores and of the GPU are held at one value.
        fan: its drive, as a share of the most, such as "34 %".
        temperatures: degrees Celsius by zone.
        rails: watts by label, when they were read.
    """

    model: str
    l4t: str
    jetpack: str
    power_mode: str
    jetson_clocks: str
    fan: str
    temperatures: dict[str, float]
    rails: dict[str, float]


def read_jetson(
    root: Path = Path("/"), tegrastats: Callable[[], str] = read_tegrastats
) -> JetsonFacts | None:
    """Return the facts of this Jetson, or None on another machine.

    Args:
        root: where `proc`, `sys`, `etc` and `var` are.
        tegrastats: gives a line of NVIDIA's monitor, or ""; asked where `sys` does not tell.
    """
    model = text(root / "proc/device-tree/model")
    release = text(root / "etc/nv_tegra_release")
    # Orin's engineering boards do not say "Jetson"; the release file is L4T's alone.
    if not release and "jetson" not in model.lower():
        return None
    rails = {rail.label: watts for rail in find_rails(root) if (watts := rail.watts()) is not None}
    temperatures = read_temperatures(root)
    # In a container sysfs may be hidden; NVIDIA's monitor then may still answer.
    if line := "" if rails and temperatures else tegrastats():
        rails, temperatures = rails or parse_rails(line), temperatures or parse_temperatures(line)
    return JetsonFacts(
        model=model or NOT_AVAILABLE,
        l4t=_l4t(release),
        jetpack=_jetpack(text(root / "var/lib/dpkg/status")),
        power_mode=_power_mode(root),
        jetson_clocks=_jetson_clocks(root),
        fan=_fan(root),
        temperatures=temperatures,
        rails=rails,
    )


def read_temperatures(root: Path = Path("/")) -> dict[str, float]:
    """Return degrees Celsius by thermal zone; zones that are switched off are left out."""
    found = {}
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        degrees = number(zone / "temp")
        # A sensor without power reads -256 or so.
        if degrees is not None and degrees > -40_000 and (name := text(zone / "type")):
            found[name.removesuffix("-thermal")] = degrees / 1000
    return found


def _l4t(release: str) -> str:
    """Parse `# R36 (release), REVISION: 4.3, GCID: ...`."""
    match = re.match(r"#\s*R(\d+).*?REVISION:\s*([\d.]+)", release)
    return f"{match[1]}.{match[2]}" if match else NOT_AVAILABLE


def _jetpack(packages: str) -> str:
    match = re.search(r"^Package: nvidia-jetpack\n(?:.+\n)*?Version: (\S+)", packages, re.MULTILINE)
    return match[1] if match else NOT_AVAILABLE


def _power_mode(root: Path) -> str:
    """Return the name of the mode in `pmode:0000`, as nvpmodel's table has it."""
    mode = re.search(r"pmode:\s*(\d+)", text(root / "var/lib/nvpmodel/status"))
    if not mode:
        return NOT_AVAILABLE
    number_ = int(mode[1])
    named = re.search(rf"<\s*POWER_MODEL\s+ID={number_}\s+NAME=(\S+)\s*>", text(root / "etc/nvpmodel.conf"))
    return named[1] if named else f"mode {number_}"


def _jetson_clocks(root: Path) -> str:
    """Say whether no clock may move: least and most are one value, on every core and the GPU."""
    ranges = [
        (number(folder / "scaling_min_freq"), number(folder / "scaling_max_freq"))
        for folder in sorted(root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq"))
    ]
    # The GPU goes by its address, such as 17000000.gpu, or by its architecture, such as gv11b.
    for folder in sorted(root.glob("sys/class/devfreq/*")):
        if re.search(r"gpu|gv11b|gp10b|ga10b|gb10b", folder.name):
            ranges.append((number(folder / "min_freq"), number(folder / "max_freq")))
    if not ranges or any(None in pair for pair in ranges):
        return NOT_AVAILABLE
    return "on" if all(least == most for least, most in ranges) else "off"


def _fan(root: Path) -> str:
    for folder in sorted(root.glob("sys/class/hwmon/hwmon*")):
        if text(folder / "name") == "pwmfan" and (drive := number(folder / "pwm1")) is not None:
            return f"{drive / 255 * 100:.0f} %"
    drive = number(root / "sys/devices/pwm-fan/cur_pwm")
    return NOT_AVAILABLE if drive is None else f"{drive / 255 * 100:.0f} %"
