"""The page's further sections, each there only where something was measured for it.

All are plain tables: who wants a figure finds it by its name, and the JSON has it in full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape

from osnet_edge.bench import _format, _html
from osnet_edge.bench.engine_result import EngineResult
from osnet_edge.bench.report_table import name
from osnet_edge.bench.result import BenchResult

Columns = Sequence[tuple[str, str]]
#: Layers shown of each engine; the JSON has all.
_LAYERS = 10


def further_sections(result: BenchResult) -> str:
    """Return every section that has something to show."""
    return "".join(
        section(result)
        for section in (_frames, _streams, _retention, _energy, _start, _sustained, _limits, _layers)
    )


def problems(result: BenchResult) -> str:
    """Return what went wrong, and what makes figures doubtful, as lists."""
    lines = [
        f"<li><b>{name(engine)}</b> {escape(engine.problem)}</li>"
        for engine in result.engines
        if engine.problem
    ]
    missing = f'<h2>Not measured</h2><ul class="card plain">{"".join(lines)}</ul>' if lines else ""
    stopped = (
        '<p class="caution">The benchmark was interrupted; this is what was measured until then.</p>'
        if result.settings.interrupted
        else ""
    )
    return stopped + missing


def warnings(result: BenchResult) -> str:
    """Return what makes single figures doubtful, folded away."""
    lines = [
        f"<li><b>{name(engine)}</b>, batch {each.batch}: {_html.unbroken(warning)}</li>"
        for engine in result.engines
        for each in engine.batches
        for warning in each.warnings
    ]
    if not lines:
        return ""
    return (
        f'<details class="card"><summary>Warnings ({len(lines)})</summary><ul>{"".join(lines)}</ul></details>'
    )


def _frames(result: BenchResult) -> str:
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
        *((f"Speed against {base.name}", "x, interval") for base in bases),
    ]

    def rows(engine: EngineResult) -> Iterable[list[str]]:
        for each in engine.frames:
            ratios = [speeds.get((engine.name, base.name, each.people)) for base in bases]
            yield [
                str(each.people),
                _format.milliseconds(each.latency.p50_ms),
                _optional(each.median_interval, _format.between),
                _optional(each.crop_ms, _format.milliseconds),
                _format.milliseconds(each.latency.p99_ms),
                _format.rate(each.people_per_second),
                *(
                    _format.MISSING
                    if ratio is None
                    else f"{ratio.speedup:.2f}"
                    + (
                        f"<small>{ratio.low:.2f} to {ratio.high:.2f}</small>"
                        if ratio.low is not None and ratio.high is not None
                        else ""
                    )
                    for ratio in ratios
                ),
            ]

    note = (
        f"The job of a tracker: a frame and its boxes to embeddings, cutting out and resizing included "
        f"(frames: {result.settings.frames}). Crops: median of cutting out and resizing alone."
    )
    return _grouped(result, "Frames with people", columns, rows, note)


def _streams(result: BenchResult) -> str:
    columns = [("Streams", "callers"), ("Batch", "images"), ("Rate", "images/s")]

    def rows(engine: EngineResult) -> Iterable[list[str]]:
        for each in engine.streams:
            yield [str(each.streams), str(each.batch), _format.rate(each.images_per_second)]

    note = "Several callers at once, each with a batch of its own, sharing the engine and its threads."
    return _grouped(result, "Throughput of several callers", columns, rows, note)


def _retention(result: BenchResult) -> str:
    changes = {change.engine: change for change in result.accuracy_changes()}
    columns = [
        ("mINP change", "points"),
        ("Top-k agreement", "%"),
        ("Cosine", "mean"),
        ("Cosine", "worst"),
        ("Queries lost", ""),
        ("Queries gained", ""),
    ]

    def rows(engine: EngineResult) -> Iterable[list[str]]:
        kept, change = engine.retention, changes.get(engine.name)
        if kept is None or change is None:
            return
        inp = _optional(change.mean_inp, _format.points)
        if change.intervals and change.intervals.mean_inp:
            inp += f"<small>{_format.interval(change.intervals.mean_inp)}</small>"
        yield [
            inp,
            _format.percent(kept.top_k_agreement),
            f"{kept.centred_cosine_mean:.4f}",
            f"{kept.centred_cosine_min:.4f}",
            _named(kept.lost),
            _named(kept.gained),
        ]

    found = next((engine.retention for engine in result.engines if engine.retention), None)
    note = (
        f"Against the float32 reference on the same pictures. Agreement: share of its first {found.top_k} "
        "that the engine ranks among its own. Cosine: of a picture's two embeddings, with the mean of the "
        "reference's taken off. Lost: queries that the reference found first and the engine did not."
        if found
        else ""
    )
    return _grouped(result, "What is kept of the reference", columns, rows, note)


def _energy(result: BenchResult) -> str:
    columns = [
        ("Batch", "images"),
        ("At rest", "W"),
        ("Working", "W"),
        ("Embedding", "mJ"),
        ("Measured", "by"),
    ]

    def rows(engine: EngineResult) -> Iterable[list[str]]:
        for each in engine.energy:
            yield [
                str(each.batch),
                _format.milliseconds(each.idle_w),
                _format.milliseconds(each.busy_w),
                _format.milliseconds(each.joules_per_image * 1e3),
                escape(each.source),
            ]

    note = "Energy of an embedding: power while working less power at rest, over the images a second."
    found = _grouped(result, "Energy", columns, rows, note)
    return (
        found
        or '<h2>Energy</h2><p class="card soft">Not available: nothing here tells power to this user.</p>'
    )


def _start(result: BenchResult) -> str:
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
            _optional(engine.package_bytes, _format.megabytes),
            _format.milliseconds(engine.load_seconds),
            _optional(cold and cold.process_s, _format.milliseconds),
            _optional(cold and cold.process_range_s, _format.between),
            _optional(cold and cold.first_s, _format.milliseconds),
            _optional(memory and memory.peak_host_bytes, _format.megabytes),
            _optional(memory and memory.peak_device_bytes, _format.megabytes),
        ]

    note = (
        "Package: all its files. Process: from the start of a new one to its first embedding and end, median "
        "of several. Memory: the most that the engine's own process had, interpreter and libraries included."
    )
    return _grouped(result, "Starting, and memory", columns, rows, note)


def _sustained(result: BenchResult) -> str:
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
                _optional(run.memory_growth_bytes, lambda grown: f"{grown / 1e6:+.2f}"),
            ]

    note = (
        "Drift: median of the last fifth of the run over that of the first fifth, less 1. Growth: memory of "
        "the process after the run, less that after its first fifth."
    )
    return _grouped(result, "A long run", columns, rows, note)


def _limits(result: BenchResult) -> str:
    found = result.limits()
    columns = [
        ("Batch", "images"),
        ("Floor", "ms"),
        ("Above it", "x"),
        ("Floor set by", ""),
        ("Done", "op/s"),
        ("Intensity", "op/byte"),
    ]

    def rows(engine: EngineResult) -> Iterable[list[str]]:
        for each in found:
            if each.engine == engine.name:
                yield [
                    str(each.batch),
                    _format.milliseconds(each.floor_ms),
                    f"{each.times_floor:.2f}",
                    each.bound,
                    _format.operations(each.operations_per_second),
                    f"{each.operations_per_byte:.1f}",
                ]

    note = (
        "Floor: the longer of the operations at the rate of this machine's largest matrix product in the "
        "engine's precision, and weights, input and output at the rate of its largest copy."
    )
    return _grouped(result, "Distance from what the machine allows", columns, rows, note)


def _layers(result: BenchResult) -> str:
    columns = [("Layer", "batch"), ("Kind", ""), ("Time", "ms"), ("Share", "%")]

    def rows(engine: EngineResult) -> Iterable[list[str]]:
        if engine.layers is None:
            return
        total = sum(each.ms for each in engine.layers.times) or 1.0
        for each in engine.layers.times[:_LAYERS]:
            yield [
                f'<span class="layer">{_html.breakable(each.name)}</span>',
                escape(each.kind),
                _format.milliseconds(each.ms),
                f"{each.ms / total * 100:.1f}",
            ]

    note = (
        f"The {_LAYERS} slowest of each engine, as its backend counts them with its own fusions; counting "
        "slows them, so that the sum is more than a call."
    )
    return _grouped(result, "Where the time goes", columns, rows, note)


def _grouped(
    result: BenchResult,
    title: str,
    columns: Columns,
    rows: Callable[[EngineResult], Iterable[list[str]]],
    note: str,
) -> str:
    """Return a section: a table with a group of rows for each engine that has any; "" where none has."""
    groups = []
    for engine in result.engines:
        lines = [f"<tr>{_html.cells(cells)}</tr>" for cells in rows(engine)]
        if lines:
            head = f'<tr><th scope="rowgroup" colspan="{len(columns)}">{name(engine)}</th></tr>'
            groups.append(f"<tbody>{head}{''.join(lines)}</tbody>")
    if not groups:
        return ""
    heads = _html.heads([(escape(label), unit) for label, unit in columns])
    table = _html.table("batches", title, f"<thead>{heads}</thead>{''.join(groups)}")
    return f"<h2>{title}</h2>{table}{_html.note(note)}"


def _optional(value: object, shown: Callable[..., str]) -> str:
    return _format.MISSING if value is None else shown(value)


def _named(queries: Sequence[str]) -> str:
    """Return how many, and a few of their names."""
    if not queries:
        return "0"
    more = ", ..." if len(queries) > 3 else ""
    return f"{len(queries)}<small>{escape(', '.join(queries[:3]))}{more}</small>"
