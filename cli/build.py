"""`osnet-edge build`: an ONNX graph to an engine package."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import click

from osnet_edge.cli.int8_text import describe_int8
from osnet_edge.cli.options import (
    budget_options,
    echo_json,
    json_flag,
    output_option,
    parse_batch_range,
    placement_option,
    processor_option,
    read_calibration,
)
from osnet_edge.cli.paths import CALIBRATION, GRAPH, InputPath
from osnet_edge.cli.progress import step
from osnet_edge.cli.replacing import force_option
from osnet_edge.runtime.backends.registry import SPELLINGS
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.schema import to_json
from osnet_edge.runtime.precisions import PRECISIONS

if TYPE_CHECKING:
    from osnet_edge.engines.precision import AskedPrecision
    from osnet_edge.runtime.preprocessing import Picture


@click.command()
@click.argument("graph", type=GRAPH)
@output_option("package folder")
@click.option(
    "--target",
    required=True,
    metavar="TARGET",
    help=f"{SPELLINGS}.",
)
@processor_option()
@click.option(
    "--precision",
    type=click.Choice([*PRECISIONS, "auto"], case_sensitive=False),
    default="fp32",
    show_default=True,
    help="Precision of weights and arithmetic; fp16: GPUs and LiteRT, bf16: OpenVINO, auto: fastest "
    "within --budget.",
)
@click.option("--batch", metavar="MIN,OPT,MAX", help="Batch sizes that the engine accepts; default 1,8,32.")
@placement_option
@click.option(
    "--calibration",
    type=CALIBRATION,
    metavar="FILE",
    help="Calibration set for int8 and auto; with fp16, used to check the range of float16.",
)
@budget_options
@click.option(
    "--budget-idf1",
    type=float,
    metavar="POINTS",
    help="Largest accepted loss in points of IDF1 in the sequences of --track.",
)
@click.option(
    "--track",
    type=InputPath("a sequence or a folder of them", "folder"),
    multiple=True,
    metavar="SEQUENCES",
    help="Sequences for --budget-idf1 (MOT17's layout with gt/); may be repeated.",
)
@click.option(
    "--weights",
    type=click.Choice(["per-channel", "per-tensor"]),
    default="per-channel",
    show_default=True,
    help="Scales of INT8 weights; per-tensor: one per layer, which some LiteRT compilers need.",
)
@click.option("--integer", is_flag=True, help="INT8 for litert without any floating point, which NPUs need.")
@force_option("Replace an existing package.", expose_value=True)
@json_flag
def build(
    graph: str,
    output: str,
    target: str,
    processor: str,
    precision: str,
    batch: str | None,
    placement: str | None,
    calibration: str | None,
    budget: float | None,
    budget_rank1: float | None,
    budget_idf1: float | None,
    track: tuple[str, ...],
    weights: str,
    integer: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Build an engine package from an exported ONNX GRAPH.

    \b
    Example:
      osnet-edge build osnet.onnx --target cpu -o osnet-cpu
      osnet-edge build osnet.onnx --target openvino --precision bf16 -o osnet-openvino
      osnet-edge build osnet.onnx --target rtx:sm86,sm89 --precision fp16 -o osnet-rtx
      osnet-edge build osnet.onnx --target openvino --precision int8 --calibration calib.json -o osnet-int8
      osnet-edge build osnet.onnx --target cpu --precision int8 --processor any --calibration calib.json \\
          -o osnet-anywhere
      osnet-edge build osnet.onnx --target cpu:fastest --precision auto --budget 0.5 \\
          --calibration calib.json -o osnet-best
      osnet-edge build osnet.onnx --target cpu:fastest --precision auto --budget 0.5 \\
          --calibration calib.json --budget-idf1 0.5 --track MOT17/train -o osnet-steady
    """
    limits = parse_batch_range(batch) if batch else None
    from osnet_edge.engines.build import CHOICE_KEY, build_package
    from osnet_edge.train.variants import read_placement

    started = time.monotonic()
    request = read_calibration(calibration, budget, budget_rank1, idf1=budget_idf1, track=track)
    if integer or weights == "per-tensor":
        if precision not in ("int8", "auto"):
            raise InputError(f"--weights per-tensor and --integer are for INT8, got --precision {precision}")
        # Without a set, the build says that it needs one.
        request = request and replace(request, one_weight_scale=weights == "per-tensor", throughout=integer)
    manifest = build_package(
        graph,
        output,
        target=target,
        golden_crops=golden_crops(),
        processor=processor,
        precision=cast("AskedPrecision", precision),
        batch=limits,
        placement=read_placement(placement) if placement else None,
        calibration=request,
        replace=force,
        progress=step,
    )
    if as_json:
        echo_json(to_json(manifest))
        return
    size = manifest.files[manifest.model_file].bytes / 1e6
    click.echo(
        f"{output}: {manifest.model.variant} {manifest.precision} for {target}, {size:.1f} MB, "
        f"built in {time.monotonic() - started:.1f} s"
    )
    if choice := manifest.tools.get(CHOICE_KEY):
        click.echo(f"fastest here: {choice}")
    if manifest.comparison:
        click.echo(f"chosen: {manifest.comparison.why}")
    if manifest.int8:
        click.echo(f"int8: {describe_int8(manifest.int8)}")


def golden_crops() -> Picture:
    """Return uint8 (4, 200, 80, 3) RGB crops of synthetic people for golden pairs.

    They are not of the input size, so that golden pairs also verify the resizing.
    """
    from osnet_edge.train.synthetic import sample_crops

    return sample_crops(4, height=200, width=80, seed=1)
