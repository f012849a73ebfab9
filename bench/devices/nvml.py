"""NVIDIA GPUs of desktops and servers through NVML: clocks, power, energy and why clocks were held back.

Needs `nvidia-ml-py`, which is optional, and NVIDIA's driver. A Jetson's NVML says little: see `jetson.py`.
Source: "NVML API Reference Guide".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from osnet_edge.bench.devices.sysfs import NOT_AVAILABLE

#: Bits of `nvmlDeviceGetCurrentClocksThrottleReasons` that mean that the GPU would run faster if it could.
THROTTLES = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "thermal (software)",
    0x40: "thermal (hardware)",
    0x80: "power brake",
}
#: Policies of `nvmlDeviceGetViolationStatus` that mean the same, and whose time below the clocks is counted.
POLICIES = {0: "power cap", 1: "thermal", 3: "board limit"}


@dataclass(frozen=True)
class GpuFacts:
    """Facts of a GPU; None or `NOT_AVAILABLE` where it does not tell.

    Attributes:
        name: of the product.
        driver: its version.
        sm_mhz: clock of its processors now.
        memory_mhz: clock of its memory now.
        power_limit_w: what it may draw.
        temperature_c: of the chip.
        throttled: why its clocks are held back now; empty where they are not.
    """

    name: str
    driver: str
    sm_mhz: int | None
    memory_mhz: int | None
    power_limit_w: float | None
    temperature_c: float | None
    throttled: tuple[str, ...]


class Nvml:
    """The first GPU, as NVML tells of it; every question that it does not answer is None.

    Args:
        library: the module `pynvml`, initialised.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        self._device = library.nvmlDeviceGetHandleByIndex(0)

    def facts(self) -> GpuFacts:
        """Read the facts."""
        limit = self._ask("nvmlDeviceGetPowerManagementLimit")
        return GpuFacts(
            name=_text(self._ask("nvmlDeviceGetName")),
            driver=_text(self._try(self._library.nvmlSystemGetDriverVersion)),
            sm_mhz=self._ask("nvmlDeviceGetClockInfo", 1),
            memory_mhz=self._ask("nvmlDeviceGetClockInfo", 2),
            power_limit_w=None if limit is None else limit / 1000,
            temperature_c=self._ask("nvmlDeviceGetTemperature", 0),
            throttled=self.throttled(),
        )

    def throttled(self) -> tuple[str, ...]:
        """Return why the clocks are held back now."""
        bits = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons") or 0
        return tuple(reason for bit, reason in THROTTLES.items() if bits & bit)

    def held_back(self) -> dict[str, int]:
        """Return for how long each policy has held the clocks back so far, in nanoseconds."""
        question = "nvmlDeviceGetViolationStatus"
        asked = ((why, self._ask(question, policy)) for policy, why in POLICIES.items())
        return {why: int(told.violationTime) for why, told in asked if told is not None}

    def joules(self) -> float | None:
        """Return the energy since the driver was loaded; Volta and later count it."""
        millijoules = self._ask("nvmlDeviceGetTotalEnergyConsumption")
        return None if millijoules is None else millijoules / 1000

    def watts(self) -> float | None:
        """Return the power drawn now."""
        milliwatts = self._ask("nvmlDeviceGetPowerUsage")
        return None if milliwatts is None else milliwatts / 1000

    def memory_of(self, process: int) -> int | None:
        """Return the bytes of its memory that a process has; None where a container hides processes."""
        found = self._ask("nvmlDeviceGetComputeRunningProcesses") or ()
        return next((each.usedGpuMemory for each in found if each.pid == process), None)

    def _ask(self, question: str, *more: Any) -> Any:
        function = getattr(self._library, question, None)
        return None if function is None else self._try(function, self._device, *more)

    def _try(self, function: Any, *given: Any) -> Any:
        try:
            return function(*given)
        except self._library.NVMLError:
            return None


@contextmanager
def open_nvml() -> Iterator[Nvml | None]:
    """Give the first GPU, or None without `nvidia-ml-py`, a driver or a GPU."""
    # Imported here: most machines have no such GPU, and need nothing of it.
    try:
        import pynvml
    except ImportError:
        yield None
        return
    try:
        pynvml.nvmlInit()
        nvml = Nvml(pynvml)
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield nvml
    finally:
        pynvml.nvmlShutdown()


def _text(value: Any) -> str:
    if value is None:
        return NOT_AVAILABLE
    return value.decode() if isinstance(value, bytes) else str(value)
