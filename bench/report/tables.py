"""What a result shows in tables: every column is described once, for text, Markdown, CSV and the page.

A further column is a further `Column` here. See `render.Column` for how each rendering reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from osnet_edge.bench.metrics.changes import AccuracyChange
from osnet_edge.bench.report import numbers
from osnet_edge.bench.report.render import Column, Table
from osnet_edge.bench.report.tracking import tracking_table
from osnet_edge.bench.report.verification import Verifier, threshold_table
from osnet_edge.bench.result.comparison import FrameRatio, Ratio
from osnet_edge.bench.result.limits import Limit
from osnet_edge.bench.result.measurements import (
    BatchLatency,
    Energy,
    EngineResult,
    FrameTime,
    LayerTime,
    Parts,
    Retention,
    StreamRate,
    Sustained,
)
from osnet_edge.bench.result.result import BenchResult
from osnet_edge.runtime.counted import counted

T = TypeVar("T")

_BUSY_MEANS = (
    f"{numbers.BUSY.capitalize()}: calls of one of the two varied by more than 5 % (standard deviation)."
)

#: Layers shown of each engine; the JSON has all.
_LAYERS = 10


@dataclass(frozen=True)
class EngineRow(Generic[T]):
    """A row of a table: something measured of an engine."""

    engine: EngineResult
    measured: T

    @property
    def name(self) -> str:
        """The engine's name."""
        return self.engine.name


@dataclass(frozen=True)
class _Shown:
    """A ratio, and whether the calls of one of the two engines varied much."""

    ratio: Ratio | FrameRatio
    busy: bool

    @classmethod
    def of(
        cls, ratio: Ratio | FrameRatio | None, *measured: BatchLatency | FrameTime | None
    ) -> _Shown | None:
        """Make one from the times that it is of."""
        noisy = any(each.latency.noisy for each in measured if each)
        # That of an engine to itself is 1, whatever runs beside.
        busy = noisy and (measured[0] is not measured[1])
        return None if ratio is None else cls(ratio, busy)


def further_tables(result: BenchResult) -> list[Table[Any]]:
    """Return the page's sections below the batches; one has rows where something was measured for it."""
    makers = (
        *(tracking_table, thresholds, call_parts, frames, streams, retention, energy, start),
        *(sustained, limits, layers),
    )
    return [make(result) for make in makers]


def engines(result: BenchResult, every: bool = False) -> Table[EngineResult]:
    """Return a row for each engine that was measured, or for every one; speed is at the common batch."""
    batch = result.common_batch
    changed = {each.engine: each for each in result.accuracy_changes()}
    speeds = {(each.engine, each.batch): each for each in result.ratios()}

    def at(engine: EngineResult) -> BatchLatency | None:
        return engine.at(batch) if batch is not None else None

    def score(name: str, label: str, priority: int, text: str = "", csv: str = "") -> Column[EngineResult]:
        def below(engine: EngineResult) -> Sequence[str]:
            """Say its change from the reference, and the interval of that."""
            return () if engine.reference else _change(changed.get(engine.name), name)

        return Column(
            lambda engine: getattr(engine.accuracy.scores, name) if engine.accuracy else None,
            numbers.percent,
            page=label,
            unit="%",
            text=text,
            csv=csv,
            below=below,
            priority=priority,
        )

    speed: list[Column[EngineResult]] = [
        Column(
            lambda engine: each.latency.p50_ms if (each := at(engine)) else None,
            numbers.milliseconds,
            page="p50",
            unit="ms",
            below=lambda engine: _interval(each.median_interval) if (each := at(engine)) else (),
        ),
        _speed("Speed", "x ref.", lambda engine: _ratio_shown(speeds, result, engine, batch or 0)),
    ]
    columns: list[Column[EngineResult]] = [
        Column(
            lambda engine: engine.name,
            page="Engine",
            text="engine",
            csv="engine",
            words=True,
            below=lambda engine: (f"{engine.precision}, {engine.target}",),
        ),
        Column(lambda engine: engine.role, csv="role"),
        Column(lambda engine: engine.variant, csv="variant"),
        Column(lambda engine: engine.precision, text="precision", csv="precision", words=True),
        Column(lambda engine: engine.target, csv="target"),
        *(speed if batch is not None else ()),
        Column(
            lambda engine: engine.size_bytes,
            numbers.megabytes,
            page="Size",
            unit="MB",
            text="size MB",
            csv="size_bytes",
            priority=4,
        ),
        Column(
            lambda engine: engine.load_seconds,
            numbers.milliseconds,
            page="Load",
            unit="s",
            text="load s",
            priority=4,
        ),
        score("rank1", "Rank-1", 2, "Rank-1 %", "rank1"),
        score("rank5", "Rank-5", 3, "Rank-5 %"),
        score("rank10", "Rank-10", 3, "Rank-10 %"),
        score("mean_ap", "mAP", 1, "mAP %", "mean_ap"),
        score("mean_inp", "mINP", 2),
        Column(lambda engine: engine.problem, csv="problem"),
    ]
    rows = [each for each in result.engines if every or each.batches or each.frames or not each.problem]
    return Table(columns, rows, "Engines", _definitions(result))


def changes(result: BenchResult) -> Table[AccuracyChange]:
    """Return what engines cost in accuracy, where intervals are known; the page has it below the scores."""
    rows = [each for each in result.accuracy_changes() if each.intervals]
    shares = sorted({f"{each.intervals.confidence * 100:g} %" for each in rows if each.intervals})
    interval = f"{', '.join(shares)} interval"
    columns: list[Column[AccuracyChange]] = [
        Column(lambda each: each.engine, text="engine", words=True),
        Column(lambda each: each.mean_ap, numbers.points, text="mAP points"),
        Column(lambda each: each.intervals and each.intervals.mean_ap, numbers.interval, text=interval),
        Column(lambda each: each.rank1, numbers.points, text="Rank-1 points"),
        Column(lambda each: each.intervals and each.intervals.rank1, numbers.interval, text=interval),
    ]
    return Table(columns, rows)


def thresholds(result: BenchResult) -> Table[Any]:
    """Return the thresholds of each engine by false accept rate, where they were asked for."""
    return threshold_table(
        [
            Verifier(engine.name, slot, engine.verification, engine.threshold_changes)
            for slot, engine in enumerate(result.engines)
            if engine.verification
        ]
    )


def batches(result: BenchResult) -> Table[EngineRow[BatchLatency]]:
    """Return a row for each engine and batch."""
    speeds = {(each.engine, each.batch): each for each in result.ratios()}

    def ratio(row: EngineRow[BatchLatency]) -> _Shown | None:
        return _ratio_shown(speeds, result, row.engine, row.measured.batch)

    columns: list[Column[EngineRow[BatchLatency]]] = [
        _engine(),
        Column(lambda row: row.measured.batch, page="Batch", unit="images", text="batch", csv="batch"),
        *_latencies(("p50", "p50 ms"), ("p90", "p90 ms"), ("p95", "p95 ms"), ("p99", "p99 ms"), ("max", "")),
        Column(
            lambda row: row.measured.images_per_second,
            numbers.rate,
            page="Rate",
            unit="images/s",
            text="images/s",
            csv="images_per_second",
        ),
        _speed(
            "Speed",
            "x ref.",
            ratio,
            text="speed",
            csv="speedup",
            in_text=lambda row: "reference" if row.engine.reference else _speed_text(ratio(row)),
        ),
    ]
    note = (
        "p50 to p99: half, 90 %, 95 % and 99 % of the calls take at most this long; below p50, what encloses "
        "it with 95 %. Rate: batch over mean latency, of one caller. Speed: the reference's time over this "
        f"engine's, median over rounds of turns, and its 95 % interval. {_BUSY_MEANS}"
    )
    return _grouped("Latency at every batch", columns, _rows(result, "batches"), note)


def frames(result: BenchResult) -> Table[EngineRow[FrameTime]]:
    """Return a row for each engine and number of people, with its speed against each base."""
    speeds = {(each.engine, each.against, each.people): each for each in result.frame_ratios()}
    bases = [
        engine.name
        for engine in result.engines
        if engine.frames and (engine.role == "versus" or engine is result.reference)
    ]

    def against(base: str) -> Column[EngineRow[FrameTime]]:
        def ratio(row: EngineRow[FrameTime]) -> _Shown | None:
            found = speeds.get((row.name, base, row.measured.people))
            other = next(each for each in result.engines if each.name == base)
            return _Shown.of(found, row.measured, other.with_people(row.measured.people))

        return _speed(f"Speed against {base}", "x, interval", ratio, text=f"against {base}")

    columns: list[Column[EngineRow[FrameTime]]] = [
        _engine(),
        Column(lambda row: row.measured.people, page="People", unit="boxes", text="people", csv="people"),
        *_latencies(("p50", "p50 ms"), ("p99", "")),
        Column(
            lambda row: row.measured.crop_ms,
            numbers.milliseconds,
            page="Crops",
            unit="ms",
            text="crops ms",
            csv="crop_ms",
        ),
        Column(
            lambda row: row.measured.people_per_second,
            numbers.rate,
            page="Rate",
            unit="people/s",
            text="people/s",
            csv="images_per_second",
        ),
        *map(against, bases),
    ]
    note = (
        f"The job of a tracker: a frame and its boxes to embeddings, cutting out and resizing included "
        f"(frames: {result.settings.frames}). Below p50, what encloses it with 95 %. Crops: median of "
        "cutting out and resizing alone."
    )
    return _grouped("Frames with people", columns, _rows(result, "frames"), note)


def call_parts(result: BenchResult, every: bool = False) -> Table[EngineRow[BatchLatency]]:
    """Return the parts of calls on a device, or of every batch, with None where it is on none."""

    def part(heading: str, name: str) -> Column[EngineRow[BatchLatency]]:
        return Column(
            lambda row: getattr(row.measured.parts or Parts(), name),
            numbers.milliseconds,
            page=heading,
            unit="ms",
            csv=name,
        )

    columns: list[Column[EngineRow[BatchLatency]]] = [
        Column(lambda row: row.measured.batch, page="Batch", unit="images"),
        Column(lambda row: row.measured.cuda_graph, _yes, page="CUDA graph", csv="cuda_graph"),
        Column(lambda row: row.measured.transfers, _yes, page="Copies", csv="transfers"),
        part("Enqueue", "enqueue_ms"),
        part("Input", "input_ms"),
        part("Compute", "compute_ms"),
        part("Output", "output_ms"),
        part("Without graph", "without_graph_ms"),
    ]
    note = (
        "Medians. Enqueue: the host's time to hand the work over. Input and output: copies to the device and "
        "back, which a latency holds; compute is a call without them, and the last column is that where the "
        "work is not handed over as one CUDA graph."
    )
    rows = [row for row in _rows(result, "batches") if every or row.measured.parts is not None]
    return _grouped("Parts of a call", columns, rows, note)


def streams(result: BenchResult) -> Table[EngineRow[StreamRate]]:
    """Return the throughput of several callers."""
    columns: list[Column[EngineRow[StreamRate]]] = [
        Column(lambda row: row.measured.streams, page="Streams", unit="callers"),
        Column(lambda row: row.measured.batch, page="Batch", unit="images"),
        Column(lambda row: row.measured.images_per_second, numbers.rate, page="Rate", unit="images/s"),
    ]
    note = "Several callers at once, each with a batch of its own, sharing the engine and its threads."
    return _grouped("Throughput of several callers", columns, _rows(result, "streams"), note)


def retention(result: BenchResult) -> Table[EngineRow[Retention]]:
    """Return what engines keep of the reference."""
    columns: list[Column[EngineRow[Retention]]] = [
        Column(lambda row: row.measured.top_k_agreement, numbers.percent, page="Top-k agreement", unit="%"),
        Column(lambda row: row.measured.centred_cosine_mean, "{:.4f}".format, page="Cosine", unit="mean"),
        Column(lambda row: row.measured.centred_cosine_min, "{:.4f}".format, page="Cosine", unit="worst"),
        Column(
            lambda row: len(row.measured.lost), page="Queries lost", below=lambda row: _few(row.measured.lost)
        ),
        Column(
            lambda row: len(row.measured.gained),
            page="Queries gained",
            below=lambda row: _few(row.measured.gained),
        ),
    ]
    rows = _rows(result, "retention")
    note = (
        f"Against the float32 reference on the same images. Agreement: share of its first "
        f"{rows[0].measured.top_k} that the engine ranks among its own. Cosine: of an image's two "
        "embeddings, after subtracting the mean of the reference's. Lost: queries that the reference found "
        "first and the engine did not."
        if rows
        else ""
    )
    return _grouped("What is kept of the reference", columns, rows, note)


def energy(result: BenchResult) -> Table[EngineRow[Energy]]:
    """Return the energy of embeddings."""
    columns: list[Column[EngineRow[Energy]]] = [
        _engine(),
        Column(lambda row: row.measured.source, page="Measured by", text="energy by", words=True, priority=1),
        Column(lambda row: row.measured.batch, page="Batch", unit="images", text="batch"),
        Column(
            lambda row: row.measured.idle_w, numbers.milliseconds, page="At rest", unit="W", text="rest W"
        ),
        Column(
            lambda row: row.measured.busy_w, numbers.milliseconds, page="Working", unit="W", text="work W"
        ),
        Column(
            lambda row: row.measured.joules_per_image * 1e3,
            numbers.milliseconds,
            page="Embedding",
            unit="mJ",
            text="mJ an embedding",
        ),
    ]
    note = "Energy of an embedding: power while working less power at rest, over the images a second."
    missing = "Not available: nothing here tells power to this user."
    return _grouped("Energy", columns, _rows(result, "energy"), note, missing)


def start(result: BenchResult) -> Table[EngineRow[EngineResult]]:
    """Return what starting takes, and memory."""

    def cold(name: str) -> Callable[[EngineRow[EngineResult]], Any]:
        return lambda row: getattr(row.engine.cold_start, name, None)

    def memory(name: str) -> Callable[[EngineRow[EngineResult]], Any]:
        return lambda row: getattr(row.engine.memory, name, None)

    columns: list[Column[EngineRow[EngineResult]]] = [
        Column(lambda row: row.engine.package_bytes, numbers.megabytes, page="Package", unit="MB"),
        Column(lambda row: row.engine.load_seconds, numbers.milliseconds, page="Load", unit="s"),
        Column(cold("process_s"), numbers.milliseconds, page="Process", unit="s"),
        Column(cold("process_range_s"), numbers.between, page="Range", unit="s"),
        Column(cold("first_s"), numbers.milliseconds, page="First", unit="s"),
        Column(memory("peak_host_bytes"), numbers.megabytes, page="Memory", unit="MB"),
        Column(memory("peak_device_bytes"), numbers.megabytes, page="On device", unit="MB"),
    ]
    note = (
        "Package: all its files. Process: from the start of a new one to its first embedding and end, median "
        "of several. Memory: the most that the engine's own process had, interpreter and libraries included."
    )
    rows = [EngineRow(each, each) for each in result.engines if each.memory or each.cold_start]
    return _grouped("Starting, and memory", columns, rows, note)


def sustained(result: BenchResult) -> Table[EngineRow[Sustained]]:
    """Return how a long run went."""
    columns: list[Column[EngineRow[Sustained]]] = [
        Column(lambda row: row.measured.batch, page="Batch", unit="images"),
        Column(
            lambda row: row.measured.stretch_s * len(row.measured.median_ms),
            numbers.milliseconds,
            page="Time",
            unit="s",
        ),
        Column(lambda row: row.measured.median_ms[0], numbers.milliseconds, page="First", unit="ms"),
        Column(lambda row: row.measured.median_ms[-1], numbers.milliseconds, page="Last", unit="ms"),
        Column(lambda row: row.measured.drift, numbers.signed_percent, page="Drift"),
        Column(
            lambda row: row.measured.memory_growth_bytes,
            lambda grown: f"{grown / 1e6:+.2f}",
            page="Growth",
            unit="MB",
        ),
    ]
    note = (
        "Drift: median of the last fifth of the run over that of the first fifth, less 1. Growth: memory of "
        "the process after the run, less that after its first fifth."
    )
    return _grouped("A long run", columns, _rows(result, "sustained"), note)


def limits(result: BenchResult) -> Table[EngineRow[Limit]]:
    """Return the distance from the floor."""
    columns: list[Column[EngineRow[Limit]]] = [
        Column(lambda row: row.measured.batch, page="Batch", unit="images"),
        Column(lambda row: row.measured.floor_ms, numbers.milliseconds, page="Floor", unit="ms"),
        Column(lambda row: row.measured.times_floor, "{:.2f}".format, page="Above it", unit="x"),
        Column(lambda row: row.measured.bound, page="Floor set by"),
        Column(lambda row: row.measured.operations_per_second, numbers.operations, page="Done", unit="op/s"),
        Column(
            lambda row: row.measured.operations_per_byte, "{:.1f}".format, page="Intensity", unit="op/byte"
        ),
    ]
    note = (
        "Floor: the longer of the operations at the rate of this machine's largest matrix product in the "
        "engine's precision, and weights, input and output at the rate of its largest copy."
    )
    found = result.limits()
    rows = [
        EngineRow(engine, each) for engine in result.engines for each in found if each.engine == engine.name
    ]
    return _grouped("Distance from what the machine allows", columns, rows, note)


def layers(result: BenchResult) -> Table[EngineRow[LayerTime]]:
    """Return the slowest layers of each engine."""

    def share(row: EngineRow[LayerTime]) -> float:
        times = row.engine.layers.times if row.engine.layers else ()
        return row.measured.ms / (sum(each.ms for each in times) or 1.0)

    columns: list[Column[EngineRow[LayerTime]]] = [
        Column(lambda row: row.measured.name, page="Layer", words=True),
        Column(lambda row: row.measured.kind, page="Kind", words=True),
        Column(lambda row: row.measured.ms, numbers.milliseconds, page="Time", unit="ms"),
        Column(share, lambda value: f"{value * 100:.1f}", page="Share", unit="%"),
    ]
    layered = [engine for engine in result.engines if engine.layers]
    at = sorted({str(engine.layers.batch) for engine in layered if engine.layers})
    note = (
        f"The {_LAYERS} slowest of each engine at batch {' or '.join(at)}, as its backend counts "
        "them with its own fusions; counting slows them, so that the sum is more than a call."
    )
    rows = [EngineRow(each, time) for each in layered if each.layers for time in each.layers.times[:_LAYERS]]
    return _grouped("Where the time goes", columns, rows, note)


def problems(result: BenchResult) -> Table[EngineResult]:
    """Return what was not measured, and why; the page has it as a list."""
    columns: list[Column[EngineResult]] = [
        Column(lambda engine: engine.name, text="not measured", words=True),
        Column(lambda engine: engine.problem, text="because", words=True),
    ]
    return Table(columns, [engine for engine in result.engines if engine.problem])


def _rows(result: BenchResult, name: str) -> list[EngineRow[Any]]:
    """Return a row for each thing of a name that was measured of an engine."""
    found = ((engine, getattr(engine, name)) for engine in result.engines)
    return [
        EngineRow(engine, each)
        for engine, value in found
        if value is not None
        for each in (value if isinstance(value, tuple) else (value,))
    ]


def _grouped(
    title: str,
    columns: Sequence[Column[EngineRow[T]]],
    rows: Sequence[EngineRow[T]],
    note: str,
    missing: str = "",
) -> Table[EngineRow[T]]:
    """Return a table whose rows the page puts below the names of their engines."""
    return Table(columns, rows, title, note, missing, group=lambda row: row.name)


def _engine() -> Column[EngineRow[T]]:
    return Column(lambda row: row.name, text="engine", words=True)


def _latencies(*named: tuple[str, str]) -> Iterable[Column[EngineRow[Any]]]:
    """Yield a column for each statistic; the page shows those that are named, text those with a heading."""
    headings = dict(named)

    def column(name: str) -> Column[EngineRow[Any]]:
        return Column(
            lambda row: getattr(row.measured.latency, f"{name}_ms"),
            numbers.milliseconds,
            page=name if name in headings else "",
            unit="ms",
            text=headings.get(name, ""),
            csv=f"{name}_ms",
            below=lambda row: _interval(row.measured.median_interval) if name == "p50" else (),
        )

    yield from map(column, ("mean", "min", "p50", "p90", "p95", "p99", "max"))
    yield Column(lambda row: row.measured.latency.cv, csv="cv")
    yield Column(lambda row: row.measured.latency.iterations, csv="iterations")


def _speed(
    heading: str,
    unit: str,
    ratio: Callable[[T], _Shown | None],
    text: str = "",
    csv: str = "",
    in_text: Callable[[T], str] | None = None,
) -> Column[T]:
    """Return a column of speeds with their intervals."""
    return Column(
        lambda row: each.ratio.speedup if (each := ratio(row)) else None,
        "{:.2f}".format,
        page=heading,
        unit=unit,
        text=text,
        csv=csv,
        below=lambda row: (
            (*_spread(each), *([numbers.BUSY] if each.busy else [])) if (each := ratio(row)) else ()
        ),
        in_text=in_text or (lambda row: _speed_text(ratio(row))),
    )


def _ratio_shown(
    speeds: Mapping[tuple[str, int], Ratio], result: BenchResult, engine: EngineResult, batch: int
) -> _Shown | None:
    return _Shown.of(speeds.get((engine.name, batch)), engine.at(batch), result.reference.at(batch))


def _spread(shown: _Shown) -> Sequence[str]:
    ratio = shown.ratio
    return () if ratio.low is None or ratio.high is None else (f"{ratio.low:.2f} to {ratio.high:.2f}",)


def _speed_text(shown: _Shown | None) -> str:
    if shown is None:
        return numbers.MISSING
    interval = (f"({each})" for each in _spread(shown))
    return " ".join([numbers.times(shown.ratio.speedup), *interval, *([numbers.BUSY] if shown.busy else [])])


def _change(change: AccuracyChange | None, name: str) -> Sequence[str]:
    points = getattr(change, name, None)
    ends = getattr(change.intervals, name, None) if change else None
    return () if points is None else (numbers.points(points), *((numbers.interval(ends),) if ends else ()))


def _interval(ends: tuple[float, float] | None) -> Sequence[str]:
    return (numbers.between(ends),) if ends else ()


def _few(queries: Sequence[str]) -> Sequence[str]:
    """Return a few of their names."""
    return (", ".join([*queries[:3], *(["..."] if len(queries) > 3 else [])]),) if queries else ()


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"


def _definitions(result: BenchResult) -> str:
    text = f"Speed: the reference's time over this engine's, and its 95 % interval. {_BUSY_MEANS}"
    base = result.reference.accuracy
    if base is None:
        return text
    scores = base.scores
    skipped = f" ({scores.skipped} without a match, left out)" if scores.skipped else ""
    return (
        f"{text} mAP, Rank-k and mINP: Market-1501 protocol on {base.data_set}, "
        f"{counted(scores.queries, 'query')}{skipped} against {counted(scores.gallery, 'gallery image')}, "
        f"{base.distance} distance. "
        f"Below each, its change from the reference in percentage points{_interval_meaning(result)}."
    )


def _interval_meaning(result: BenchResult) -> str:
    """Say what the intervals are; where engines have different ones, all that are there."""
    found = [engine.change_intervals for engine in result.engines if engine.change_intervals]
    if not found:
        return ""
    kinds = sorted({f"{each.confidence * 100:g} % interval ({each.samples} resamples)" for each in found})
    return f", and its {' or '.join(kinds)} by a paired bootstrap over the queries"
