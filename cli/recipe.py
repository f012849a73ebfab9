"""`osnet-edge recipe`: everything that a device needs to build its engine itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from osnet_edge.cli.build import golden_crops
from osnet_edge.cli.options import (
    budget_options,
    output_option,
    parse_batch_range,
    processor_option,
    read_calibration,
)
from osnet_edge.cli.paths import CALIBRATION, GRAPH
from osnet_edge.cli.progress import step
from osnet_edge.runtime.precisions import PRECISIONS

if TYPE_CHECKING:
    from osnet_edge.runtime.precisions import Precision


@click.command()
@click.argument("graph", type=GRAPH)
@output_option("recipe folder")
@click.option("--target", required=True, metavar="TARGET", help="Target as for build, such as tensorrt.")
@processor_option("any")
@click.option(
    "--precision",
    type=click.Choice([*PRECISIONS], case_sensitive=False),
    default="fp32",
    show_default=True,
    help="Precision of weights and arithmetic.",
)
@click.option("--batch", metavar="MIN,OPT,MAX", help="Batch sizes that the engine accepts; default 1,8,32.")
@click.option("--calibration", type=CALIBRATION, metavar="FILE", help="Calibration set for int8.")
@budget_options
def recipe(
    graph: str,
    output: str,
    target: str,
    processor: str,
    precision: str,
    batch: str | None,
    calibration: str | None,
    budget: float | None,
    budget_rank1: float | None,
) -> None:
    """Write a recipe: the device builds its own engine from GRAPH, once.

    Use it for targets whose engines fit only the device that built them, such as TensorRT on a Jetson. This
    machine does not need the library. Publish the recipe like a package.

    \b
    Example:
      osnet-edge recipe osnet.onnx --target tensorrt --precision int8 --calibration calib.json -o osnet-orin
      osnet-edge publish osnet-orin --repo fleet --release 2026.11 --for jetson-orin-nano,trt-10.3 ...
    """
    limits = parse_batch_range(batch) if batch else None
    from osnet_edge.engines.recipe import write_recipe

    made = write_recipe(
        graph,
        output,
        target=target,
        golden_crops=golden_crops(),
        processor=processor,
        precision=cast("Precision", precision),
        batch=limits,
        calibration=read_calibration(calibration, budget, budget_rank1),
        progress=step,
    )
    size = sum(entry.bytes for entry in made.files.values()) / 1e6
    click.echo(
        f"{output}: {made.model.variant} {made.precision}, to be built for {target} on the "
        f"device, {size:.1f} MB"
    )
