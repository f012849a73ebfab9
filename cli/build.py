"""`osnet-edge build`: an ONNX graph to an engine package."""

from __future__ import annotations

import time
from typing import cast

import click

from osnet_edge.cli.options import echo_json, json_flag, output_option, parse_batch_range, placement_option
from osnet_edge.cli.progress import step
from osnet_edge.runtime.manifest import Precision
from osnet_edge.runtime.schema import to_json


@click.command()
@click.argument("graph")
@output_option("package folder")
@click.option(
    "--target",
    required=True,
    metavar="TARGET",
    help="cpu, cpu:fastest, openvino, rtx, rtx:sm86,sm89 or tensorrt.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "bf16"]),
    default="fp32",
    show_default=True,
    help="Of weights and arithmetic; fp16 is for GPUs, bf16 for OpenVINO.",
)
@click.option("--batch", metavar="MIN,OPT,MAX", help="Batch sizes the engine takes; default 1,8,32.")
@placement_option
@click.option("--calibration", metavar="FILE", help="Pictures that must not leave float16's range in fp16.")
@click.option("--force", is_flag=True, help="Replace a package that is already there.")
@json_flag
def build(
    graph: str,
    output: str,
    target: str,
    precision: str,
    batch: str | None,
    placement: str | None,
    calibration: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Build an engine package from an exported ONNX GRAPH.

    \b
    Example:
      osnet-edge build osnet.onnx --target cpu -o osnet-cpu
      osnet-edge build osnet.onnx --target openvino --precision bf16 -o osnet-openvino
      osnet-edge build osnet.onnx --target rtx:sm86,sm89 --precision fp16 -o osnet-rtx
      osnet-edge build osnet.onnx --target rtx --precision fp16 --calibration calib.json -o osnet-rtx
    """
    limits = parse_batch_range(batch) if batch else None
    from osnet_edge.engines.build import CHOICE_KEY, build_package
    from osnet_edge.engines.calibration import read_calibration_set
    from osnet_edge.train.placement_file import read_placement
    from osnet_edge.train.synthetic import sample_crops

    started = time.monotonic()
    manifest = build_package(
        graph,
        output,
        target=target,
        # Of another size than the network's input, so that the pairs prove the resizing too.
        golden_crops=sample_crops(4, height=200, width=80, seed=1),
        precision=cast(Precision, precision),
        batch=limits,
        placement=read_placement(placement) if placement else None,
        calibration=read_calibration_set(calibration) if calibration else None,
        replace=force,
        progress=step,
    )
    if as_json:
        echo_json(to_json(manifest))
        return
    size = manifest.files[manifest.model_file].bytes / 1e6
    click.echo(
        f"{output}: {manifest.model.variant} {precision} for {target}, {size:.1f} MB, "
        f"built in {time.monotonic() - started:.1f} s"
    )
    if choice := manifest.tools.get(CHOICE_KEY):
        click.echo(f"fastest here: {choice}")
