"""Lines of `tegrastats`, NVIDIA's own monitor: for where sysfs cannot be read, as in some containers."""

from __future__ import annotations

import re
import shutil
import subprocess

#: `VDD_IN 4950mW/4950mW` of JetPack 5 and later, `POM_5V_IN 2532/2532` of JetPack 4; now, then the average.
_RAIL = re.compile(r"\b([A-Z][A-Z0-9_]+) (\d+)(?:mW)?/(\d+)(?:mW)?(?=\s|/|$)")
_TEMPERATURE = re.compile(r"\b([A-Za-z][A-Za-z0-9_]*)@(-?\d+(?:\.\d+)?)C\b")
#: Numbers that look like rails and are not.
_NO_RAILS = ("RAM", "SWAP", "IRAM")


def parse_rails(line: str) -> dict[str, float]:
    """Return the watts of each rail in a line.

    Example:
        >>> parse_rails("RAM 2448/7620MB CPU [1%@729] cpu@46.1C VDD_IN 4950mW/4950mW VDD_SOC 1446mW/1440mW")
        {'VDD_IN': 4.95, 'VDD_SOC': 1.446}
        >>> parse_rails("RAM 1000/3956MB GPU@30C POM_5V_IN 2532/2500 POM_5V_GPU 120/120")
        {'POM_5V_IN': 2.532, 'POM_5V_GPU': 0.12}
    """
    return {name: int(now) / 1000 for name, now, _ in _RAIL.findall(line) if name not in _NO_RAILS}


def parse_temperatures(line: str) -> dict[str, float]:
    """Return the degrees Celsius of each zone in a line; zones that are switched off are left out.

    Example:
        >>> parse_temperatures("CPU [2%@1728,off] cpu@50.2C/50.2C CV0@-256C tj@51C")
        {'cpu': 50.2, 'tj': 51.0}
    """
    found = ((name, float(degrees)) for name, degrees in _TEMPERATURE.findall(line))
    return {name: degrees for name, degrees in found if degrees > -40}


def read_line(seconds: float = 3.0) -> str:
    """Run tegrastats for its first line; "" where it is not installed or says nothing in time."""
    program = shutil.which("tegrastats")
    if program is None:
        return ""
    # NVIDIA's own program; without `--count`, which old ones lack, it runs until it is ended.
    with subprocess.Popen(  # noqa: S603
        [program, "--interval", "100"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            lines, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as expired:
            process.terminate()
            lines = expired.stdout.decode() if isinstance(expired.stdout, bytes) else expired.stdout or ""
    return lines.splitlines()[0] if lines else ""
