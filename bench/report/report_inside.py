"""The page's sections of what is inside: what is kept of the reference, limits, and layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from osnet_edge.bench.report import _format, _html
from osnet_edge.bench.report.report_group import grouped, optional
from osnet_edge.bench.result.engine_result import EngineResult
from osnet_edge.bench.result.result import BenchResult

#: Layers shown of each engine; the JSON has all.
_LAYERS = 10


def retention(result: BenchResult) -> str:
    """Return what engines keep of the reference."""
    columns = [
        ("Top-k agreement", "%"),
        ("Cosine", "mean"),
        ("Cosine", "worst"),
        ("Queries lost", ""),
        ("Queries gained", ""),
    ]

    def rows(engine: EngineResult) -> Iterable[list[str]]:
        if (kept := engine.retention) is None:
            return
        yield [
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
    return grouped(result, "What is kept of the reference", columns, rows, note)


def parts(result: BenchResult) -> str:
    """Return the parts of calls on a device."""
    columns = [
        ("Batch", "images"),
        ("CUDA graph", ""),
        ("Copies", ""),
        ("Enqueue", "ms"),
        ("Input", "ms"),
        ("Compute", "ms"),
        ("Output", "ms"),
        ("Without graph", "ms"),
    ]

    def rows(engine: EngineResult) -> Iterable[list[str]]:
        for each in engine.batches:
            if each.parts is not None:
                told = each.parts
                times = told.enqueue_ms, told.input_ms, told.compute_ms, told.output_ms
                yield [
                    str(each.batch),
                    optional(each.cuda_graph, _yes),
                    optional(each.transfers, _yes),
                    *(optional(ms, _format.milliseconds) for ms in (*times, told.without_graph_ms)),
                ]

    note = (
        "Medians. Enqueue: the host's time to hand the work over. Input and output: copies to the device and "
        "back, which a latency holds; compute is a call without them, and the last column is that where the "
        "work is not handed over as one CUDA graph."
    )
    return grouped(result, "Parts of a call", columns, rows, note)


def limits(result: BenchResult) -> str:
    """Return the distance from the floor."""
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
    return grouped(result, "Distance from what the machine allows", columns, rows, note)


def layers(result: BenchResult) -> str:
    """Return the slowest layers of each engine."""
    columns = [(_html.words("Layer"), ""), (_html.words("Kind"), ""), ("Time", "ms"), ("Share", "%")]

    def rows(engine: EngineResult) -> Iterable[list[str]]:
        if engine.layers is None:
            return
        total = sum(each.ms for each in engine.layers.times) or 1.0
        for each in engine.layers.times[:_LAYERS]:
            yield [
                _html.words(each.name),
                _html.words(each.kind),
                _format.milliseconds(each.ms),
                f"{each.ms / total * 100:.1f}",
            ]

    batches = sorted({str(engine.layers.batch) for engine in result.engines if engine.layers})
    note = (
        f"The {_LAYERS} slowest of each engine at batch {' or '.join(batches)}, as its backend counts "
        "them with its own fusions; counting slows them, so that the sum is more than a call."
    )
    return grouped(result, "Where the time goes", columns, rows, note)


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"


def _named(queries: Sequence[str]) -> str:
    """Return how many, and a few of their names."""
    if not queries:
        return "0"
    more = ", ..." if len(queries) > 3 else ""
    return f"{len(queries)}<small>{escape(', '.join(queries[:3]))}{more}</small>"
