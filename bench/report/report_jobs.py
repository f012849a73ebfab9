"""The page's sections of what engines do: frames, several callers, energy, starting, a long run."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from osnet_edge.bench.report import _format, _html
from osnet_edge.bench.report.report_group import grouped, optional
from osnet_edge.bench.report.report_table import ratio_cell
from osnet_edge.bench.result.engine_result import EngineResult
from osnet_edge.bench.result.result import BenchResult


def frames(result: BenchResult) -> str:
    """Return frames with people, and speeds against each base."""
    speeds = {(each.engine, each.against, each.people): each for each in result.frame_ratios()}
    rivals = [engine for engine in result.engines if engine.role == "versus" and engine.frames]
    bases = [result.reference, *rivals] if result.reference.frames else rivals
    columns = [
        ("People", "boxes"),
        ("p50", "ms"),
        ("95 % interval", "ms"),
        ("Crops", "ms"),
        ("p99", "ms"),
        ("Rate", "people/s"),
        *((f"Speed against {escape(base.name)}", "x, interval") for base in bases),
    ]

    def rows(engine: EngineResult) -> Iterable[list[str]]:
        for each in engine.frames:
            yield [
                str(each.people),
                _format.milliseconds(each.latency.p50_ms),
                optional(each.median_interval, _format.between),
                optional(each.crop_ms, _format.milliseconds),
                _format.milliseconds(each.latency.p99_ms),
                _format.rate(each.people_per_second),
                *(ratio_cell(speeds.get((engine.name, base.name, each.people))) for base in bases),
            ]

    note = (
        f"The job of a tracker: a frame and its boxes to embeddings, cutting out and resizing included "
        f"(frames: {result.settings.frames}). Crops: median of cutting out and resizing alone."
    )
    return grouped(result, "Frames with people", columns, rows, note)


def streams(result: BenchResult) -> str:
    """Return the throughput of several callers."""
    columns = [("Streams", "callers"), ("Batch", "images"), ("Rate", "images/s")]

    def rows(engine: EngineResult) -> Iterable[list[str]]:
        for each in engine.streams:
            yield [str(each.streams), str(each.batch), _format.rate(each.images_per_second)]

    note = "Several callers at once, each with a batch of its own, sharing the engine and its threads."
    return grouped(result, "Throughput of several callers", columns, rows, note)


def energy(result: BenchResult) -> str:
    """Return the energy of embeddings, or that nothing tells it."""
    columns = [
        ("Batch", "images"),
        ("At rest", "W"),
        ("Working", "W"),
        ("Embedding", "mJ"),
        (_html.words("Measured by"), ""),
    ]

    def rows(engine: EngineResult) -> Iterable[list[str]]:
        for each in engine.energy:
            yield [
                str(each.batch),
                _format.milliseconds(each.idle_w),
                _format.milliseconds(each.busy_w),
                _format.milliseconds(each.joules_per_image * 1e3),
                _html.words(each.source),
            ]

    note = "Energy of an embedding: power while working less power at rest, over the images a second."
    found = grouped(result, "Energy", columns, rows, note)
    return (
        found
        or '<h2>Energy</h2><p class="card soft">Not available: nothing here tells power to this user.</p>'
    )


def start(result: BenchResult) -> str:
    """Return what starting takes, and memory."""
    columns = [
        ("Package", "MB"),
        ("Load", "s"),
        ("Process", "s"),
        ("Range", "s"),
        ("First", "s"),
        ("Memory", "MB"),
        ("On device", "MB"),
    ]

    def rows(engine: EngineResult) -> Iterable[list[str]]:
        memory, cold = engine.memory, engine.cold_start
        if memory is None and cold is None:
            return
        yield [
            optional(engine.package_bytes, _format.megabytes),
            _format.milliseconds(engine.load_seconds),
            optional(cold and cold.process_s, _format.milliseconds),
            optional(cold and cold.process_range_s, _format.between),
            optional(cold and cold.first_s, _format.milliseconds),
            optional(memory and memory.peak_host_bytes, _format.megabytes),
            optional(memory and memory.peak_device_bytes, _format.megabytes),
        ]

    note = (
        "Package: all its files. Process: from the start of a new one to its first embedding and end, median "
        "of several. Memory: the most that the engine's own process had, interpreter and libraries included."
    )
    return grouped(result, "Starting, and memory", columns, rows, note)


def sustained(result: BenchResult) -> str:
    """Return how a long run went."""
    columns = [
        ("Batch", "images"),
        ("Time", "s"),
        ("First", "ms"),
        ("Last", "ms"),
        ("Drift", ""),
        ("Growth", "MB"),
    ]

    def rows(engine: EngineResult) -> Iterable[list[str]]:
        if (run := engine.sustained) is not None:
            yield [
                str(run.batch),
                _format.milliseconds(run.stretch_s * len(run.median_ms)),
                _format.milliseconds(run.median_ms[0]),
                _format.milliseconds(run.median_ms[-1]),
                _format.signed_percent(run.drift),
                optional(run.memory_growth_bytes, lambda grown: f"{grown / 1e6:+.2f}"),
            ]

    note = (
        "Drift: median of the last fifth of the run over that of the first fifth, less 1. Growth: memory of "
        "the process after the run, less that after its first fifth."
    )
    return grouped(result, "A long run", columns, rows, note)
