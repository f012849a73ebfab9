"""Pages of results: HTML that needs nothing else, no script, no font, no image from elsewhere.

The templates are Jinja2's, which escapes whatever they are given: a name cannot become markup.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osnet_edge.bench.report import numbers
from osnet_edge.bench.report.cross_domain import DomainScores, cross_tables, lead, score_table
from osnet_edge.bench.report.drawing import STYLE, marker
from osnet_edge.bench.report.figures import result_figures
from osnet_edge.bench.report.fleet import choices, fleet_table
from osnet_edge.bench.report.pictures import PictureSection
from osnet_edge.bench.report.summary import caution, quickest_of_all, summary
from osnet_edge.bench.report.tables import batches, engines, further_tables
from osnet_edge.bench.report.verification import Verifier, threshold_table, verification_figures
from osnet_edge.bench.result.machine import MachineFacts
from osnet_edge.bench.result.result import BenchResult
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from jinja2 import Environment


def html_report(
    results: Sequence[BenchResult],
    *,
    title: str = "OSNet engines, measured",
    sections: Sequence[PictureSection] = (),
) -> str:
    """Return the page: for each result a summary, tables, charts, and what to type to repeat it.

    Args:
        results: one per machine or run, in order. Every number on the page is one of theirs, or follows from
            two of them.
        title: of the page.
        sections: images to show after the figures.

    Raises:
        InputError: there is no result.
        UnavailableError: Jinja2 is not installed.
    """
    if not results:
        raise InputError("expected at least one benchmark result to show, but got none")
    return _page("report.html", title=title, results=_views(results), sections=sections)


def fleet_page(
    results: Sequence[BenchResult],
    budget: float | None,
    *,
    budget_idf1: float | None = None,
    unmeasured: bool = False,
) -> str:
    """Return the page of several machines: which engine to choose for each, then each machine's results.

    Args:
        results: one for each machine.
        budget: share of mAP that may be lost, as in `choices`.
        budget_idf1: as in `choices`.
        unmeasured: as in `choices`.

    Raises:
        UnavailableError: Jinja2 is not installed.
    """
    found = choices(results, budget, budget_idf1=budget_idf1, unmeasured=unmeasured)
    table = fleet_table(found, budget, budget_idf1)
    return _page("fleet.html", title="OSNet engines for a fleet", choices=table, results=_views(results))


def cross_domain_page(
    results: Sequence[DomainScores],
    *,
    command: str,
    title: str = "OSNet, scored",
    verifiers: Sequence[Verifier] = (),
    sections: Sequence[PictureSection] = (),
) -> str:
    """Return the page of networks scored on sets: a sentence, tables, charts, images, and the command.

    Args:
        results: of every source on every target.
        command: what to type to repeat it.
        title: of the page.
        verifiers: whose thresholds to show.
        sections: images to show after the figures.

    Raises:
        InputError: there is no result.
        UnavailableError: Jinja2 is not installed.
    """
    if not results:
        raise InputError("expected at least one result to show, but got none")
    pairs = {(each.source, each.target) for each in results}
    return _page(
        "cross_domain.html",
        title=title,
        lead=lead(results),
        crossed=cross_tables(results) if len(pairs) > 1 else {},
        scores=score_table(results),
        verifiers=verifiers,
        thresholds=threshold_table(verifiers),
        figures=verification_figures(verifiers, "verified"),
        sections=sections,
        command=command,
    )


@lru_cache(maxsize=1)
def templates() -> Environment:
    """Return the templates, which only pages need.

    Raises:
        UnavailableError: Jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError:
        raise UnavailableError(
            "an HTML page needs Jinja2, which is not installed: pip install 'osnet-edge[report]'"
        ) from None

    def breakable(name: str) -> Markup:
        """Let a name break where its parts join."""
        return Markup("<wbr>").join(re.split("(?<=[-_/])", name))

    def unbroken(text: str) -> Markup:
        """Keep numbers on the line of their units."""
        return Markup("&nbsp;").join(re.split(r"(?<=\d) (?=%|ms\b)", text))

    def command(text: str) -> Markup:
        """Let a command wrap between its words only: a browser would also break after "--"."""
        words = Markup(" ").join(Markup("<span>{}</span>").format(word) for word in text.split(" "))
        return Markup("<pre><code>{}</code></pre>").format(words)

    loader = FileSystemLoader(Path(__file__).parent / "templates")
    found = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    found.filters |= {
        "breakable": breakable,
        "unbroken": unbroken,
        "command": command,
        "marker": marker,
    }
    return found


def _page(template: str, **shown: Any) -> str:
    return templates().get_template(template).render(drawings=STYLE, **shown)


def _views(results: Sequence[BenchResult]) -> list[tuple[BenchResult, dict[str, Any]]]:
    return [(result, _view(result, f"r{index}")) for index, result in enumerate(results)]


def _view(result: BenchResult, key: str) -> dict[str, Any]:
    """Return what templates show of a result in addition to its own fields; `key` makes its ids unique."""
    return {
        "summary": summary(result),
        "caution": caution(result),
        "tiles": _tiles(result),
        "engines": engines(result),
        "figures": result_figures(result, key),
        "batches": batches(result),
        "warnings": [
            (engine.name, each.batch, warning)
            for engine in result.engines
            for each in engine.batches
            for warning in each.warnings
        ],
        "further": further_tables(result),
        "facts": _facts(result),
    }


def _tiles(result: BenchResult) -> list[tuple[str, str, str]]:
    """Return the three figures that people look for first: what it is, the figure, and of what.

    Of all engines, as the table below has the reference and what it is against among its rows too.
    """
    tiles = []
    best, batch = quickest_of_all(result), result.common_batch
    if best is not None and batch is not None and (measured := best.at(batch)):
        p50 = numbers.milliseconds(measured.latency.p50_ms)
        tiles.append(("Shortest call", f"{p50} ms", f"{best.name}, batch {batch}, p50"))
    rates = [(each, engine) for engine in result.engines for each in engine.batches]
    if rates:
        each, engine = max(rates, key=lambda pair: pair[0].images_per_second)
        most = numbers.rate(each.images_per_second)
        tiles.append(("Most images a second", most, f"{engine.name}, batch {each.batch}"))
    scored = [(engine.accuracy, engine) for engine in result.engines if engine.accuracy]
    if scored:
        accuracy, engine = max(scored, key=lambda pair: pair[0].scores.mean_ap)
        mean_ap = f"{numbers.percent(accuracy.scores.mean_ap)} %"
        tiles.append(("Highest mAP", mean_ap, f"{engine.name}, on {accuracy.data_set}"))
    return tiles


def _facts(result: BenchResult) -> dict[str, str]:
    """Return the facts of the machine and the run."""
    machine, settings = result.machine, result.settings
    return {
        "Processor": machine.cpu,
        "Architecture": machine.architecture,
        "Instruction sets": ", ".join(machine.instruction_sets) or numbers.MISSING,
        "Logical cores allowed": str(machine.logical_cores),
        "Clock governor": machine.governor,
        "Memory": numbers.gibibytes(machine.memory_bytes),
        "Accelerator": machine.accelerator,
        "Operating system": machine.os,
        "Load before": numbers.MISSING if machine.load is None else f"{machine.load:.2f} processes",
        **_board(machine),
        **_ceilings(result),
        **machine.versions,
        "What is timed": settings.measured,
        "Threads": "the engine's choice" if settings.threads is None else str(settings.threads),
        "Warm-up": f"{settings.warmup_s:g} s",
        "Measured": f"{settings.duration_s:g} s and {counted(settings.min_iterations, 'call')}, or more",
        "Engines take turns": "yes" if settings.interleaved else "no",
        "Frames": settings.frames or "none",
        "Energy by": settings.power or "not available",
        "Finished": settings.created,
    }


def _board(machine: MachineFacts) -> dict[str, str]:
    """Return further facts of a Jetson or a GPU."""
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
        readings = {
            "GPU clock": (gpu.sm_mhz, "MHz"),
            "GPU memory clock": (gpu.memory_mhz, "MHz"),
            "GPU power limit": (gpu.power_limit_w, "W"),
            "GPU temperature": (gpu.temperature_c, "°C"),
        }
        found |= {
            fact: f"{value:.0f} {unit}" for fact, (value, unit) in readings.items() if value is not None
        }
    return found


def _ceilings(result: BenchResult) -> dict[str, str]:
    if result.ceilings is None:
        return {}
    rates = result.ceilings.operations_per_second
    found = {
        f"Largest product, {precision}": f"{numbers.operations(rate)}op/s"
        for precision, rate in rates.items()
    }
    if copied := result.ceilings.bytes_per_second:
        found["Largest copy"] = f"{numbers.operations(copied)}B/s"
    return found
