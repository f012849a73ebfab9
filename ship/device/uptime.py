"""Seconds that pass, whatever is done to the clock: since the device was started, and by which start."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Uptime:
    """A moment.

    Attributes:
        boot: the start of the device that it is after, by the kernel's number for it; empty for none.
        seconds: since that start, also those that the device slept.
    """

    boot: str = ""
    seconds: float = 0.0

    def since(self, before: Uptime) -> float:
        """Return the seconds since another moment that the device is known to have been on for.

        Where it was started anew meanwhile, these are the ones since: what passed before that, nothing tells.
        """
        if not before.boot:
            return 0.0
        return max(0.0, self.seconds - before.seconds) if self.boot == before.boot else self.seconds


def uptime() -> Uptime:
    """Return this moment."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return Uptime(boot, round(time.clock_gettime(time.CLOCK_BOOTTIME), 3))
