"""`osnet-edge tune`: times candidate engines against each other, and builds the fastest."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from osnet_edge.cli.build import golden_crops
from osnet_edge.cli.options import (
    budget_options,
    echo_json,
    json_flag,
    parse_numbers,
    parse_size,
    processor_option,
    read_calibration,
    weights_key_option,
)
from osnet_edge.cli.paths import CALIBRATION, InputPath, MadeFolder, OutputFile, OutputFolder
from osnet_edge.cli.progress import step
from osnet_edge.cli.replacing import CHART_SVG, force_option
from osnet_edge.cli.tune_text import tuning_lines
from osnet_edge.engines.targets import parse_target
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import write_aside
from osnet_edge.runtime.package.schema import to_json
from osnet_edge.runtime.package.tuning import Tuning
from osnet_edge.runtime.preprocessing import Preprocessing
from osnet_edge.train.threads import spare_busy_cores

if TYPE_CHECKING:
    from osnet_edge.engines.graph.reading import ExportedGraph
    from osnet_edge.runtime.precisions import Precision

#: Rewrites to try without `--rewrite`. There is only one of each kind, because each takes tuning time; the
#: tuner finds the best.
CPU_REWRITES = ("none", "gate", "gate,sum", "streams,gate,sum", "auto")
GPU_REWRITES = ("none", "gate,sum", "streams,gate,sum", "streams,dense,gate,sum", "auto")


@click.command()
@click.argument("model", type=InputPath("a checkpoint or an ONNX file"))
@click.option(
    "--target",
    required=True,
    metavar="TARGET",
    help="Target as for build: cpu, cpu:fastest, openvino, rtx:sm86 ...",
)
@processor_option()
@click.option(
    "--batch",
    default="1,8,32",
    show_default=True,
    metavar="N,...",
    help="Batch sizes to time, all with equal weight.",
)
@click.option(
    "-o",
    "--output",
    type=OutputFolder(),
    metavar="PATH",
    help="Package folder to write; default: only print the table.",
)
@budget_options
@click.option(
    "--calibration",
    type=CALIBRATION,
    metavar="FILE",
    help="Calibration set; losses are measured on the people that it holds out.",
)
@click.option(
    "--precision",
    metavar="NAME,...",
    help="Precisions to try; default: all whose loss can be checked against the budget.",
)
@click.option(
    "--rewrite",
    "rewrites",
    multiple=True,
    metavar="none|auto|PASS,...",
    help="Rewrite to try, see export; may be repeated. Default: a few, different for CPUs and GPUs.",
)
@click.option(
    "--size", default="256x128", show_default=True, metavar="HxW", help="Input size of a checkpoint."
)
@weights_key_option
@click.option("--device", metavar="NAME", help="GPU to estimate for, if the target cannot run here.")
@click.option(
    "--plot",
    type=OutputFile(CHART_SVG),
    metavar="SVG",
    help="Draw speed against accuracy, with the Pareto front.",
)
@click.option(
    "--cache",
    type=MadeFolder(),
    metavar="FOLDER",
    help="Folder for cached timings; default: the user's cache.",
)
@click.option("--fresh", is_flag=True, help="Ignore the cache and time everything again.")
@force_option("Replace an existing package, and with --plot a file of another kind.", expose_value=True)
@json_flag
def tune(
    model: str,
    target: str,
    processor: str,
    batch: str,
    output: str | None,
    budget: float | None,
    budget_rank1: float | None,
    calibration: str | None,
    precision: str | None,
    rewrites: tuple[str, ...],
    size: str,
    weights_key: str | None,
    device: str | None,
    plot: str | None,
    cache: str | None,
    fresh: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Find and build the fastest engine for MODEL, a checkpoint or an ONNX graph.

    A checkpoint is exported once for each rewrite; an ONNX graph keeps the rewrite it was exported with. If
    the target runs here, candidates are timed against each other. If not, a cost model ranks them, and the
    manifest says so. An interrupted run continues at the next start.

    \b
    Example:
      osnet-edge tune osnet.pth --target cpu:fastest --budget 0.5 --calibration calib.json -o osnet-best
      osnet-edge tune osnet.pth --target rtx:sm86 --precision fp32,fp16 --device A10 -o osnet-rtx
    """
    batches, shape = parse_numbers(batch, "--batch"), parse_size(size)
    # Before libraries are imported, which takes seconds.
    parse_target(target)
    spare_busy_cores(step)
    from osnet_edge.bench.result.machine import machine_facts
    from osnet_edge.engines.build import require_place
    from osnet_edge.engines.tuning.cache import default_folder
    from osnet_edge.engines.tuning.request import TuneRequest
    from osnet_edge.engines.tuning.tune import tune as run

    if output:
        # Check before the export, which takes time.
        require_place(Path(output), replace=force)
    given = read_calibration(calibration, budget, budget_rank1, budget_alone=True)
    started, facts = time.monotonic(), machine_facts()
    precisions = tuple(each.strip().lower() for each in precision.split(",")) if precision else None
    with graphs_of(model, target, rewrites, shape, weights_key) as (graphs, notes):
        request = TuneRequest(
            graphs=graphs,
            target=target,
            batches=batches,
            golden_crops=golden_crops(),
            calibration=given,
            processor=processor,
            precisions=cast("tuple[Precision, ...] | None", precisions),
            device=device,
            machine=f"{facts.cpu}, {counted(facts.logical_cores, 'core')}",
            cache=Path(cache) if cache else default_folder(),
            fresh=fresh,
        )
        tuning, manifest = run(request, output, replace=force, notes=notes, progress=step)
    if plot:
        _draw(tuning, plot)
    if as_json:
        echo_json(to_json(manifest) if manifest else to_json(tuning))
        return
    for line in tuning_lines(tuning):
        click.echo(line)
    done = f"{output}: {manifest.model.variant}, " if manifest else ""
    click.echo(f"{done}tuned for {target} in {time.monotonic() - started:.0f} s")


@contextmanager
def graphs_of(
    model: str, target: str, rewrites: tuple[str, ...], size: tuple[int, int], weights_key: str | None = None
) -> Iterator[tuple[tuple[ExportedGraph, ...], tuple[str, ...]]]:
    """Yield the graphs to try, in a scratch folder, and notes on rewrites that cannot be tried.

    Args:
        model: a checkpoint or an ONNX file.
        target: decides the default rewrites if `rewrites` is empty.
        rewrites: as `export --rewrite` spells them.
        size: height and width of the input, in pixels, for a checkpoint.
        weights_key: which network of a checkpoint to take, if it holds several.

    Raises:
        InputError: it is neither, or a graph whose rewrite is not among the requested ones.
    """
    from osnet_edge.engines.graph.reading import is_exported, read_graph
    from osnet_edge.export.rewrite import parse_rewrite

    asked = [parse_rewrite(text) for text in rewrites or _default_rewrites(target)]
    _require_file(Path(model))
    if is_exported(Path(model)):
        graph = read_graph(Path(model))
        own = graph.info.model.rewrite
        if weights_key is not None:
            raise InputError(f"{model} is a graph, which holds one network; leave out --weights-key")
        if rewrites and set(asked) != {own}:
            raise InputError(f"{model} is a graph, which has its rewrite; pass a checkpoint to try others")
        had = ",".join(own) or "none"
        yield (graph,), (f"one rewrite, {had}, was tried, the graph's own; a checkpoint has more",)
        return
    from osnet_edge.export.to_onnx import export_onnx

    with tempfile.TemporaryDirectory(prefix="osnet-edge-tune-") as scratch:
        graphs: list[ExportedGraph] = []
        # The published graph always comes first: all others must be faster than it.
        for passes in dict.fromkeys([(), *asked]):
            step(f"exporting with the rewrite {','.join(passes) or 'none'}")
            path = Path(scratch) / f"{'-'.join(passes) or 'none'}.onnx"
            export_onnx(
                model,
                path,
                preprocessing=Preprocessing(*size),
                passes=passes,
                weights_key=weights_key,
                progress=step if not graphs else lambda line: None,
            )
            graphs.append(read_graph(path))
        yield tuple(graphs), ()


def _default_rewrites(target: str) -> tuple[str, ...]:
    return CPU_REWRITES if parse_target(target).row.on_cpu else GPU_REWRITES


def _require_file(path: Path) -> None:
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise InputError(f"expected a checkpoint or an ONNX file, found {found} at {path}; name another")


def _draw(tuning: Tuning, plot: str) -> None:
    from osnet_edge.bench.report.figures import pareto_chart

    with write_aside(Path(plot)) as partial:
        partial.write_text(pareto_chart(tuning), encoding="utf-8")
