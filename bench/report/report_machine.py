"""The page's facts of the machine and the run."""

from __future__ import annotations

from html import escape

from osnet_edge.bench.report import _format
from osnet_edge.bench.result.machine import MachineFacts
from osnet_edge.bench.result.result import BenchResult


def _board(machine: MachineFacts) -> dict[str, str]:
    """Return what a Jetson or a GPU tells besides."""
    found: dict[str, str] = {}
    if board := machine.jetson:
        found |= {
            "Board": board.model,
            "L4T": board.l4t,
            "JetPack": board.jetpack,
            "Power mode": board.power_mode,
            "jetson_clocks": board.jetson_clocks,
            "Fan": board.fan,
        }
        found |= {f"{zone} temperature": f"{degrees:.1f} °C" for zone, degrees in board.temperatures.items()}
        found |= {f"Rail {label}": f"{watts:.2f} W" for label, watts in board.rails.items()}
    if gpu := machine.gpu:
        found |= {"GPU": gpu.name, "Driver": gpu.driver, "Clocks held back": ", ".join(gpu.throttled) or "no"}
        told = {
            "GPU clock": (gpu.sm_mhz, "MHz"),
            "GPU memory clock": (gpu.memory_mhz, "MHz"),
            "GPU power limit": (gpu.power_limit_w, "W"),
            "GPU temperature": (gpu.temperature_c, "°C"),
        }
        found |= {fact: f"{value:.0f} {unit}" for fact, (value, unit) in told.items() if value is not None}
    return found


def _ceilings(result: BenchResult) -> dict[str, str]:
    if result.ceilings is None:
        return {}
    rates = result.ceilings.operations_per_second
    found = {
        f"Largest product, {precision}": f"{_format.operations(rate)}op/s"
        for precision, rate in rates.items()
    }
    if copied := result.ceilings.bytes_per_second:
        found["Largest copy"] = f"{_format.operations(copied)}B/s"
    return found


def machine_section(result: BenchResult) -> str:
    """Return the facts as a list of names and values."""
    machine, settings = result.machine, result.settings
    threads = "the engine's choice" if settings.threads is None else str(settings.threads)
    facts = {
        "Processor": machine.cpu,
        "Architecture": machine.architecture,
        "Instruction sets": ", ".join(machine.instruction_sets) or _format.MISSING,
        "Logical cores allowed": str(machine.logical_cores),
        "Clock governor": machine.governor,
        "Memory": _format.gibibytes(machine.memory_bytes),
        "Accelerator": machine.accelerator,
        "Operating system": machine.os,
        "Load before": _format.MISSING if machine.load is None else f"{machine.load:.2f} processes",
        **_board(machine),
        **_ceilings(result),
        **dict(machine.versions),
        "What is timed": settings.measured,
        "Threads": threads,
        "Warm-up": f"{settings.warmup_s:g} s",
        "Measured": f"{settings.duration_s:g} s and {settings.min_iterations} calls, or more",
        "Engines take turns": "yes" if settings.interleaved else "no",
        "Frames": settings.frames or "none",
        "Energy by": settings.power or "not available",
        "Finished": settings.created,
    }
    return (
        "<dl>"
        + "".join(
            f"<div><dt>{escape(fact)}</dt><dd>{escape(value)}</dd></div>" for fact, value in facts.items()
        )
        + "</dl>"
    )
