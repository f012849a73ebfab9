"""Time since the device was started, which does not depend on the clock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Uptime:
    """A moment, as the time since a boot.

    Attributes:
        boot: the kernel's id of the boot; empty if unknown.
        seconds: seconds since that boot, including time in which the device was suspended.
    """

    boot: str = ""
    seconds: float = 0.0

    def since(self, before: Uptime) -> float:
        """Return the seconds since an earlier moment that the device is known to have been on for.

        If it was rebooted meanwhile, these are the seconds since the boot; how long it was on before, nobody
        knows.
        """
        if not before.boot:
            return 0.0
        return max(0.0, self.seconds - before.seconds) if self.boot == before.boot else self.seconds


def uptime() -> Uptime:
    """Return the present moment."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return Uptime(boot, round(time.clock_gettime(time.CLOCK_BOOTTIME), 3))
